/** The clean-up at the start of a run: temporaries that a killed run left beside the files it was writing. */
import { dirname } from 'node:path';
import type { Executors } from './executor.ts';
import type { Host } from './host.ts';

type Swept = { readonly type: string; readonly desired: unknown };

/** Looks in every directory in which one of the resources may write. What can't be cleaned up is left for the next run. */
export async function sweepTemporaries(
  deps: { readonly executors: Executors; readonly host: Host },
  resources: readonly Swept[],
): Promise<void> {
  const directories = new Map<string, number | undefined>();
  for (const { type, desired } of resources) {
    const executor = deps.executors.get(type);
    const parsed = executor?.schema.safeParse(desired);
    if (executor !== undefined && parsed?.success === true) {
      const owner = await declaredOwner(parsed.data, deps.host);
      const paths = await Promise.resolve(executor.paths(parsed.data, deps.host)).catch(() => []);
      for (const path of [...paths, ...(executor.keeps ?? [])]) {
        directories.set(dirname(path), owner ?? directories.get(dirname(path)));
      }
    }
  }
  for (const [path, owner] of directories) {
    await deps.host.sweep({ path, owner }).catch(() => 0);
  }
}

/** Directories may belong to the owner that a resource declares. */
async function declaredOwner(desired: unknown, host: Host): Promise<number | undefined> {
  if (typeof desired !== 'object' || desired === null || !('owner' in desired)) {
    return undefined;
  }
  const { owner } = desired;
  if (typeof owner !== 'string' && typeof owner !== 'number') {
    return undefined;
  }
  return host.userId(owner).catch(() => undefined);
}

/** The clean-up at the start of a run: temporaries that a killed run left beside the files it was writing. */
import { dirname } from 'node:path';
import { type AnyExecutor, type Executors, parseDesired } from './executor.ts';
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
    const parsed = executor === undefined ? undefined : parseDesired(executor, desired);
    if (executor !== undefined && parsed?.success === true) {
      const account = declaredAccount(parsed.data);
      const owner = account === undefined ? undefined : await deps.host.userId(account).catch(() => undefined);
      const paths = await pathsOf(executor, parsed.data, deps.host);
      for (const path of [...paths, ...(executor.keeps ?? [])]) {
        const directory = dirname(path);
        directories.set(directory, owner ?? directories.get(directory));
      }
    }
  }
  for (const [path, owner] of directories) {
    await deps.host.sweep({ path, owner }).catch(() => 0);
  }
}

/** What can't be told now is said by the resource itself. */
async function pathsOf(executor: AnyExecutor, desired: unknown, host: Host): Promise<readonly string[]> {
  try {
    return await executor.paths(desired, host);
  } catch (_unknown) {
    return [];
  }
}

/** Directories may belong to the owner that a resource declares, or to the user that it is about. */
function declaredAccount(desired: unknown): string | number | undefined {
  if (typeof desired !== 'object' || desired === null) {
    return undefined;
  }
  const owner = 'owner' in desired ? desired.owner : 'user' in desired ? desired.user : undefined;
  return typeof owner === 'string' || typeof owner === 'number' ? owner : undefined;
}

/**
 * `file`: a regular file with this content, mode and owner, or none at all.
 *
 * Any drift is repaired by writing the whole file anew beside the old one and renaming it, so no reader sees half of
 * it, and a hard link elsewhere to the old file is left alone. A symlink at the path is replaced, never followed.
 */
import { z } from 'zod';
import type { Difference, Executor } from '../executor.ts';
import { HostError } from '../host.ts';
import { absolutePath, account, declaredOwner, mode, ownershipDrift, resolveOwnership } from './fields.ts';

const present = z.strictObject({
  path: absolutePath,
  state: z.literal('present').optional(),
  /** The blob that holds the content. */
  content: z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/), bytes: z.int().min(0).optional() }),
  mode: mode.default('0644'),
  owner: account.optional(),
  group: account.optional(),
});

const absent = z.strictObject({ path: absolutePath, state: z.literal('absent'), owner: account.optional() });

export type File = z.output<typeof present> | z.output<typeof absent>;
export type FileDifference = Difference & { readonly reasons: readonly string[] };

export const file: Executor<File, FileDifference> = {
  name: 'file',
  schema: z.union([absent, present]),
  id: (desired) => desired.path,
  paths: (desired) => [desired.path],

  async check(desired, host) {
    const place = { path: desired.path, owner: await declaredOwner(desired.owner, host) };
    const status = await host.inspect(place);
    if (status?.kind === 'directory' || status?.kind === 'other') {
      const what = status.kind === 'directory' ? 'a directory' : 'a device, socket or pipe';
      throw new HostError('wrong_kind', `${JSON.stringify(desired.path)} is ${what}: remove it first`);
    }
    if (desired.state === 'absent') {
      return status === undefined ? undefined : { change: 'removed', reasons: ['there is one'] };
    }
    if (status === undefined) {
      return { change: 'created', reasons: ['there is none'] };
    }
    if (status.kind === 'symlink') {
      return { change: 'updated', reasons: ['a symlink instead of a file'] };
    }
    const reasons = ownershipDrift(status, await resolveOwnership(desired, host));
    if ((await host.digest(place)) !== desired.content.sha256) {
      reasons.push('other content');
    }
    return reasons.length === 0 ? undefined : { change: 'updated', reasons };
  },

  async apply(_found, desired, host, context) {
    const place = { path: desired.path, owner: await declaredOwner(desired.owner, host) };
    if (desired.state === 'absent') {
      await host.removeFile(place);
      return;
    }
    const content = await context.blob(desired.content.sha256);
    await host.writeFile(place, content, await resolveOwnership(desired, host));
  },

  describe: (found) => found.reasons.join(', '),
};

/**
 * `directory`: a directory with this mode and owner, or none at all. Its parent must exist: each level is a resource
 * of its own, with its own mode. `absent` removes an empty one only, unless `recurse` says to remove all of it.
 */
import { z } from 'zod';
import type { Difference, Executor } from '../executor.ts';
import { HostError } from '../host.ts';
import { absolutePath, account, declaredOwner, mode, ownershipDrift, resolveOwnership } from './fields.ts';

const defaultMode = '0755';

const schema = z
  .strictObject({
    path: absolutePath,
    state: z.enum(['present', 'absent']).default('present'),
    /** With `absent`: remove what is in it too. */
    recurse: z.boolean().optional(),
    /** 0755 when left out. */
    mode: mode.optional(),
    owner: account.optional(),
    group: account.optional(),
  })
  .refine((desired) => desired.state === 'absent' || desired.recurse === undefined, {
    message: 'makes sense only when the state is "absent"',
    path: ['recurse'],
  });

export type Directory = z.output<typeof schema>;
export type DirectoryDifference = Difference & { readonly reasons: readonly string[] };

export const directory: Executor<Directory, DirectoryDifference> = {
  name: 'directory',
  schema,
  id: (desired) => desired.path,
  paths: (desired) => [desired.path],

  async check(desired, host) {
    const place = { path: desired.path, owner: await declaredOwner(desired.owner, host) };
    const status = await host.inspect(place);
    if (status !== undefined && status.kind !== 'directory') {
      throw new HostError('wrong_kind', `${JSON.stringify(desired.path)} is there and no directory: remove it first`);
    }
    if (desired.state === 'absent') {
      return status === undefined ? undefined : { change: 'removed', reasons: ['there is one'] };
    }
    if (status === undefined) {
      return { change: 'created', reasons: ['there is none'] };
    }
    const reasons = ownershipDrift(
      status,
      await resolveOwnership({ ...desired, mode: desired.mode ?? defaultMode }, host),
    );
    return reasons.length === 0 ? undefined : { change: 'updated', reasons };
  },

  async apply(found, desired, host) {
    const place = { path: desired.path, owner: await declaredOwner(desired.owner, host) };
    if (desired.state === 'absent') {
      await host.removeDirectory(place, { recurse: desired.recurse ?? false });
      return;
    }
    const ownership = await resolveOwnership({ ...desired, mode: desired.mode ?? defaultMode }, host);
    await (found.change === 'created' ? host.makeDirectory(place, ownership) : host.setDirectory(place, ownership));
  },

  describe: (found) => found.reasons.join(', '),
};

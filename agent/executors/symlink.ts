/**
 * `symlink`: a symlink with this target, or none at all. The target is text and needn't exist. Only a symlink is
 * replaced or removed; a file or directory at the path is somebody's data.
 */
import { z } from 'zod';
import type { Difference, Executor } from '../executor.ts';
import { HostError } from '../host.ts';
import { absolutePath, account, declaredOwner, hasControlCharacters } from './fields.ts';

const schema = z
  .strictObject({
    path: absolutePath,
    state: z.enum(['present', 'absent']).default('present'),
    target: z
      .string()
      .min(1)
      .max(4095)
      .refine((target) => !hasControlCharacters(target), 'must have no control characters')
      .optional(),
    /** Whose directory the link may stand in; the link itself belongs to the agent's user. */
    owner: account.optional(),
  })
  .refine((desired) => desired.state === 'absent' || desired.target !== undefined, {
    message: 'is required, unless the state is "absent"',
    path: ['target'],
  });

export type Symlink = z.output<typeof schema>;
export type SymlinkDifference = Difference & { readonly reason: string };

export const symlink: Executor<Symlink, SymlinkDifference> = {
  name: 'symlink',
  schema,
  id: (desired) => desired.path,
  paths: (desired) => [desired.path],

  async check(desired, host) {
    const status = await host.inspect({ path: desired.path, owner: await declaredOwner(desired.owner, host) });
    if (status !== undefined && status.kind !== 'symlink') {
      throw new HostError('wrong_kind', `${JSON.stringify(desired.path)} is there and no symlink: remove it first`);
    }
    if (desired.state === 'absent') {
      return status === undefined ? undefined : { change: 'removed', reason: 'there is one' };
    }
    if (status === undefined) {
      return { change: 'created', reason: 'there is none' };
    }
    return status.target === desired.target ? undefined : { change: 'updated', reason: 'another target' };
  },

  async apply(_found, desired, host) {
    const place = { path: desired.path, owner: await declaredOwner(desired.owner, host) };
    if (desired.state === 'absent') {
      await host.removeFile(place);
      return;
    }
    if (desired.target === undefined) {
      throw new TypeError('A symlink that is present has a target: its schema says so.');
    }
    await host.writeSymlink(place, desired.target);
  },

  describe: (found) => found.reason,
};

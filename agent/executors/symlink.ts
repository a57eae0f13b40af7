/**
 * `symlink`: a symlink with this target, or none at all. The target is text and needn't exist. Only a symlink is
 * replaced or removed; a file or directory at the path is somebody's data.
 */
import { z } from 'zod';
import type { Difference, Executor } from '../executor.ts';
import { HostError } from '../host.ts';
import { absolutePath, account, declaredOwner } from './fields.ts';

const present = z.strictObject({
  path: absolutePath,
  state: z.literal('present').optional(),
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly those are refused
  target: z
    .string()
    .min(1)
    .max(4095)
    .regex(/^[^\u0000-\u001f\u007f]+$/, 'must have no control characters'),
  /** Whose directory the link may stand in; the link itself belongs to the agent's user. */
  owner: account.optional(),
});

const absent = z.strictObject({ path: absolutePath, state: z.literal('absent'), owner: account.optional() });

export type Symlink = z.output<typeof present> | z.output<typeof absent>;
export type SymlinkDifference = Difference & { readonly reason: string };

export const symlink: Executor<Symlink, SymlinkDifference> = {
  name: 'symlink',
  schema: z.union([absent, present]),
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
    await (desired.state === 'absent' ? host.removeFile(place) : host.writeSymlink(place, desired.target));
  },

  describe: (found) => found.reason,
};

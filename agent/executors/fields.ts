/** Fields that resource types share: paths, modes, owners. */
import { z } from 'zod';
import type { HostView, Ownership, Status } from '../host.ts';

/** As Linux: PATH_MAX and NAME_MAX. */
const maxPathLength = 4095;
const maxNameLength = 255;

/**
 * An absolute path in its one spelling: no `.`, `..`, doubled or trailing slash, no control character. The root itself
 * is nobody's resource.
 */
export const absolutePath = z
  .string()
  .max(maxPathLength)
  .refine(isNormalPath, 'must be an absolute path without ".", "..", "//", a trailing "/" or control characters');

/** Octal permission bits in text, as in chmod(1): YAML would read a bare 0644 as a number. */
export const mode = z.string().regex(/^[0-7]?[0-7]{3}$/, 'must be octal digits in quotes, such as "0644"');

/** A user or group, by name or number. Left out, it is the one that the agent runs as. */
export const account = z.union([
  z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$/),
  z.int().min(0).max(0xfffffffe),
]);

export type OwnershipFields = {
  readonly mode: string;
  readonly owner?: string | number | undefined;
  readonly group?: string | number | undefined;
};

/** What the fields mean on this machine. */
export async function resolveOwnership(fields: OwnershipFields, host: HostView): Promise<Ownership> {
  return {
    mode: Number.parseInt(fields.mode, 8),
    uid: fields.owner === undefined ? host.self.uid : await host.userId(fields.owner),
    gid: fields.group === undefined ? host.self.gid : await host.groupId(fields.group),
  };
}

/** The user id that a resource declares, for directories that may belong to it. */
export async function declaredOwner(owner: string | number | undefined, host: HostView): Promise<number | undefined> {
  return owner === undefined ? undefined : host.userId(owner);
}

/** In words, how `status` differs from what is wanted. Empty when it doesn't. */
export function ownershipDrift(status: Status, wanted: Ownership): string[] {
  const drift: string[] = [];
  if (status.mode !== wanted.mode) {
    drift.push(`mode ${formatMode(status.mode)} instead of ${formatMode(wanted.mode)}`);
  }
  if (status.uid !== wanted.uid) {
    drift.push(`owner ${status.uid} instead of ${wanted.uid}`);
  }
  if (status.gid !== wanted.gid) {
    drift.push(`group ${status.gid} instead of ${wanted.gid}`);
  }
  return drift;
}

function formatMode(bits: number): string {
  return bits.toString(8).padStart(4, '0');
}

/** Control characters have no place in a name, and could write to a terminal or a log of their own accord. */
export function hasControlCharacters(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

function isNormalPath(path: string): boolean {
  if (!path.startsWith('/') || path === '/' || hasControlCharacters(path)) {
    return false;
  }
  return path
    .slice(1)
    .split('/')
    .every((part) => part !== '' && part !== '.' && part !== '..' && Buffer.byteLength(part) <= maxNameLength);
}

/** Text for one line of a configuration file: no control character could begin another. */
export const oneLine = z
  .string()
  .max(4096)
  .refine((text) => !hasControlCharacters(text), 'must be one line, without control characters');

/** A name of a user or group that commands take as it is: useradd's own rule. */
export const accountName = z
  .string()
  .regex(/^[a-z_][a-z0-9_-]{0,30}$/, 'must be a plain account name, such as "deploy"');

/** Whether the resource is wanted or not. */
export const state = z.enum(['present', 'absent']).default('present');

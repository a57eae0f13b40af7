/** What all changes of files have in common: their steps, names of temporaries, and errors said in the resource's terms. */
import { randomBytes } from 'node:crypto';
import { inParent, type OpenedDirectory, quote } from './directories.ts';
import { systemCode } from './errors.ts';
import { HostError, type Place, type Step } from './host.ts';
import type { ReadDirectories } from './read-directories.ts';

export type FileDeps = {
  /** The user id that the agent runs as. */
  readonly self: number;
  /** Called before each step; what it throws cuts the change short there. */
  readonly step: (step: Step, path: string) => void;
  /** What reads takes its directories from here; whatever changes something closes them first. */
  readonly reading: ReadDirectories;
};

/** A name that is recognisably ours, and new. */
export function newTemporaryName(): string {
  return `.holdfast-${randomBytes(12).toString('hex')}.tmp`;
}

export function isTemporaryName(name: string): boolean {
  return /^\.holdfast-[0-9a-f]{24}\.tmp$/.test(name);
}

/** Changes something in the directory that holds `place`. */
export async function change(
  deps: FileDeps,
  place: Place,
  verb: string,
  use: (directory: OpenedDirectory, name: string) => Promise<void>,
): Promise<void> {
  deps.reading.close();
  try {
    await inParent(place, deps.self, use);
  } catch (error) {
    throw hostError(error, verb, place.path);
  }
}

const systemReasons: { readonly [code: string]: string } = {
  EACCES: 'the agent has no right to',
  EPERM: 'the agent has no right to',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space is left on the file system',
  EDQUOT: 'the disk quota is used up',
  EISDIR: 'it is a directory',
  ENOTDIR: 'it is not a directory',
  ENOTEMPTY: 'the directory is not empty',
  EEXIST: 'it exists already',
  ENOENT: 'it does not exist',
  ELOOP: 'it is a symlink',
  ENAMETOOLONG: 'its name is too long',
  EBUSY: 'it is in use, or a mount',
};

/** Errors of the system, said in terms of the resource's path instead of the descriptor's. */
export function hostError(error: unknown, verb: string, path: string): unknown {
  const code = systemCode(error);
  if (error instanceof HostError || code === undefined) {
    return error;
  }
  const reason = systemReasons[code] ?? 'the operating system refused';
  const kind = code === 'ENOTEMPTY' ? 'not_empty' : code === 'ENOENT' ? 'not_found' : 'system';
  return new HostError(kind, `can't ${verb} ${quote(path)}: ${reason} (${code})`, { cause: error });
}

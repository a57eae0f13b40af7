/** Artifact files in a directory: no symbolic link is followed below it, and no file may become another while it is read. */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { ArtifactError } from './errors.ts';
import type { ArtifactFiles } from './files.ts';

/**
 * `directory` itself may be reached through links (`current` → `1.4.0` is how slots work); it is resolved once, here.
 * `except` are names in it that the manifest does not speak of, the manifest's own file first of all.
 */
export function openArtifactDirectory(directory: string, except: readonly string[] = []): ArtifactFiles {
  const root = attempt('.', () => realpathSync(directory));
  const read = new Map<string, Stats>();
  return {
    list: () => listBelow(root, '').filter((path) => !except.includes(path)),
    read: (path, size) =>
      attempt(path, () => {
        const { bytes, stats } = readOnce(root, path, size);
        read.set(path, stats);
        return bytes;
      }),
    recheck() {
      for (const [path, before] of read) {
        const stats = attempt(path, () => lstatSync(join(root, path)));
        if (!isSame(before, stats)) {
          throw new ArtifactError('file_changed', `${path} was changed after it was read`, { file: path });
        }
      }
    },
  };
}

function listBelow(root: string, below: string): string[] {
  const entries = attempt(below || '.', () => readdirSync(join(root, below), { withFileTypes: true }));
  return entries
    .map((entry) => ({ entry, path: below === '' ? entry.name : `${below}/${entry.name}` }))
    .flatMap(({ entry, path }) => (entry.isDirectory() ? listBelow(root, path) : [path]))
    .sort();
}

function readOnce(root: string, path: string, size: number): { readonly bytes: Uint8Array; readonly stats: Stats } {
  const full = join(root, ...path.split('/'));
  // A link in any directory on the way. What happens after this look can only bring other bytes, which are judged.
  if (realpathSync(dirname(full)) !== dirname(full) || lstatSync(full).isSymbolicLink()) {
    throw new ArtifactError('file_symlink', `${path} is reached through a symbolic link`, { file: path });
  }
  if (!full.startsWith(root.endsWith(sep) ? root : root + sep)) throw new TypeError('the path of a manifest leads out');
  // Not blocking: opening a FIFO would wait for its writer.
  const fd = openSync(full, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  try {
    const before = fstatSync(fd);
    if (!before.isFile()) throw new ArtifactError('file_irregular', `${path} is not a plain file`, { file: path });
    const bytes = readUpTo(fd, size + 1, before.size);
    if (!isSame(before, fstatSync(fd)) || !isSame(before, lstatSync(full))) {
      throw new ArtifactError('file_changed', `${path} was changed while it was read`, { file: path });
    }
    return { bytes, stats: before };
  } finally {
    closeSync(fd);
  }
}

function readUpTo(fd: number, limit: number, expected: number): Uint8Array {
  const buffer = Buffer.allocUnsafeSlow(Math.min(limit, expected + 1));
  let length = 0;
  while (length < buffer.length) {
    const read = readSync(fd, buffer, length, buffer.length - length, null);
    if (read === 0) break;
    length += read;
  }
  return buffer.subarray(0, length);
}

function isSame(a: Stats, b: Stats): boolean {
  return a.dev === b.dev && a.ino === b.ino && a.size === b.size && a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs;
}

function attempt<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    if (cause instanceof ArtifactError || cause instanceof TypeError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    const options = { file: path, cause };
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new ArtifactError('file_missing', `${path} is missing`, options);
    if (code === 'ELOOP') throw new ArtifactError('file_symlink', `${path} is a symbolic link`, options);
    throw new ArtifactError('file_unreadable', `${path} can't be read: ${code ?? String(cause)}`, options);
  }
}

/**
 * Opened directories: the way to a file is walked one component at a time, each judged before the next is looked up,
 * and everything afterwards happens relative to the opened directory. So nobody can swap a component between the
 * judgement and the write.
 *
 * Node has no `openat`. On Linux `/proc/self/fd/N/name` is the same thing: the kernel resolves it from the opened
 * directory (proc(5)). Elsewhere the path is used, and the directory's identity is compared right before each use.
 *
 * The walk is synchronous: a run looks at thousands of components, each a matter of microseconds, and a round trip
 * through a thread would cost ten times as much. A network file system that hangs would hang either way, as soon as
 * it held all threads.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readlinkSync,
  type Stats,
} from 'node:fs';
import { posix } from 'node:path';
import { systemCode } from './errors.ts';
import { HostError, type Place } from './host.ts';

/** open(2): only a place in the tree, no right to read needed. Not in Node's constants; the value is Linux's. */
const openPath = process.platform === 'linux' ? 0o10000000 : 0;
const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | openPath;

/** As the kernel: path_resolution(7). */
const maxSymlinks = 40;

const worldWritable = 0o002;
const groupWritable = 0o020;
const sticky = 0o1000;

const hasDescriptorPaths = process.platform === 'linux' && existsSync('/proc/self/fd');

export type OpenedDirectory = {
  /** The path that was walked, symlinks resolved. */
  readonly path: string;
  readonly status: Stats;
  /** A path for the entry `name` that is good right now, and can't lead anywhere else. */
  entry(name: string): string;
  /** Makes what happened to the entries durable. */
  sync(): void;
  close(): void;
};

/** Opens a directory, or throws `not_found`, `wrong_kind` or `untrusted_directory`. The caller closes it. */
export function openDirectory(place: Place, self: number): OpenedDirectory {
  const trusted = trustedOwners(place, self);
  let pending = components(place.path);
  let links = 0;
  let current = openRoot();
  try {
    judge(current.status, current.path, place, trusted);
    for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
      const next = openEntry(current, name, place);
      if (next.kind === 'symlink') {
        links += 1;
        if (links > maxSymlinks) {
          throw new HostError('wrong_kind', `${quote(place.path)} leads through too many symlinks`);
        }
        judgeSymlink(next.status, current, name, self);
        pending = [...components(next.target), ...pending];
        if (next.target.startsWith('/')) {
          const root = openRoot();
          current.close();
          current = root;
        }
        continue;
      }
      current.close();
      current = next.directory;
      judge(current.status, current.path, place, trusted);
    }
    return current;
  } catch (error) {
    current.close();
    throw error;
  }
}

/** Runs `use` with the directory that holds `place`, newly walked to, and the name of the entry in it. */
export async function inParent<T>(
  place: Place,
  self: number,
  use: (directory: OpenedDirectory, name: string) => Promise<T>,
): Promise<T> {
  const { parent, name } = entryOf(place);
  const directory = openDirectory(parent, self);
  try {
    return await use(directory, name);
  } finally {
    directory.close();
  }
}

/** Splits a place into its directory and the name in it. Throws `wrong_kind` when it has none. */
export function entryOf(place: Place): { readonly parent: Place; readonly name: string } {
  const slash = place.path.lastIndexOf('/');
  const name = place.path.slice(slash + 1);
  if (name === '' || name === '.' || name === '..') {
    throw new HostError('wrong_kind', `${quote(place.path)} is not an entry of a directory`);
  }
  return { parent: { path: place.path.slice(0, slash) || '/', owner: place.owner }, name };
}

/** Opens a directory in one that was judged, or undefined when there is a symlink. Throws as `openDirectory`. */
export function openWithin(
  parent: OpenedDirectory,
  name: string,
  place: Place,
  self: number,
): OpenedDirectory | undefined {
  const entry = openEntry(parent, name, place);
  if (entry.kind === 'symlink') {
    return undefined;
  }
  try {
    judge(entry.directory.status, entry.directory.path, place, trustedOwners(place, self));
    return entry.directory;
  } catch (error) {
    entry.directory.close();
    throw error;
  }
}

function trustedOwners(place: Place, self: number): ReadonlySet<number> {
  return new Set([0, self, ...(place.owner === undefined ? [] : [place.owner])]);
}

function components(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function openRoot(): OpenedDirectory {
  const descriptor = openSync('/', directoryFlags);
  return opened('/', descriptor, fstatSync(descriptor));
}

type Entry =
  | { readonly kind: 'directory'; readonly directory: OpenedDirectory }
  | { readonly kind: 'symlink'; readonly status: Stats; readonly target: string };

function openEntry(parent: OpenedDirectory, name: string, place: Place): Entry {
  const path = joined(parent.path, name);
  const entry = parent.entry(name);
  try {
    const descriptor = openSync(entry, directoryFlags);
    return { kind: 'directory', directory: opened(path, descriptor, fstatSync(descriptor)) };
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') {
      throw new HostError('not_found', `the directory ${quote(path)} does not exist`, { cause: error });
    }
    // O_DIRECTORY with O_NOFOLLOW on a symlink: ENOTDIR on Linux, ELOOP elsewhere.
    if (code !== 'ENOTDIR' && code !== 'ELOOP') {
      throw new HostError('system', `can't open ${quote(path)} (${code ?? 'unknown error'})`, { cause: error });
    }
  }
  const status = lstatSync(entry);
  if (!status.isSymbolicLink()) {
    throw new HostError('wrong_kind', `${quote(path)}, on the way to ${quote(place.path)}, is not a directory`);
  }
  return { kind: 'symlink', status, target: readlinkSync(entry) };
}

function judge(status: Stats, path: string, place: Place, trusted: ReadonlySet<number>): void {
  if (!trusted.has(status.uid)) {
    throw new HostError(
      'untrusted_directory',
      `the directory ${quote(path)}, on the way to ${quote(place.path)}, belongs to user ${status.uid}: ` +
        `declare that owner for the resource, or give the directory to root`,
    );
  }
  if ((status.mode & worldWritable) !== 0 && (status.mode & sticky) === 0) {
    throw new HostError(
      'untrusted_directory',
      `anybody can write to the directory ${quote(path)}, on the way to ${quote(place.path)}: take that right away`,
    );
  }
}

/**
 * A symlink on the way is as good as a directory only where nobody but root and the agent could have put it: so
 * `/var/run` works, and a link planted in `/tmp` or in a home directory is refused.
 */
function judgeSymlink(link: Stats, directory: OpenedDirectory, name: string, self: number): void {
  const owners = [link.uid, directory.status.uid];
  const shared = (directory.status.mode & (worldWritable | groupWritable)) !== 0;
  if (shared || owners.some((uid) => uid !== 0 && uid !== self)) {
    throw new HostError(
      'untrusted_directory',
      `${quote(joined(directory.path, name))} is a symlink that somebody else could have placed: name its target instead`,
    );
  }
}

function opened(path: string, descriptor: number, status: Stats): OpenedDirectory {
  function entry(name: string): string {
    if (hasDescriptorPaths) {
      return `/proc/self/fd/${descriptor}/${name}`;
    }
    const now = lstatSync(path);
    if (now.dev !== status.dev || now.ino !== status.ino) {
      throw new HostError('untrusted_directory', `the directory ${quote(path)} was replaced while it was in use`);
    }
    return joined(path, name);
  }
  return {
    path,
    status,
    entry,
    sync() {
      // A descriptor opened with O_PATH can't be synced: open(2).
      const readable = openSync(entry('.'), constants.O_RDONLY | constants.O_DIRECTORY);
      try {
        fsyncSync(readable);
      } finally {
        closeSync(readable);
      }
    },
    close: () => closeSync(descriptor),
  };
}

function joined(directory: string, name: string): string {
  if (name !== '..') {
    return directory === '/' ? `/${name}` : `${directory}/${name}`;
  }
  // The directory holds no symlink any more, so `..` in a link's target may be taken back as text.
  return posix.normalize(`${directory}/${name}`);
}

/** A path in a message, escaped so that it can't write to a terminal or a log of its own accord. */
export function quote(path: string): string {
  return JSON.stringify(path);
}

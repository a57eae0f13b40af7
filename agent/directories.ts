/**
 * Opened directories: the way to a file is walked one component at a time, each judged before the next is looked up,
 * and everything afterwards happens relative to the opened directory. So nobody can swap a component between the
 * judgement and the write.
 *
 * Node has no `openat`. On Linux `/proc/self/fd/N/name` is the same thing: the kernel resolves it from the opened
 * directory (proc(5)). Elsewhere the path is used, and the directory's identity is compared right before each use.
 */
import { constants, existsSync, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, readlink } from 'node:fs/promises';
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
  entry(name: string): Promise<string>;
  /** Makes what happened to the entries durable. */
  sync(): Promise<void>;
  close(): Promise<void>;
};

/** Opens a directory, or throws `not_found`, `wrong_kind` or `untrusted_directory`. The caller closes it. */
export async function openDirectory(place: Place, self: number): Promise<OpenedDirectory> {
  const trusted = new Set([0, self, ...(place.owner === undefined ? [] : [place.owner])]);
  let pending = components(place.path);
  let links = 0;
  let current = await openRoot();
  try {
    judge(current.status, current.path, place, trusted);
    for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
      const next = await openEntry(current, name, place);
      if (next.kind === 'symlink') {
        links += 1;
        if (links > maxSymlinks) {
          throw new HostError('wrong_kind', `${quote(place.path)} leads through too many symlinks`);
        }
        judgeSymlink(next.status, current, name, self);
        pending = [...components(next.target), ...pending];
        if (next.target.startsWith('/')) {
          const root = await openRoot();
          await current.close();
          current = root;
        }
        continue;
      }
      await current.close();
      current = next.directory;
      judge(current.status, current.path, place, trusted);
    }
    return current;
  } catch (error) {
    await current.close();
    throw error;
  }
}

/** Runs `use` with the directory that holds `place`, and the name of the entry in it. */
export async function inParent<T>(
  place: Place,
  self: number,
  use: (directory: OpenedDirectory, name: string) => Promise<T>,
): Promise<T> {
  const parts = components(place.path);
  const name = parts.pop();
  if (name === undefined || name === '..') {
    throw new HostError('wrong_kind', `${quote(place.path)} is not an entry of a directory`);
  }
  const directory = await openDirectory({ path: `/${parts.join('/')}`, owner: place.owner }, self);
  try {
    return await use(directory, name);
  } finally {
    await directory.close();
  }
}

function components(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

async function openRoot(): Promise<OpenedDirectory> {
  const handle = await open('/', directoryFlags);
  return opened('/', handle, await handle.stat());
}

type Entry =
  | { readonly kind: 'directory'; readonly directory: OpenedDirectory }
  | { readonly kind: 'symlink'; readonly status: Stats; readonly target: string };

async function openEntry(parent: OpenedDirectory, name: string, place: Place): Promise<Entry> {
  const path = joined(parent.path, name);
  const entry = await parent.entry(name);
  try {
    const handle = await open(entry, directoryFlags);
    return { kind: 'directory', directory: opened(path, handle, await handle.stat()) };
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
  const status = await lstat(entry);
  if (!status.isSymbolicLink()) {
    throw new HostError('wrong_kind', `${quote(path)}, on the way to ${quote(place.path)}, is not a directory`);
  }
  return { kind: 'symlink', status, target: await readlink(entry) };
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

function opened(path: string, handle: FileHandle, status: Stats): OpenedDirectory {
  async function entry(name: string): Promise<string> {
    if (hasDescriptorPaths) {
      return `/proc/self/fd/${handle.fd}/${name}`;
    }
    const now = await lstat(path);
    if (now.dev !== status.dev || now.ino !== status.ino) {
      throw new HostError('untrusted_directory', `the directory ${quote(path)} was replaced while it was in use`);
    }
    return joined(path, name);
  }
  return {
    path,
    status,
    entry,
    async sync() {
      // A descriptor opened with O_PATH can't be synced: open(2).
      const readable = await open(await entry('.'), constants.O_RDONLY | constants.O_DIRECTORY);
      try {
        await readable.sync();
      } finally {
        await readable.close();
      }
    },
    close: () => handle.close(),
  };
}

function joined(directory: string, name: string): string {
  // The directory holds no symlink any more, so `..` in a link's target may be taken back as text.
  return posix.normalize(`${directory}/${name}`);
}

/** A path in a message, escaped so that it can't write to a terminal or a log of its own accord. */
export function quote(path: string): string {
  return JSON.stringify(path);
}

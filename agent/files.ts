/**
 * How files, directories and symlinks are read and changed: temp + fsync + rename relative to an opened directory,
 * with the final owner and mode before the first byte. The steps are named so that tests can cut a change short at
 * each of them.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  createReadStream,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  type Stats,
} from 'node:fs';
import { type FileHandle, mkdir, open, rename, rmdir, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '../lib/crypto/digest.ts';
import { change, type FileDeps, hostError, newTemporaryName } from './changes.ts';
import { type OpenedDirectory, quote } from './directories.ts';
import { systemCode } from './errors.ts';
import { HostError, type Ownership, type Place, type Status } from './host.ts';

const permissionBits = 0o7777;

/** Larger files are read in parts, so that other work goes on in between. */
const maxAtOnceBytes = 1024 * 1024;

/** Only regular content is read: without O_NONBLOCK, opening a pipe would wait for its writer. */
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const createFlags = constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | constants.O_WRONLY;
const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

export function inspect(deps: FileDeps, place: Place): Status | undefined {
  return unlessMissing('look at', place, () =>
    deps.reading.in(place, (directory, name) => {
      const entry = directory.entry(name);
      const status = lstatSync(entry, { throwIfNoEntry: false });
      return status && { ...parseStatus(status), target: status.isSymbolicLink() ? readlinkSync(entry) : undefined };
    }),
  );
}

/** SHA-256 (hex) of a regular file. */
export async function digest(deps: FileDeps, place: Place): Promise<string> {
  return withFile(deps, place, async (descriptor, size) => {
    if (size <= maxAtOnceBytes) {
      return sha256Hex(readFileSync(descriptor));
    }
    const hash = createHash('sha256');
    for await (const chunk of createReadStream('', { fd: descriptor, autoClose: false })) {
      hash.update(chunk);
    }
    return hash.digest('hex');
  });
}

export async function read(deps: FileDeps, place: Place, maxBytes: number): Promise<Uint8Array> {
  return withFile(deps, place, (descriptor, size) => {
    if (size > maxBytes) {
      throw new HostError('too_large', `${quote(place.path)} has ${size} bytes, and at most ${maxBytes} are read`);
    }
    return readFileSync(descriptor);
  });
}

/** The names in a directory; undefined when there is none. */
export function list(deps: FileDeps, place: Place): readonly string[] | undefined {
  return unlessMissing('look into', place, () =>
    deps.reading.in(place, (directory, name) => {
      const descriptor = openSync(directory.entry(name), directoryFlags);
      try {
        return readdirSync(process.platform === 'linux' ? `/proc/self/fd/${descriptor}` : place.path);
      } finally {
        closeSync(descriptor);
      }
    }),
  );
}

/** What `look` says, or undefined when the entry or its directory isn't there. */
function unlessMissing<T>(verb: string, place: Place, look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || (error instanceof HostError && error.code === 'not_found')) {
      return undefined;
    }
    throw hostError(error, verb, place.path);
  }
}

export async function writeFile(
  deps: FileDeps,
  place: Place,
  content: Uint8Array,
  ownership: Ownership,
  validate?: (temporary: string) => Promise<void>,
): Promise<void> {
  await replace(deps, place, async (temporary, path) => {
    deps.step('create temporary', place.path);
    // Permission bits only: setuid and the like are given after the owner, who would take them away again.
    const file = await open(temporary, createFlags, ownership.mode & 0o777);
    try {
      await own(deps, file, place, ownership);
      deps.step('write', place.path);
      await file.writeFile(content);
      deps.step('sync', place.path);
      await file.sync();
    } finally {
      await file.close();
    }
    await validate?.(path);
  });
}

export async function writeSymlink(deps: FileDeps, place: Place, target: string): Promise<void> {
  await replace(deps, place, async (temporary) => {
    deps.step('create temporary', place.path);
    await symlink(target, temporary);
  });
}

/** Made under a temporary name too: a kill in between must not leave a directory with another owner or mode. */
export async function makeDirectory(deps: FileDeps, place: Place, ownership: Ownership): Promise<void> {
  await change(deps, place, 'make', async (directory, name) => {
    const temporaryName = newTemporaryName();
    const temporary = directory.entry(temporaryName);
    try {
      deps.step('make directory', place.path);
      // Never looser than declared, also for the moment before it has its owner.
      await mkdir(temporary, { mode: ownership.mode & 0o700 });
      await ownDirectory(deps, directory, temporaryName, place, ownership);
      deps.step('rename', place.path);
      await rename(temporary, directory.entry(name));
    } catch (error) {
      deps.step('remove temporary', place.path);
      await rmdir(temporary).catch(() => undefined);
      throw error;
    }
    deps.step('sync directory', place.path);
    directory.sync();
  });
}

export async function setDirectory(deps: FileDeps, place: Place, ownership: Ownership): Promise<void> {
  await change(deps, place, 'change', (directory, name) => ownDirectory(deps, directory, name, place, ownership));
}

/**
 * The one way in which something gets its final name. `make` makes the temporary, which goes away if it throws; `path`
 * is where other processes find it, whose way there was judged.
 */
async function replace(
  deps: FileDeps,
  place: Place,
  make: (temporary: string, path: string) => Promise<void>,
): Promise<void> {
  await change(deps, place, 'write', async (directory, name) => {
    const temporaryName = newTemporaryName();
    const temporary = directory.entry(temporaryName);
    try {
      await make(temporary, join(directory.path, temporaryName));
      deps.step('rename', place.path);
      await rename(temporary, directory.entry(name));
    } catch (error) {
      deps.step('remove temporary', place.path);
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
    deps.step('sync directory', place.path);
    directory.sync();
  });
}

async function withFile<T>(
  deps: FileDeps,
  place: Place,
  use: (descriptor: number, bytes: number) => T | Promise<T>,
): Promise<T> {
  try {
    const descriptor = deps.reading.in(place, (directory, name) => openSync(directory.entry(name), readFlags));
    try {
      const status = fstatSync(descriptor);
      if (!status.isFile()) {
        throw new HostError('wrong_kind', `${quote(place.path)} is not a regular file`);
      }
      return await use(descriptor, status.size);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw hostError(error, 'read', place.path);
  }
}

/** Owner first, then mode: chown(2) clears setuid and setgid. Only what open(2) and the umask didn't already give. */
async function own(deps: FileDeps, file: FileHandle, place: Place, ownership: Ownership): Promise<void> {
  const made = await file.stat();
  if (made.uid !== ownership.uid || made.gid !== ownership.gid) {
    deps.step('set ownership', place.path);
    await file.chown(ownership.uid, ownership.gid);
  }
  if (((await file.stat()).mode & permissionBits) !== ownership.mode) {
    deps.step('set ownership', place.path);
    await file.chmod(ownership.mode);
  }
}

async function ownDirectory(
  deps: FileDeps,
  directory: OpenedDirectory,
  name: string,
  place: Place,
  ownership: Ownership,
): Promise<void> {
  const handle = await open(directory.entry(name), directoryFlags);
  try {
    await own(deps, handle, place, ownership);
    deps.step('sync', place.path);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function parseStatus(status: Stats): Omit<Status, 'target'> {
  const kind = status.isFile()
    ? 'file'
    : status.isDirectory()
      ? 'directory'
      : status.isSymbolicLink()
        ? 'symlink'
        : 'other';
  return {
    kind,
    mode: status.mode & permissionBits,
    uid: status.uid,
    gid: status.gid,
    bytes: status.size,
    // Of milliseconds, with their fraction.
    version: `${status.dev}:${status.ino}:${status.size}:${status.mtimeMs}:${status.ctimeMs}`,
  };
}

/**
 * How files, directories and symlinks are read and changed: temp + fsync + rename relative to an opened directory,
 * with the final owner and mode before the first byte. The steps are named so that tests can cut a change short at
 * each of them.
 */
import { createHash } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rmdir,
  symlink,
  unlink,
} from 'node:fs/promises';
import { join } from 'node:path';
import { change, type FileDeps, hostError, newTemporaryName } from './changes.ts';
import { inParent, type OpenedDirectory, quote } from './directories.ts';
import { systemCode } from './errors.ts';
import { HostError, type Ownership, type Place, type Status } from './host.ts';

const permissionBits = 0o7777;

/** Only regular content is read: without O_NONBLOCK, opening a pipe would wait for its writer. */
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const createFlags = constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | constants.O_WRONLY;
const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

export async function inspect(deps: FileDeps, place: Place): Promise<Status | undefined> {
  try {
    return await inParent(place, deps.self, async (directory, name) => {
      const entry = await directory.entry(name);
      const status = await lstat(entry, { bigint: true });
      return { ...parseStatus(status), target: status.isSymbolicLink() ? await readlink(entry) : undefined };
    });
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || (error instanceof HostError && error.code === 'not_found')) {
      return undefined;
    }
    throw hostError(error, 'look at', place.path);
  }
}

/** SHA-256 (hex) of a regular file. */
export async function digest(deps: FileDeps, place: Place): Promise<string> {
  return withFile(deps, place, async (file) => {
    const hash = createHash('sha256');
    for await (const chunk of file.createReadStream({ autoClose: false })) {
      hash.update(chunk);
    }
    return hash.digest('hex');
  });
}

export async function read(deps: FileDeps, place: Place, maxBytes: number): Promise<Uint8Array> {
  return withFile(deps, place, async (file) => {
    const { size } = await file.stat();
    if (size > maxBytes) {
      throw new HostError('too_large', `${quote(place.path)} has ${size} bytes, and at most ${maxBytes} are read`);
    }
    return file.readFile();
  });
}

/** The names in a directory; undefined when there is none. */
export async function list(deps: FileDeps, place: Place): Promise<readonly string[] | undefined> {
  try {
    return await inParent(place, deps.self, async (directory, name) => {
      const handle = await open(await directory.entry(name), directoryFlags);
      try {
        return await readdir(process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : place.path);
      } finally {
        await handle.close();
      }
    });
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || (error instanceof HostError && error.code === 'not_found')) {
      return undefined;
    }
    throw hostError(error, 'look into', place.path);
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
    const temporary = await directory.entry(temporaryName);
    try {
      deps.step('make directory', place.path);
      // Never looser than declared, also for the moment before it has its owner.
      await mkdir(temporary, { mode: ownership.mode & 0o700 });
      await ownDirectory(deps, directory, temporaryName, place, ownership);
      deps.step('rename', place.path);
      await rename(temporary, await directory.entry(name));
    } catch (error) {
      deps.step('remove temporary', place.path);
      await rmdir(temporary).catch(() => undefined);
      throw error;
    }
    deps.step('sync directory', place.path);
    await directory.sync();
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
    const temporary = await directory.entry(temporaryName);
    try {
      await make(temporary, join(directory.path, temporaryName));
      deps.step('rename', place.path);
      await rename(temporary, await directory.entry(name));
    } catch (error) {
      deps.step('remove temporary', place.path);
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
    deps.step('sync directory', place.path);
    await directory.sync();
  });
}

async function withFile<T>(deps: FileDeps, place: Place, use: (file: FileHandle) => Promise<T>): Promise<T> {
  try {
    return await inParent(place, deps.self, async (directory, name) => {
      const file = await open(await directory.entry(name), readFlags);
      try {
        if (!(await file.stat()).isFile()) {
          throw new HostError('wrong_kind', `${quote(place.path)} is not a regular file`);
        }
        return await use(file);
      } finally {
        await file.close();
      }
    });
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
  const handle = await open(await directory.entry(name), directoryFlags);
  try {
    await own(deps, handle, place, ownership);
    deps.step('sync', place.path);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function parseStatus(status: BigIntStats): Omit<Status, 'target'> {
  const kind = status.isFile()
    ? 'file'
    : status.isDirectory()
      ? 'directory'
      : status.isSymbolicLink()
        ? 'symlink'
        : 'other';
  const { dev, ino, size, mtimeNs, ctimeNs } = status;
  return {
    kind,
    mode: Number(status.mode) & permissionBits,
    uid: Number(status.uid),
    gid: Number(status.gid),
    bytes: Number(size),
    version: `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`,
  };
}

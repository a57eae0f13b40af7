/** How files, directories and left-over temporaries are removed: from opened directories only, following no symlink. */
import { constants, readdirSync } from 'node:fs';
import { lstat, open, readdir, rmdir, unlink } from 'node:fs/promises';
import { change, type FileDeps, hostError, isTemporaryName } from './changes.ts';
import { type OpenedDirectory, openDirectory, quote } from './directories.ts';
import { systemCode } from './errors.ts';
import { HostError, type Place } from './host.ts';

const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

export async function removeFile(deps: FileDeps, place: Place): Promise<void> {
  await change(deps, place, 'remove', async (directory, name) => {
    deps.step('remove', place.path);
    await unlink(directory.entry(name)).catch(unlessAbsent);
    deps.step('sync directory', place.path);
    directory.sync();
  });
}

export async function removeDirectory(deps: FileDeps, place: Place, options: { recurse: boolean }): Promise<void> {
  await change(deps, place, 'remove', async (directory, name) => {
    if (options.recurse) {
      await empty(deps, directory.entry(name), place.path, undefined);
    }
    deps.step('remove', place.path);
    await rmdir(directory.entry(name)).catch(unlessAbsent);
    deps.step('sync directory', place.path);
    directory.sync();
  });
}

/** Removes our own left-overs: their name is ours alone, and so is their owner. */
export async function sweep(deps: FileDeps, place: Place): Promise<number> {
  let directory: OpenedDirectory;
  try {
    // Seldom is anything there: a look by the path alone costs the least, and changes nothing.
    if (!readdirSync(place.path).some(isTemporaryName)) {
      return 0;
    }
    directory = openDirectory(place, deps.self);
  } catch (_absentOrUntrusted) {
    // Whatever is wrong with it is said by the resource that lives there.
    return 0;
  }
  try {
    let removed = 0;
    for (const name of await readdir(directory.entry('.'))) {
      if (isTemporaryName(name)) {
        const entry = directory.entry(name);
        const status = await lstat(entry);
        // A temporary that was given to its declared owner already is ours too: only root could have given it.
        if (deps.self === 0 || status.uid === deps.self) {
          deps.step('remove temporary', place.path);
          // A directory of ours is still empty; one that isn't was made by somebody else.
          await (status.isDirectory() ? rmdir(entry).catch(() => undefined) : unlink(entry).catch(unlessAbsent));
          removed += 1;
        }
      }
    }
    return removed;
  } catch (error) {
    throw hostError(error, 'clean up', place.path);
  } finally {
    directory.close();
  }
}

/** Removes what is in a directory, from descriptors only; a symlink is removed, not followed. */
async function empty(deps: FileDeps, entry: string, path: string, device: number | undefined): Promise<void> {
  const handle = await open(entry, directoryFlags).catch(unlessAbsent);
  if (handle === undefined) {
    return;
  }
  try {
    const { dev } = await handle.stat();
    if (device !== undefined && dev !== device) {
      throw new HostError('wrong_kind', `${quote(path)} is a mount: not removed`);
    }
    const inside = process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : entry;
    for (const child of await readdir(inside, { withFileTypes: true })) {
      const childEntry = `${inside}/${child.name}`;
      const childPath = `${path}/${child.name}`;
      if (child.isDirectory()) {
        await empty(deps, childEntry, childPath, dev);
        deps.step('remove', childPath);
        await rmdir(childEntry).catch(unlessAbsent);
      } else {
        deps.step('remove', childPath);
        await unlink(childEntry).catch(unlessAbsent);
      }
    }
  } finally {
    await handle.close();
  }
}

function unlessAbsent(error: unknown): undefined {
  if (systemCode(error) !== 'ENOENT') {
    throw error;
  }
}

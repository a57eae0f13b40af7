/**
 * Durable files of the agent's own state directory: written whole or not at all, whatever kills the process or the
 * machine. Only for that directory, which nobody else can write to; the files of resources go through the host.
 */
import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { systemCode } from './errors.ts';

/** Every file of the state directory is its owner's alone. */
const fileMode = 0o600;

/** When this returns, `path` holds exactly `bytes` and survives a crash; until then it holds what it held. */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const directory = dirname(path);
  // One name per file: the state directory has one writer at a time (see lock.ts), and a left-over is overwritten.
  const temporary = join(directory, `.${basename(path)}.new`);
  await rm(temporary, { force: true });
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | constants.O_WRONLY;
  const file = await open(temporary, flags, fileMode);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncDirectory(directory);
}

/** Makes renames and removals inside `directory` durable. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The bytes of a file, or undefined when there is none. Follows no symlink in the last component. */
export async function readIfPresent(path: string): Promise<Uint8Array | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}

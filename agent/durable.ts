/**
 * Durable files of the agent's own state directory: written whole or not at all, whatever kills the process or the
 * machine. Only for that directory, which nobody else can write to; the files of resources go through the host.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fromStateWrite, systemCode } from './errors.ts';

/** Every file of the state directory is its owner's alone. */
const fileMode = 0o600;

const leftOver = /^\..+\.[0-9a-f]{8}\.new$/;
const leftOverAgeMs = 60 * 60_000;

/**
 * When this returns, `path` holds exactly `bytes` and survives a crash; until then it holds what it held. Throws
 * `AgentError` `state_unwritable` when there is no room or no right.
 */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await write(path, bytes);
  } catch (error) {
    throw fromStateWrite(error, path);
  }
}

async function write(path: string, bytes: Uint8Array): Promise<void> {
  const directory = dirname(path);
  const temporary = join(directory, `.${basename(path)}.${randomBytes(4).toString('hex')}.new`);
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | constants.O_WRONLY;
  const file = await open(temporary, flags, fileMode);
  try {
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(directory);
}

/** Removes what a write that was killed left behind. A young one may be another process's, at work right now. */
export async function removeLeftOvers(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (leftOver.test(name)) {
      const path = join(directory, name);
      const status = await lstat(path).catch(() => undefined);
      if (status !== undefined && Date.now() - status.mtimeMs > leftOverAgeMs) {
        await rm(path, { force: true });
      }
    }
  }
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

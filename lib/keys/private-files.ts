/** Files that only their owner may read: checked before use, and created whole or not at all. */

import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { link, lstat, mkdir, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { KeysError } from './port.ts';

const OTHERS = 0o077;
const MAX_FILE_BYTES = 64 * 1024;

/** Makes the directory (0700) or checks the one that is there. Throws `KeysError` `loose_permissions` with the command that repairs it. */
export async function openPrivateDirectory(directory: string): Promise<void> {
  const created = await mkdir(directory, { recursive: true, mode: 0o700 });
  const stats = await lstat(directory);
  if (!stats.isDirectory()) throw new KeysError('malformed', `${quote(directory)} is not a directory`);
  assertPrivate(directory, stats, 0o700);
  if (created !== undefined) await syncDirectory(dirname(directory));
}

/** The bytes of a private file, or undefined when there is none. Symbolic links are refused. */
export async function readPrivateFile(path: string): Promise<Uint8Array | undefined> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (cause) {
    if (isCode(cause, 'ENOENT')) return undefined;
    if (isCode(cause, 'ELOOP')) throw new KeysError('malformed', `${quote(path)} is a symbolic link`, { cause });
    throw new KeysError('unavailable', `${quote(path)} cannot be read`, { cause });
  }
  try {
    // Of the open file, not of the path: nobody can exchange it between the check and the reading.
    const stats = await file.stat();
    if (!stats.isFile()) throw new KeysError('malformed', `${quote(path)} is not a file`);
    assertPrivate(path, stats, 0o600);
    if (stats.size > MAX_FILE_BYTES) throw new KeysError('malformed', `${quote(path)} is too large for a key file`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/**
 * Creates a file (0600) that did not exist, durable when this returns. Of several processes that race, one wins and
 * returns true; the others return false and must read what the winner wrote.
 */
export async function createPrivateFile(path: string, content: Uint8Array): Promise<boolean> {
  const temporary = `${path}.${randomBytes(8).toString('hex')}.tmp`;
  const file = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    // link(2) fails when the name is taken, where rename(2) would replace another process's key: the file appears under
    // its name whole, with its final mode, and at most once.
    await link(temporary, path);
    return true;
  } catch (cause) {
    if (isCode(cause, 'EEXIST')) return false;
    throw cause;
  } finally {
    await unlink(temporary);
    await syncDirectory(dirname(path));
  }
}

function assertPrivate(path: string, stats: Stats, mode: number): void {
  const uid = process.geteuid?.();
  if (uid === undefined) return; // Windows: access is by ACL, and these bits say nothing
  if (stats.uid !== uid) {
    throw new KeysError(
      'loose_permissions',
      `${quote(path)} belongs to user ${stats.uid}, not to this process's user ${uid}; run: chown ${uid} ${shellQuote(path)}`,
    );
  }
  if ((stats.mode & OTHERS) !== 0) {
    const is = (stats.mode & 0o777).toString(8).padStart(4, '0');
    const wanted = mode.toString(8).padStart(4, '0');
    throw new KeysError(
      'loose_permissions',
      `${quote(path)} can be reached by other users (mode ${is}, must be ${wanted}); run: chmod ${wanted} ${shellQuote(path)}`,
    );
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function quote(path: string): string {
  return JSON.stringify(path);
}

/** For a command that a person will paste into a shell. */
function shellQuote(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) && !path.startsWith('-') ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

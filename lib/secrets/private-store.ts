/** Private files that are replaced whole: temp + fsync + rename, 0600 from their first byte, checked when read. */
import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SecretsError } from './errors.ts';

/** Called before each step of a change; what it throws cuts the change short there, as a kill would. */
export type Step = (name: string) => void;

const maxFileBytes = 128 * 1024;
const temporary = /^\.[0-9a-f]{24}\.tmp$/;

/** Makes the directory (0700) or checks the one that is there, and removes what a killed process left half-written. */
export async function openPrivateDirectory(path: string): Promise<void> {
  const created = await attempt(path, () => mkdir(path, { recursive: true, mode: 0o700 }));
  const stats = await attempt(path, () => lstat(path));
  if (!stats.isDirectory()) throw new SecretsError('unavailable', `${JSON.stringify(path)} is not a directory`);
  assertPrivate(path, stats);
  if (created !== undefined) await syncDirectory(dirname(path));
  for (const name of await readdir(path))
    if (temporary.test(name)) await unlink(join(path, name)).catch(() => undefined);
}

/** The bytes of a file, or undefined when there is none. */
export async function readWhole(path: string): Promise<Uint8Array | undefined> {
  return attempt(path, async () => {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (file === undefined) return undefined;
    try {
      const stats = await file.stat();
      assertPrivate(path, stats);
      if (!stats.isFile() || stats.size > maxFileBytes) {
        throw new SecretsError('not_authentic', `${JSON.stringify(path)} is not a file of the secrets provider`);
      }
      return await file.readFile();
    } finally {
      await file.close();
    }
  });
}

/** Makes or replaces a file. When it returns, the new content survives a crash; before, the old one does. */
export async function replaceWhole(path: string, content: Uint8Array, step: Step): Promise<void> {
  await attempt(path, async () => {
    const draft = join(dirname(path), `.${randomBytes(12).toString('hex')}.tmp`);
    step('create');
    const file = await open(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      step('write');
      await file.writeFile(content);
      step('sync');
      await file.sync();
    } finally {
      await file.close();
    }
    step('rename');
    await rename(draft, path);
    step('sync directory');
    await syncDirectory(dirname(path));
  });
}

export async function removeFile(path: string, step: Step): Promise<void> {
  await attempt(path, async () => {
    step('remove');
    await unlink(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await syncDirectory(dirname(path));
  });
}

/** The names in a directory that are not drafts. */
export async function listNames(path: string): Promise<readonly string[]> {
  return attempt(path, async () => (await readdir(path)).filter((name) => !temporary.test(name)).sort());
}

/** What the system says becomes `unavailable`: the caller can't tell whether the value exists. */
async function attempt<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
    if (cause instanceof SecretsError || code === undefined || !/^E[A-Z0-9]+$/.test(code)) throw cause;
    throw new SecretsError('unavailable', `the secrets provider can't use ${JSON.stringify(path)} (${code})`, {
      cause,
    });
  }
}

function assertPrivate(path: string, stats: Stats): void {
  const uid = process.geteuid?.();
  if (uid === undefined) return; // Windows: access is by ACL, and these bits say nothing
  if (stats.uid === uid && (stats.mode & 0o077) === 0) return;
  throw new SecretsError('loose_permissions', `${JSON.stringify(path)} can be reached by other users`, {
    hint: `Make it yours alone: chown ${uid} and chmod go-rwx.`,
  });
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

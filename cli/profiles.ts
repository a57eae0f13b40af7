/** Profiles: where somebody is logged in, and with which credential. One file that only its owner can read. */
import { lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CliError } from './errors.ts';

const profile = z.strictObject({
  /** As `https://cp.example.org`. */
  url: z.string().regex(/^https:\/\/[^/\s]+$/),
  /** The only CA that may vouch for it, PEM; the system's unless given. */
  ca: z.string().optional(),
  kind: z.enum(['session', 'api-token']),
  token: z.string().min(1).max(200),
  user: z.string(),
  expires: z.string().optional(),
});

const file = z.strictObject({
  v: z.literal(1),
  current: z.string().optional(),
  profiles: z.record(z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}$/i), profile),
});

export type Profile = z.infer<typeof profile>;
export type Profiles = z.infer<typeof file>;

const none: Profiles = { v: 1, profiles: {} };

/** Throws `CliError` when the file is damaged, or when others could read or write it. */
export async function readProfiles(directory: string): Promise<Profiles> {
  const path = join(directory, 'profiles.json');
  let text: string;
  try {
    await requirePrivate(path);
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return none;
    throw error;
  }
  try {
    return file.parse(JSON.parse(text));
  } catch (cause) {
    throw new CliError('failure', `${path} is damaged`, { hint: 'remove it, and log in again', cause });
  }
}

/** Made with its final mode under another name and renamed: there is no moment at which others can read it. */
export async function writeProfiles(directory: string, profiles: Profiles): Promise<void> {
  const path = join(directory, 'profiles.json');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.new`;
  await rm(temporary, { force: true });
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(file.parse(profiles), undefined, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
}

async function requirePrivate(path: string): Promise<void> {
  const stats = await lstat(path);
  const self = process.getuid?.();
  // Windows has neither owners nor modes in this sense.
  if (self === undefined) return;
  if (!stats.isFile() || stats.uid !== self || (stats.mode & 0o077) !== 0)
    throw new CliError('refused', `${path} holds credentials, and others can reach it`, { hint: `chmod 600 ${path}` });
}

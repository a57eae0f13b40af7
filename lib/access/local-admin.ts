/**
 * local-admin: the operator on the server's own host, proven by a token that only the server's own account can read.
 * Minted anew at each boot and kept in memory as a hash alone, so an old token, a copy of the database and a request
 * that merely comes from this host are all worth nothing.
 */
import type { Stats } from 'node:fs';
import { lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../crypto/digest.ts';
import { equalBytes } from '../crypto/encoding.ts';
import { newOpaqueToken } from '../crypto/token.ts';
import { AccessError } from './errors.ts';

const tokenPrefix = 'hfla_';
/** The prefix and 32 bytes as base64url (RFC 4648 §5, no padding). */
const tokenPattern = /^hfla_[A-Za-z0-9_-]{43}$/;
const tokenFile = 'local-admin.token';

export interface LocalAdmin {
  /** Where the token lies, for messages; never the token. */
  readonly path: string;
  /** Whether these characters are the token of this boot. Takes the same time for every well-formed one. */
  verify(presented: string): boolean;
  /** Takes the file away at a clean stop. The token dies with the process in any case. */
  remove(): Promise<void>;
}

/** Mints this boot's token into `runDirectory`, which is made 0700 when absent and refused when others can reach it. */
export async function mintLocalAdmin(runDirectory: string): Promise<LocalAdmin> {
  await mkdir(runDirectory, { recursive: true, mode: 0o700 });
  requirePrivate(runDirectory, await lstat(runDirectory), 'directory');
  const token = newOpaqueToken(tokenPrefix);
  const path = join(runDirectory, tokenFile);
  await writePrivate(path, `${token}\n`);
  const digest = sha256(token);
  return {
    path,
    // `presented` is whatever a stranger sent: shape first, then one hash, then a constant-time comparison of hashes.
    verify: (presented) => tokenPattern.test(presented) && equalBytes(sha256(presented), digest),
    remove: () => rm(path, { force: true }),
  };
}

/** Reads the token as a client on the same host. Throws `AccessError` when it is absent or others could have read it. */
export async function readLocalAdminToken(runDirectory: string): Promise<string> {
  const path = join(runDirectory, tokenFile);
  let text: string;
  try {
    requirePrivate(runDirectory, await lstat(runDirectory), 'directory');
    requirePrivate(path, await lstat(path), 'file');
    text = (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (error instanceof AccessError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') throw new AccessError('missing', `no local-admin token at ${path}`, { cause: error });
    throw new AccessError('unavailable', `can't read the local-admin token at ${path} (${code})`, { cause: error });
  }
  if (!tokenPattern.test(text)) throw new AccessError('malformed', `${path} does not hold a local-admin token`);
  return text;
}

/** Never follows a link and never loosens: what somebody else owns or can reach is refused, not repaired. */
function requirePrivate(path: string, stats: Stats, kind: 'directory' | 'file'): void {
  if (kind === 'directory' ? !stats.isDirectory() : !stats.isFile())
    throw new AccessError('loose_permissions', `${path} is not a plain ${kind}`);
  // Windows has neither owners nor modes in this sense.
  if (process.getuid === undefined) return;
  if (stats.uid !== process.getuid())
    throw new AccessError('loose_permissions', `${path} belongs to user ${stats.uid}, not to user ${process.getuid()}`);
  if ((stats.mode & 0o077) !== 0) {
    const remedy = `chmod ${kind === 'directory' ? '700' : '600'} ${path}`;
    throw new AccessError('loose_permissions', `${path} can be reached by others: ${remedy}`);
  }
}

/** Made with its final mode under another name and renamed, so there is no moment at which others can read it. */
async function writePrivate(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.new`;
  await rm(temporary, { force: true });
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

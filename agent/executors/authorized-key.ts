/**
 * `authorized_key`: one public key that may log in as a user by SSH, with these options, or that may not. Found by the
 * key itself, whatever comment or options its line has; every other line stays. The file and its directory are made
 * as sshd(8) wants them, and belong to the user.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { asBytes, bodyOf, linesOf, readText } from '../edit/text-file.ts';
import type { Difference, Executor } from '../executor.ts';
import { HostError, type HostView } from '../host.ts';
import type { PasswdEntry } from '../platform/account-files.ts';
import { accountStoreOf } from '../platform/accounts.ts';
import { absolutePath, accountName, oneLine, state } from './fields.ts';

const directoryMode = 0o700;
const fileMode = 0o600;

/** As OpenSSH names them. Certificates and DSA keys are no keys to authorize. */
const keyLine =
  /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com) ([A-Za-z0-9+/]{40,}={0,2})(?: (.*))?$/;

const schema = z.strictObject({
  user: accountName,
  /** The public key's line, such as "ssh-ed25519 AAAA… alice@laptop". */
  key: oneLine.refine(isKey, 'must be one public key, as in a .pub file'),
  /** As in sshd(8), AUTHORIZED_KEYS FILE FORMAT: `restrict,command="…"`. */
  options: oneLine
    .refine((text) => !/^[\s#]|\s$/.test(text) && isQuoted(text), 'must be options as in sshd(8)')
    .optional(),
  state,
});

export type AuthorizedKey = z.output<typeof schema>;
export type AuthorizedKeyDifference = Difference & { readonly reason: string };

export const authorizedKey: Executor<AuthorizedKey, AuthorizedKeyDifference> = {
  name: 'authorized_key',
  schema,
  id: (desired) => `${desired.user}#${fingerprint(desired.key)}`,
  async paths(desired, host) {
    const account = await findUser(desired, host);
    return account === undefined ? [] : [`${account.home}/.ssh`, fileOf(account)];
  },

  async check(desired, host) {
    const account = await findUser(desired, host);
    if (account === undefined) {
      if (desired.state === 'absent') {
        return undefined;
      }
      throw new HostError('unknown_account', `there is no user ${JSON.stringify(desired.user)} on this machine`);
    }
    const current = await readText({ path: fileOf(account), owner: account.uid }, host);
    if (editKeys(current ?? '', desired) === (current ?? '')) {
      return undefined;
    }
    if (desired.state === 'absent') {
      return { change: 'removed', reason: 'the key is there' };
    }
    return isListed(current ?? '', desired)
      ? { change: 'updated', reason: 'its line differs' }
      : { change: 'created', reason: 'the key is missing' };
  },

  async apply(_found, desired, host) {
    const account = await findUser(desired, host);
    if (account === undefined) {
      throw new HostError('unknown_account', `there is no user ${JSON.stringify(desired.user)} on this machine`);
    }
    const { uid, gid } = account;
    const file = { path: fileOf(account), owner: uid };
    const directory = { path: `${account.home}/.ssh`, owner: uid };
    if ((await host.inspect(directory)) === undefined) {
      await host.makeDirectory(directory, { mode: directoryMode, uid, gid });
    }
    const text = editKeys((await readText(file, host)) ?? '', desired);
    await host.writeFile(file, Buffer.from(text, 'latin1'), { mode: fileMode, uid, gid });
  },

  describe: (found) => found.reason,
};

async function findUser(desired: AuthorizedKey, host: HostView): Promise<PasswdEntry | undefined> {
  const store = await accountStoreOf(host);
  const found = await store.user(host, desired.user, AbortSignal.timeout(10_000));
  if (found !== undefined && !absolutePath.safeParse(found.home).success) {
    throw new HostError('system', `the user ${JSON.stringify(desired.user)} has no home directory`);
  }
  return found;
}

function fileOf(account: PasswdEntry): string {
  return `${account.home}/.ssh/authorized_keys`;
}

/** The file's text with the key as desired; the same text when it is so already. */
export function editKeys(text: string, desired: Pick<AuthorizedKey, 'key' | 'options' | 'state'>): string {
  const lines = linesOf(text);
  const kept = lines.filter((line) => !isLineOf(line, desired.key));
  if (desired.state === 'absent') {
    return kept.join('');
  }
  const wanted = asBytes(desired.options === undefined ? desired.key : `${desired.options} ${desired.key}`);
  const first = lines.findIndex((line) => isLineOf(line, desired.key));
  if (first < 0) {
    return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${wanted}\n`;
  }
  return lines
    .filter((line, index) => index === first || !isLineOf(line, desired.key))
    .map((line) => (isLineOf(line, desired.key) && bodyOf(line) !== wanted ? `${wanted}\n` : line))
    .join('');
}

function isListed(text: string, desired: AuthorizedKey): boolean {
  return linesOf(text).some((line) => isLineOf(line, desired.key));
}

/** Whether a line authorizes this key: the blob decides, as it does for sshd. Quoted options may hold anything. */
function isLineOf(line: string, key: string): boolean {
  if (/^\s*#/.test(line)) {
    return false;
  }
  const words = bodyOf(line)
    .replace(/"(?:[^"\\]|\\.)*"/g, '')
    .split(/\s+/);
  return words.includes(blobOf(key));
}

function blobOf(key: string): string {
  return keyLine.exec(key)?.[2] ?? '';
}

/** RFC 4253, section 6.6: the blob begins with the length and name of its own type. */
function isKey(key: string): boolean {
  const [, type, base64] = keyLine.exec(key) ?? [];
  if (type === undefined || base64 === undefined) {
    return false;
  }
  const blob = Buffer.from(base64, 'base64');
  const isCanonical = blob.toString('base64') === base64;
  return isCanonical && blob.readUInt32BE(0) === type.length && blob.subarray(4, 4 + type.length).toString() === type;
}

/** No space outside of quotes: the key would begin there. */
function isQuoted(options: string): boolean {
  return options !== '' && !/[\s"]/.test(options.replace(/"(?:[^"\\]|\\.)*"/g, ''));
}

/** As `ssh-keygen -l` prints it. */
function fingerprint(key: string): string {
  const hash = createHash('sha256')
    .update(Buffer.from(blobOf(key), 'base64'))
    .digest('base64');
  return `SHA256:${hash.replace(/=+$/, '')}`;
}

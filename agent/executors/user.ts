/**
 * `user`: an account of the machine with these properties, or none at all. What is left out stays as it is; a new
 * account gets what the machine's own tool gives it.
 *
 * A password is declared as its crypt(5) hash, compared with what is stored, handed to the tool by standard input and
 * never shown. A home directory is made when it is missing, and removed only when `remove_home` says so and the account
 * has exactly the declared one.
 */
import { z } from 'zod';
import { utf8 } from '../../lib/crypto/encoding.ts';
import { hashPassword, isPasswordOf } from '../../lib/secrets/password-hash.ts';
import type { Difference, Executor } from '../executor.ts';
import { type Host, HostError, type HostView } from '../host.ts';
import type { PasswdEntry } from '../platform/account-files.ts';
import { accountStoreOf } from '../platform/accounts.ts';
import type { UserFields } from '../platform/accounts-port.ts';
import { absolutePath, account, accountName, oneLine, state } from './fields.ts';

/** The account's own alone, as useradd(8) with `HOME_MODE` 0700. */
const homeMode = 0o700;

/** crypt(5): yescrypt, gost-yescrypt, scrypt, bcrypt, SHA-512, SHA-256; older ones are broken. `*` and `!` lock. */
const crypt = /^(?:\$(?:y|gy|7|2[aby]|6|5)\$[A-Za-z0-9./=,$]{1,400}|[*!])$/;

const schema = z
  .strictObject({
    name: accountName,
    state,
    uid: z.int().min(0).max(0xfffffffe).optional(),
    /** The primary group, by name or number. */
    group: account.optional(),
    /** All supplementary groups: memberships in others are taken away. */
    groups: z.array(accountName).max(100).optional(),
    home: absolutePath.optional(),
    shell: absolutePath.optional(),
    /** The full name, or whatever the account is for. */
    comment: oneLine.refine((text) => !text.includes(':'), 'must have no colon').optional(),
    /** Made with an id of the range for the system's own. */
    system: z.boolean().default(false),
    /** Make the home directory when it is missing. */
    create_home: z.boolean().default(true),
    password_hash: z.string().regex(crypt, 'must be a crypt(5) hash of a strong kind, "*" or "!"').optional(),
    /** In place of its hash: a reference to a secret, hashed here. What is stored is compared by its own salt. */
    password: z.string().min(1).max(1024).optional(),
    /** With `absent`: remove the home directory that is declared, with all that is in it. */
    remove_home: z.boolean().optional(),
  })
  .refine((desired) => desired.remove_home !== true || (desired.state === 'absent' && desired.home !== undefined), {
    message: 'needs the state "absent" and the home directory to remove',
    path: ['remove_home'],
  })
  .refine((desired) => desired.password === undefined || desired.password_hash === undefined, {
    message: 'can not stand beside password_hash',
    path: ['password'],
  });

export type User = z.output<typeof schema>;
export type UserDifference = Difference & {
  readonly reasons: readonly string[];
  readonly fields: UserFields;
  readonly isPasswordWrong: boolean;
  readonly isAccountThere: boolean;
};

export const user: Executor<User, UserDifference> = {
  name: 'user',
  schema,
  id: (desired) => desired.name,
  paths: (desired) => (desired.home === undefined ? [] : [desired.home]),

  async check(desired, host, { signal }) {
    const store = await accountStoreOf(host);
    const found = await store.user(host, desired.name, signal);
    const isAccountThere = found !== undefined;
    if (desired.state === 'absent') {
      const isHomeLeft = (await homeToRemove(desired, found, host)) !== undefined;
      const reasons = [...(isAccountThere ? ['there is one'] : []), ...(isHomeLeft ? ['its home is there'] : [])];
      return reasons.length === 0
        ? undefined
        : { change: 'removed', reasons, fields: {}, isPasswordWrong: false, isAccountThere };
    }
    if (found === undefined) {
      const isPasswordWrong = hasPassword(desired);
      return { change: 'created', reasons: ['there is none'], fields: {}, isPasswordWrong, isAccountThere };
    }
    const fields: UserFields = {
      uid: other(desired.uid, found.uid),
      gid: other(desired.group === undefined ? undefined : await host.groupId(desired.group), found.gid),
      home: other(desired.home, found.home),
      shell: other(desired.shell, found.shell),
      comment: other(desired.comment, found.comment),
      groups: await otherGroups(desired, await store.groupsOf(host, desired.name, signal)),
    };
    const isPasswordWrong = hasPassword(desired) && !isAsDesired(desired, await store.passwordHash(host, desired.name));
    const reasons = [
      ...Object.entries(fields).flatMap(([field, value]) => (value === undefined ? [] : [`another ${field}`])),
      ...(isPasswordWrong ? ['another password'] : []),
      ...((await isHomeMissing(desired, found, host)) ? ['no home directory'] : []),
    ];
    return reasons.length === 0 ? undefined : { change: 'updated', reasons, fields, isPasswordWrong, isAccountThere };
  },

  async apply(found, desired, host, { signal }) {
    const store = await accountStoreOf(host);
    if (desired.state === 'absent') {
      const home = await homeToRemove(desired, await store.user(host, desired.name, signal), host);
      if (home !== undefined) {
        await host.removeDirectory(home, { recurse: true });
      }
      if (found.isAccountThere) {
        await store.removeUser(host, desired.name, signal);
      }
      return;
    }
    if (found.change === 'created') {
      const { uid, home, shell, comment, groups } = desired;
      // useradd refuses to make a group of the account's name when there is one already.
      const gid =
        desired.group === undefined
          ? (await store.group(host, desired.name, signal))?.gid
          : await host.groupId(desired.group);
      const isNew = { isSystem: desired.system, createHome: desired.create_home };
      await store.addUser(host, desired.name, { uid, gid, home, shell, comment, groups, ...isNew }, signal);
    } else if (Object.values(found.fields).some((value) => value !== undefined)) {
      await store.changeUser(host, desired.name, found.fields, signal);
    }
    const wanted = desired.password === undefined ? desired.password_hash : hashPassword(utf8(desired.password));
    if (found.isPasswordWrong && wanted !== undefined) {
      await store.setPasswordHash(host, desired.name, wanted, signal);
    }
    const entry = await store.user(host, desired.name, signal);
    if (entry !== undefined && (await isHomeMissing(desired, entry, host))) {
      await makeHome(entry, host);
    }
  },

  describe: (found) => found.reasons.join(', '),
};

function hasPassword({ password, password_hash }: User): boolean {
  return password !== undefined || password_hash !== undefined;
}

/** `stored` is what the machine has: a hash, a lock, or nothing. */
function isAsDesired({ password, password_hash }: User, stored: string | undefined): boolean {
  return password === undefined ? password_hash === stored : isPasswordOf(utf8(password), stored ?? '');
}

function other<T>(wanted: T | undefined, found: T): T | undefined {
  return wanted === undefined || wanted === found ? undefined : wanted;
}

async function otherGroups(desired: User, found: readonly string[]): Promise<readonly string[] | undefined> {
  const wanted = desired.groups === undefined ? undefined : [...new Set(desired.groups)].sort();
  return wanted === undefined || wanted.join(',') === found.join(',') ? undefined : wanted;
}

async function isHomeMissing(desired: User, entry: PasswdEntry, host: HostView): Promise<boolean> {
  const home = desired.home ?? entry.home;
  // Accounts of the system often have none, or one that is made by whoever needs it.
  const isWanted =
    desired.home !== undefined || (/^\/(?:home|Users)\//.test(home) && absolutePath.safeParse(home).success);
  return desired.create_home && isWanted && (await host.inspect({ path: home, owner: entry.uid })) === undefined;
}

async function makeHome(entry: PasswdEntry, host: Host): Promise<void> {
  const place = { path: entry.home, owner: entry.uid };
  await host.makeDirectory(place, { mode: homeMode, uid: entry.uid, gid: entry.gid });
}

/** Only the declared one, and only while the account, if it's there, has no other. */
async function homeToRemove(desired: User, entry: PasswdEntry | undefined, host: HostView) {
  if (desired.remove_home !== true || desired.home === undefined) {
    return undefined;
  }
  if (entry !== undefined && entry.home !== desired.home) {
    throw new HostError('system', `its home is ${JSON.stringify(entry.home)}, not ${JSON.stringify(desired.home)}`);
  }
  const place = { path: desired.home, ...(entry === undefined ? {} : { owner: entry.uid }) };
  return (await host.inspect(place)) === undefined ? undefined : place;
}

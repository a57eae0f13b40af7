/**
 * What administrators do to users. Each step first asks whether the caller holds all that the user's role gives: who
 * could set the password, add a key or raise the role of somebody with more rights could become them.
 */

import { formatSshPublicKey, parseSshPublicKey, sshFingerprint } from '../crypto/ssh-key.ts';
import type { Write } from '../store/port.ts';
import { type Caller, mayGrantRole } from './caller.ts';
import { AccessError } from './errors.ts';
import { clearLockout } from './lockout.ts';
import { parseUserName } from './names.ts';
import { bindAccount, unbindAccount } from './oidc-users.ts';
import type { Passwords } from './passwords.ts';
import type { Role } from './principal.ts';
import { changeUser, createUser, deleteUser, requireUser, type User, type UserDeps, type UserKey } from './users.ts';

const maxKeys = 16;

export type AccountDeps = UserDeps & {
  readonly passwords: Passwords;
  /** The identity provider whose accounts users can be bound to. */
  readonly issuer?: string | undefined;
};

export type AccountOrder = { readonly name: string; readonly caller: Caller; readonly revision?: number | undefined };

export async function addAccount(
  deps: AccountDeps,
  order: Omit<AccountOrder, 'revision'> & { readonly role: Role; readonly subject?: string | undefined },
): Promise<User> {
  requireGrant(order.caller, order.role);
  const { subject } = order;
  if (subject !== undefined && deps.issuer === undefined)
    throw new AccessError('malformed', 'a subject belongs to an identity provider, and none is configured');
  const oidc = subject === undefined || deps.issuer === undefined ? undefined : { issuer: deps.issuer, subject };
  const { caller, ...rest } = order;
  return createUser(
    deps,
    { name: rest.name, role: rest.role, actor: caller.principal, ...(oidc === undefined ? {} : { oidc }) },
    oidc === undefined ? [] : [bindAccount(oidc.issuer, oidc.subject, parseUserName(rest.name))],
  );
}

export async function setRole(deps: AccountDeps, order: AccountOrder & { readonly role: Role }): Promise<User> {
  requireGrant(order.caller, order.role);
  return change(deps, order, (user) =>
    user.role === order.role
      ? undefined
      : {
          type: 'user.role',
          detail: { role: order.role, previous: user.role },
          set: { role: order.role },
          endsSessions: true,
        },
  );
}

export function setState(
  deps: AccountDeps,
  order: AccountOrder & { readonly state: 'active' | 'disabled' },
): Promise<User> {
  const type = order.state === 'active' ? 'user.enable' : 'user.disable';
  return change(deps, order, (user) =>
    user.state === order.state ? undefined : { type, set: { state: order.state }, endsSessions: true },
  );
}

/** A new password ends every session: whoever knew the old one is out. */
export function setPassword(deps: AccountDeps, order: AccountOrder & { readonly password: string }): Promise<User> {
  return change(deps, order, async (user) => ({
    type: 'user.password',
    set: { hasPassword: true },
    endsSessions: true,
    extra: [await deps.passwords.set(user.uid, order.password)],
  }));
}

/** Registers a public key for log-in; certificates and weak keys are refused by the parser. */
export async function addKey(deps: AccountDeps, order: AccountOrder & { readonly line: string }): Promise<User> {
  const key = parseSshPublicKey(order.line);
  const fingerprint = sshFingerprint(key);
  const added: UserKey = { line: formatSshPublicKey(key), fingerprint, addedAt: deps.now() };
  return change(deps, order, (user) => {
    if (user.keys.some((held) => held.fingerprint === fingerprint)) return undefined;
    if (user.keys.length >= maxKeys) throw new AccessError('malformed', `a user has at most ${maxKeys} keys`);
    return { type: 'user.key.add', detail: { fingerprint }, set: { keys: [...user.keys, added] }, endsSessions: false };
  });
}

/** Sessions that the key opened can't be told apart from others, so all of them end. */
export function removeKey(deps: AccountDeps, order: AccountOrder & { readonly fingerprint: string }): Promise<User> {
  const { fingerprint } = order;
  return change(deps, order, (user) => {
    const keys = user.keys.filter((held) => held.fingerprint !== fingerprint);
    if (keys.length === user.keys.length)
      throw new AccessError(
        'not_found',
        `the user ${user.name} has no key ${JSON.stringify(fingerprint.slice(0, 80))}`,
      );
    return { type: 'user.key.remove', detail: { fingerprint }, set: { keys }, endsSessions: true };
  });
}

export function endSessions(deps: AccountDeps, order: AccountOrder): Promise<User> {
  return change(deps, order, () => ({ type: 'user.sessions.end', set: {}, endsSessions: true }));
}

export function unlock(deps: AccountDeps, order: AccountOrder): Promise<User> {
  return change(deps, order, (user) => ({
    type: 'user.unlock',
    set: {},
    endsSessions: false,
    extra: [clearLockout(user.name)],
  }));
}

export async function removeAccount(deps: AccountDeps, order: AccountOrder): Promise<User> {
  const user = await requireUser(deps.store, order.name);
  requireGrant(order.caller, user.role);
  const extra: Write[] = [deps.passwords.remove(user.uid)];
  if (user.oidc !== undefined) extra.push(unbindAccount(user.oidc.issuer, user.oidc.subject));
  await deleteUser(deps, user, { actor: order.caller.principal, revision: order.revision, extra });
  return user;
}

type Step = Omit<Parameters<typeof changeUser>[2], 'actor' | 'revision'> | undefined;

/** `undefined` from `step`: it is so already, and nothing is written. */
async function change(
  deps: AccountDeps,
  order: AccountOrder,
  step: (user: User) => Step | Promise<Step>,
): Promise<User> {
  const user = await requireUser(deps.store, order.name);
  requireGrant(order.caller, user.role);
  if (order.revision !== undefined && order.revision !== user.revision)
    throw new AccessError('conflict', `the user ${user.name} was changed by somebody else meanwhile`);
  const made = await step(user);
  if (made === undefined) return user;
  return changeUser(deps, user, { ...made, actor: order.caller.principal, revision: order.revision });
}

function requireGrant(caller: Caller, role: Role): void {
  if (!mayGrantRole(caller, role))
    throw new AccessError('not_permitted', `you do not have all that the role ${role} gives`);
}

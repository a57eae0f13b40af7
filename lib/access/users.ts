/** Users: who may log in, in which role, and with which keys. Every change is one transaction with its audit entry. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Actor, AuditLog } from '../audit/port.ts';
import { AuditError, type Detail } from '../audit/port.ts';
import type { OperationType } from '../audit/registry.ts';
import { toHex } from '../crypto/encoding.ts';
import type { Item, Key, Store, Write } from '../store/port.ts';
import { AccessError } from './errors.ts';
import { parseUserName, type UserName } from './names.ts';
import type { Role } from './principal.ts';

export type UserDeps = {
  readonly store: Store;
  readonly audit: AuditLog;
  readonly now: () => number;
  readonly random?: (bytes: number) => Uint8Array;
};

export type UserKey = { readonly line: string; readonly fingerprint: string; readonly addedAt: number };

const stored = z.object({
  sk: z.string(),
  /** Random, so that a user of the same name after a deletion is another one. */
  uid: z.string(),
  role: z.enum(['admin', 'viewer', 'compliance']),
  state: z.enum(['active', 'disabled']),
  /** Raised by whatever ends every session of the user; a session of an older epoch is dead. */
  epoch: z.int(),
  revision: z.int(),
  createdAt: z.number(),
  createdBy: z.string(),
  hasPassword: z.boolean(),
  keys: z.array(z.object({ line: z.string(), fingerprint: z.string(), addedAt: z.number() })).readonly(),
  /** The account at the identity provider that logs in as this user. */
  oidc: z.object({ issuer: z.string(), subject: z.string() }).optional(),
});

export type User = Omit<z.infer<typeof stored>, 'sk' | 'oidc'> & {
  readonly name: UserName;
  readonly oidc?: { readonly issuer: string; readonly subject: string };
};

export function userKey(name: string): Key {
  return { pk: 'user', sk: name };
}

/** The user of exactly this normal form. */
export async function getUser(store: Store, name: string): Promise<User | undefined> {
  if (name === '') return undefined;
  const item = await store.get(userKey(name));
  return item && parseUser(item);
}

/** Throws `AccessError` `not_found`. */
export async function requireUser(store: Store, name: string): Promise<User> {
  const user = await getUser(store, parseUserName(name));
  if (user === undefined) throw new AccessError('not_found', `there is no user ${JSON.stringify(parseUserName(name))}`);
  return user;
}

export async function listUsers(
  store: Store,
  page: { readonly limit: number; readonly after?: string },
): Promise<{ readonly users: readonly User[]; readonly next?: string }> {
  const { items, next } = await store.query({ pk: 'user', ...page });
  return { users: items.map(parseUser), ...(next === undefined ? {} : { next }) };
}

export type NewUser = {
  readonly name: string;
  readonly role: Role;
  readonly actor: Actor;
  readonly oidc?: { readonly issuer: string; readonly subject: string };
};

/** Creates a user who can't log in yet. Throws `AccessError` `exists`. `extra` is written in the same transaction. */
export async function createUser(deps: UserDeps, order: NewUser, extra: readonly Write[] = []): Promise<User> {
  const name = parseUserName(order.name);
  const item = {
    ...userKey(name),
    uid: toHex((deps.random ?? randomBytes)(16)),
    role: order.role,
    state: 'active',
    epoch: 1,
    revision: 1,
    createdAt: deps.now(),
    createdBy: order.actor.id,
    hasPassword: false,
    keys: [],
    ...(order.oidc === undefined ? {} : { oidc: order.oidc }),
  } as const;
  const outcome = await deps.audit.append(
    {
      type: 'user.create',
      actor: order.actor,
      object: { kind: 'user', id: name },
      outcome: 'success',
      detail: { role: order.role, ...(order.oidc === undefined ? {} : { issuer: order.oidc.issuer.slice(0, 300) }) },
    },
    [{ kind: 'put', item, when: { kind: 'absent' } }, ...extra],
  );
  if (!outcome.ok) throw new AccessError('exists', `there is a user ${JSON.stringify(name)} already`);
  return parseUser(item);
}

/** A change of one user, given as what it sets; `endsSessions` also raises the epoch. */
export type UserChange = {
  readonly type: OperationType;
  readonly actor: Actor;
  readonly detail?: Detail;
  readonly set: { readonly [name: string]: string | boolean | readonly UserKey[] };
  readonly endsSessions: boolean;
  /** The revision that the caller saw; another one is a `conflict`. */
  readonly revision?: number | undefined;
  readonly extra?: readonly Write[];
};

/** Applies a change to the user as `user` stands, or throws `AccessError` `conflict`. */
export async function changeUser(deps: UserDeps, user: User, change: UserChange): Promise<User> {
  const expected = change.revision ?? user.revision;
  const outcome = await deps.audit.append(
    {
      type: change.type,
      actor: change.actor,
      object: { kind: 'user', id: user.name },
      outcome: 'success',
      detail: change.detail ?? {},
    },
    [
      {
        kind: 'update',
        key: userKey(user.name),
        set: change.set,
        add: { revision: 1, ...(change.endsSessions ? { epoch: 1 } : {}) },
        when: {
          kind: 'all',
          of: [
            { kind: 'equals', name: 'revision', value: expected },
            { kind: 'equals', name: 'uid', value: user.uid },
          ],
        },
      },
      ...(change.extra ?? []),
    ],
  );
  if (!outcome.ok) throw new AccessError('conflict', `the user ${user.name} was changed by somebody else meanwhile`);
  return requireUser(deps.store, user.name);
}

/** Deletes the user as it stands; its sessions and API tokens are dead with it, also for a later user of that name. */
export async function deleteUser(
  deps: UserDeps,
  user: User,
  order: { readonly actor: Actor; readonly revision?: number | undefined; readonly extra?: readonly Write[] },
): Promise<void> {
  const outcome = await deps.audit.append(
    {
      type: 'user.delete',
      actor: order.actor,
      object: { kind: 'user', id: user.name },
      outcome: 'success',
      detail: {},
    },
    [
      {
        kind: 'delete',
        key: userKey(user.name),
        when: { kind: 'equals', name: 'revision', value: order.revision ?? user.revision },
      },
      ...(order.extra ?? []),
    ],
  );
  if (!outcome.ok) throw new AccessError('conflict', `the user ${user.name} was changed by somebody else meanwhile`);
}

export function parseUser(item: Item): User {
  const parsed = stored.safeParse(item);
  if (!parsed.success) throw new AuditError('corrupt', 'A stored user can not be read.', { cause: parsed.error });
  const { sk, oidc, ...rest } = parsed.data;
  return { ...rest, name: sk as UserName, ...(oidc === undefined ? {} : { oidc }) };
}

/**
 * API tokens: long-lived credentials of a user for programs. Kept as SHA-256, shown once; what the owner may do is read
 * anew on every call, and a token can only ever have less.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { AuditError, type AuditLog } from '../audit/port.ts';
import { sha256Hex } from '../crypto/digest.ts';
import { everyItem } from '../store/every-item.ts';
import { type Listing, type ListingPosition, placed, placeWrite, readListing } from '../store/listing.ts';
import type { Item, Key, Store } from '../store/port.ts';
import { type Caller, grantFor } from './caller.ts';
import { AccessError } from './errors.ts';
import { type Permission, permissions } from './permissions.ts';
import { formatApiToken, isApiTokenFormat } from './token-format.ts';
import { getUser, type User, userKey } from './users.ts';

export type ApiTokenDeps = {
  readonly store: Store;
  readonly audit: AuditLog;
  readonly now: () => number;
  readonly random?: (bytes: number) => Uint8Array;
};

const lifeMs = { least: 60_000, most: 366 * 86_400_000 };
/** Use is noted at most this often. */
const usedStepMs = 3_600_000;
const idPattern = /^[0-9a-f]{16}$/;

const stored = z.object({
  sk: z.string(),
  name: z.string(),
  owner: z.string(),
  uid: z.string(),
  state: z.enum(['active', 'revoked']),
  createdAt: z.number(),
  createdBy: z.string(),
  expiresAt: z.number().optional(),
  scope: z.array(z.string()).optional(),
  usedAt: z.number().optional(),
  revokedAt: z.number().optional(),
});

export type ApiToken = {
  /** The first 16 hex digits of the hash. */
  readonly id: string;
  readonly hash: string;
  readonly name: string;
  readonly owner: string;
  readonly uid: string;
  readonly state: 'active' | 'revoked';
  readonly createdAt: number;
  readonly createdBy: string;
  readonly expiresAt?: number;
  readonly scope?: readonly Permission[];
  /** Within the hour. */
  readonly usedAt?: number;
  readonly revokedAt?: number;
};

/** Spread by the hash's first digit, because every call with a token reads one. */
export function apiTokenKey(hash: string): Key {
  return { pk: `api-token#${hash.slice(0, 1)}`, sk: hash };
}

const partitions = [...'0123456789abcdef'].map((digit) => `api-token#${digit}`);

/** Newest first: everybody's, or those of one owner, whose name is in its normal form. */
export function apiTokenListing(owner?: string): Listing {
  const all = { places: 'listing#api-token', partitions, keyOf: apiTokenKey };
  if (owner === undefined) return all;
  return { ...all, places: `${all.places}#${owner}`, includes: (item) => item['owner'] === owner };
}

export type NewApiToken = {
  readonly name: string;
  readonly owner: User;
  readonly caller: Caller;
  readonly scope?: readonly Permission[] | undefined;
  readonly ttlMs?: number | undefined;
};

/** Mints a token. Throws `AccessError` `not_permitted` when it could do more than who asks for it. */
export async function createApiToken(
  deps: ApiTokenDeps,
  { name, owner, caller, scope, ttlMs }: NewApiToken,
): Promise<{ readonly token: string; readonly record: ApiToken }> {
  const createdAt = deps.now();
  if (ttlMs !== undefined && !(Number.isSafeInteger(ttlMs) && ttlMs >= lifeMs.least && ttlMs <= lifeMs.most))
    throw new AccessError('malformed', 'an API token lives between one minute and 366 days');
  if (owner.state !== 'active') throw new AccessError('not_permitted', `the user ${owner.name} is disabled`);
  const lacked = scope?.find((permission) => grantFor(caller, permission) === 'none');
  // Also where it is worth nothing today: the owner's role may change, and the token with it.
  if (lacked !== undefined)
    throw new AccessError('not_permitted', `the token would have ${lacked}, which you do not have`);
  const narrowed = scope ?? caller.scope;
  requireHeld(caller, owner, narrowed);
  const expiresAt = ttlMs === undefined ? undefined : createdAt + ttlMs;
  // A token can't outlive the token that made it: its loss would otherwise last longer than itself.
  if (caller.via === 'api-token' && caller.expiresAt !== undefined && (expiresAt ?? Infinity) > caller.expiresAt)
    throw new AccessError('not_permitted', 'an API token can not make one that lives longer than itself');
  const token = formatApiToken((deps.random ?? randomBytes)(32));
  const hash = sha256Hex(token);
  const item = {
    ...apiTokenKey(hash),
    ...placed,
    name,
    owner: owner.name,
    uid: owner.uid,
    state: 'active',
    createdAt,
    createdBy: caller.principal.id,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(narrowed === undefined ? {} : { scope: [...narrowed] }),
  } as const;
  const outcome = await deps.audit.append(
    {
      type: 'api-token.create',
      actor: caller.principal,
      object: { kind: 'api-token', id: hash.slice(0, 16) },
      outcome: 'success',
      detail: {
        owner: owner.name,
        ...(expiresAt === undefined ? {} : { expires: new Date(expiresAt).toISOString() }),
        ...(narrowed === undefined ? {} : { scope: [...narrowed] }),
      },
    },
    [
      { kind: 'put', item, when: { kind: 'absent' } },
      { kind: 'check', key: userKey(owner.name), when: { kind: 'equals', name: 'uid', value: owner.uid } },
      placeWrite(apiTokenListing().places, createdAt, hash),
      placeWrite(apiTokenListing(owner.name).places, createdAt, hash),
    ],
  );
  if (!outcome.ok) throw new AccessError('conflict', `the user ${owner.name} was changed meanwhile`);
  return { token, record: parseApiToken(item) };
}

/** What the new token could do, the caller can do: now, and through nobody else's role. */
function requireHeld(caller: Caller, owner: User, scope: readonly Permission[] | undefined): void {
  const ofOwner = { principal: { role: owner.role } as Caller['principal'], ...(scope === undefined ? {} : { scope }) };
  for (const permission of permissions) {
    const given = grantFor(ofOwner, permission);
    const held = grantFor(caller, permission);
    if (given === 'none' || held === 'all' || (held === 'own' && given === 'own')) continue;
    throw new AccessError('not_permitted', `the token would have ${permission}, which you do not have`);
  }
}

/** Who a token proves, or why it proves nobody. A malformed one costs a pattern and a checksum, and no read. */
export async function resolveApiToken(
  { store, now }: Pick<ApiTokenDeps, 'store' | 'now'>,
  text: string,
  isUse = true,
): Promise<{ readonly caller: Caller } | { readonly refused: string }> {
  if (!isApiTokenFormat(text)) return { refused: 'malformed_token' };
  const hash = sha256Hex(text);
  const item = await store.get(apiTokenKey(hash));
  if (item === undefined) return { refused: 'unknown_token' };
  const token = parseApiToken(item);
  const at = now();
  if (token.state !== 'active') return { refused: 'token_revoked' };
  if (token.expiresAt !== undefined && at >= token.expiresAt) return { refused: 'token_expired' };
  const user = await getUser(store, token.owner);
  if (user === undefined || user.uid !== token.uid) return { refused: 'user_gone' };
  if (user.state !== 'active') return { refused: 'user_disabled' };
  if (isUse && at - (token.usedAt ?? 0) >= usedStepMs) await noteUse(store, hash, at);
  return {
    caller: {
      principal: { id: user.name, kind: 'api-token', role: user.role, auth: 'api-token' },
      via: 'api-token',
      user: { name: user.name, uid: user.uid },
      isAmbient: false,
      credential: hash,
      ...(token.scope === undefined ? {} : { scope: token.scope }),
      ...(token.expiresAt === undefined ? {} : { expiresAt: token.expiresAt }),
    },
  };
}

/** One page, newest first. It may have fewer than `limit`, and even none: only an absent `next` is the end. */
export async function listApiTokens(
  store: Store,
  page: {
    /** In its normal form; everybody's when absent. */
    readonly owner?: string | undefined;
    readonly limit: number;
    readonly position?: ListingPosition | undefined;
  },
): Promise<{ readonly tokens: readonly ApiToken[]; readonly next?: ListingPosition }> {
  const { items, next } = await readListing(store, apiTokenListing(page.owner), page);
  return { tokens: items.map(parseApiToken), ...(next === undefined ? {} : { next }) };
}

/** By its public id. Throws `AccessError` `not_found`. */
export async function findApiToken(store: Store, id: string): Promise<ApiToken> {
  const range = { pk: `api-token#${id.slice(0, 1)}`, prefix: id };
  const [item, ...more] = idPattern.test(id) ? await Array.fromAsync(everyItem(store, range)) : [];
  if (item === undefined || more.length > 0) throw new AccessError('not_found', `no API token has the id ${id}`);
  return parseApiToken(item);
}

/** The token is dead when this returns. Revoking one that is revoked changes nothing. */
export async function revokeApiToken(deps: ApiTokenDeps, token: ApiToken, caller: Caller): Promise<ApiToken> {
  if (token.state === 'revoked') return token;
  await deps.audit.append(
    {
      type: 'api-token.revoke',
      actor: caller.principal,
      object: { kind: 'api-token', id: token.id },
      outcome: 'success',
      detail: { owner: token.owner },
    },
    [
      {
        kind: 'update',
        key: apiTokenKey(token.hash),
        set: { state: 'revoked', revokedAt: deps.now() },
        when: { kind: 'equals', name: 'state', value: 'active' },
      },
    ],
  );
  return findApiToken(deps.store, token.id);
}

async function noteUse(store: Store, hash: string, at: number): Promise<void> {
  await store
    .transact([{ kind: 'update', key: apiTokenKey(hash), set: { usedAt: at }, when: { kind: 'present' } }])
    // Nothing is decided by it; the next call tries again.
    .catch(() => undefined);
}

function parseApiToken(item: Item): ApiToken {
  const parsed = stored.safeParse(item);
  if (!parsed.success) throw new AuditError('corrupt', 'A stored API token can not be read.', { cause: parsed.error });
  const { sk, ...rest } = parsed.data;
  return { ...(rest as Omit<ApiToken, 'id' | 'hash'>), hash: sk, id: sk.slice(0, 16) };
}

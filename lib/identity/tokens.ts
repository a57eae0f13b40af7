/**
 * Enrollment tokens: 256 random bits, shown once, stored as their SHA-256 (a random value of that size needs no slow
 * hash), and good for one node within a limited time.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Actor, AuditLog } from '../audit/port.ts';
import { formatEnrollmentToken, hashTokenSecret } from '../crypto/token.ts';
import { everyItem } from '../store/every-item.ts';
import { type Listing, type ListingPosition, placed, placeWrite, readListing } from '../store/listing.ts';
import type { Item, Key, Store } from '../store/port.ts';
import { IdentityError } from './errors.ts';
import { type Labels, parseHostnamePattern, parseLabels } from './names.ts';

export type TokenState = 'open' | 'used' | 'cancelled';

export type EnrollmentToken = {
  /** SHA-256 of the secret, hexadecimal. Its first 16 digits are the token's id. */
  readonly hash: string;
  readonly id: string;
  readonly state: TokenState;
  readonly labels: Labels;
  /** Only a host of this name or pattern may use it. */
  readonly hostname?: string;
  /** Only the holder of this identity key may use it. */
  readonly fingerprint?: string;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly expires: number;
  /** UUID of the node that it enrolled. */
  readonly usedBy?: string;
  readonly usedAt?: number;
};

export type TokenDeps = {
  readonly store: Store;
  readonly audit: AuditLog;
  readonly now: () => number;
  /** The fleet's pin, which each token carries. */
  readonly pin: Uint8Array;
  readonly random?: (bytes: number) => Uint8Array;
};

export type TokenOrder = {
  readonly labels?: Labels;
  readonly hostname?: string;
  readonly fingerprint?: string;
  readonly ttlMs?: number;
  readonly actor: Actor;
};

const hourMs = 3_600_000;
const defaultTtlMs = 24 * hourMs;
const minTtlMs = 60_000;
const maxTtlMs = 30 * 24 * hourMs;
const fingerprintPattern = /^SHA256:[A-Za-z0-9_-]{43}$/;
const idPattern = /^[0-9a-f]{16}$/;

const stored = z.object({
  sk: z.string().regex(/^[0-9a-f]{64}$/),
  state: z.enum(['open', 'used', 'cancelled']),
  labels: z.record(z.string(), z.string()),
  hostname: z.string().optional(),
  fingerprint: z.string().optional(),
  createdAt: z.number(),
  createdBy: z.string(),
  expires: z.number(),
  usedBy: z.string().optional(),
  usedAt: z.number().optional(),
});

export function tokenKey(hash: string): Key {
  return { pk: 'token', sk: hash };
}

/** Newest first. */
export const tokenListing: Listing = { places: 'listing#token', partitions: ['token'], keyOf: tokenKey };

export function tokenId(hash: string): string {
  return hash.slice(0, 16);
}

/** The answer holds the only copy of the token. `ttlMs` is a minute to 30 days, 24 hours unless told. */
export async function createEnrollmentToken(
  deps: TokenDeps,
  order: TokenOrder,
): Promise<{ readonly token: string; readonly id: string; readonly expires: number }> {
  const labels = parseLabels(order.labels ?? {});
  const hostname = order.hostname === undefined ? undefined : parseHostnamePattern(order.hostname);
  const fingerprint = order.fingerprint === undefined ? undefined : parseFingerprint(order.fingerprint);
  const createdAt = deps.now();
  const expires = createdAt + parseTtl(order.ttlMs ?? defaultTtlMs);
  const limits = { labels, ...(hostname ? { hostname } : {}), ...(fingerprint ? { fingerprint } : {}) };

  const secret = (deps.random ?? randomBytes)(32);
  const hash = hashTokenSecret(secret);
  const id = tokenId(hash);
  const outcome = await deps.audit.append(
    {
      type: 'token.create',
      actor: order.actor,
      object: { kind: 'token', id },
      outcome: 'success',
      detail: { expires: new Date(expires).toISOString(), ...limits },
    },
    [
      {
        kind: 'put',
        item: { ...tokenKey(hash), ...placed, state: 'open', createdAt, createdBy: order.actor.id, expires, ...limits },
        when: { kind: 'absent' },
      },
      placeWrite(tokenListing.places, createdAt, hash),
    ],
  );
  // 256 random bits do not repeat: a random source that is broken must not hand out a token twice.
  if (!outcome.ok) throw new Error('The random source repeated itself.');
  return { token: formatEnrollmentToken({ secret, pin: deps.pin }), id, expires };
}

/** One page, newest first. It may have fewer than `limit`, and even none: only an absent `next` is the end. */
export async function listEnrollmentTokens(
  store: Store,
  page: { readonly limit: number; readonly position?: ListingPosition | undefined },
): Promise<{ readonly tokens: readonly EnrollmentToken[]; readonly next?: ListingPosition }> {
  const { items, next } = await readListing(store, tokenListing, page);
  return { tokens: items.map(parseToken), ...(next === undefined ? {} : { next }) };
}

/** A used token can't be cancelled: revoke its node instead. Cancelling a cancelled one changes nothing. */
export async function cancelEnrollmentToken(
  deps: Pick<TokenDeps, 'store' | 'audit'>,
  order: { readonly id: string; readonly actor: Actor },
): Promise<EnrollmentToken> {
  const token = await findToken(deps.store, order.id);
  if (token.state === 'cancelled') return token;
  const outcome = await deps.audit.append(
    {
      type: 'token.cancel',
      actor: order.actor,
      object: { kind: 'token', id: token.id },
      outcome: 'success',
      detail: {},
    },
    [
      {
        kind: 'update',
        key: tokenKey(token.hash),
        set: { state: 'cancelled' },
        when: { kind: 'equals', name: 'state', value: 'open' },
      },
    ],
  );
  const after = await findToken(deps.store, order.id);
  if (outcome.ok || after.state === 'cancelled') return after;
  throw new IdentityError(
    'not_open',
    `Token ${token.id} was used to enroll node ${after.usedBy}: revoke that instead.`,
  );
}

/** By what the bearer presents. */
export async function getToken(store: Store, hash: string): Promise<EnrollmentToken | undefined> {
  const item = await store.get(tokenKey(hash));
  return item && parseToken(item);
}

async function findToken(store: Store, id: string): Promise<EnrollmentToken> {
  if (!idPattern.test(id)) throw new IdentityError('malformed', 'A token id has 16 hexadecimal digits.');
  const [item, ...more] = await Array.fromAsync(everyItem(store, { pk: 'token', prefix: id }));
  if (!item || more.length > 0) throw new IdentityError('not_found', `No token has the id ${id}.`);
  return parseToken(item);
}

function parseToken(item: Item): EnrollmentToken {
  const parsed = stored.safeParse(item);
  if (!parsed.success) throw new IdentityError('malformed', 'A stored token can not be read.', { cause: parsed.error });
  const { sk, ...rest } = parsed.data;
  return { ...(rest as Omit<EnrollmentToken, 'hash' | 'id'>), hash: sk, id: tokenId(sk) };
}

function parseFingerprint(text: string): string {
  if (!fingerprintPattern.test(text))
    throw new IdentityError('malformed', 'A fingerprint is "SHA256:" and 43 characters.');
  return text;
}

function parseTtl(ttlMs: number): number {
  if (!Number.isSafeInteger(ttlMs) || ttlMs < minTtlMs || ttlMs > maxTtlMs) {
    throw new IdentityError('malformed', 'A token lives between one minute and 30 days.');
  }
  return ttlMs;
}

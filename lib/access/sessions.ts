/**
 * Sessions: server-side, known by the hash of their id, ended by idleness, age, log-out, or anything that raises the
 * user's epoch. Read from the store on every request, so an end is seen by the next request of every process.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { AuditLog } from '../audit/port.ts';
import { sha256Hex } from '../crypto/digest.ts';
import { newOpaqueToken } from '../crypto/token.ts';
import type { Key, Store } from '../store/port.ts';
import type { Caller } from './caller.ts';
import { refusedLogin } from './errors.ts';
import { getUser, type User, userKey } from './users.ts';

export type SessionLimits = { readonly idleMs: number; readonly absoluteMs: number };
export const sessionLimits: SessionLimits = { idleMs: 15 * 60_000, absoluteMs: 12 * 3_600_000 };

export type SessionDeps = {
  readonly store: Store;
  readonly audit: AuditLog;
  readonly now: () => number;
  /** The method that this control plane logs in by; a session made by another one is dead. */
  readonly method: string;
  readonly random?: (bytes: number) => Uint8Array;
  readonly limits?: SessionLimits;
};

/** How the client holds the id: a browser's cookie, or a header that only our CLI sends. Each is refused as the other. */
export type Transport = 'cookie' | 'bearer';

/** `hfs_` and 32 random bytes as base64url. */
const idPattern = /^hfs_[A-Za-z0-9_-]{43}$/;
/** Use is written down this coarsely, always rounding the idle time up, never down. */
const seenStepMs = 60_000;

const stored = z.object({
  user: z.string(),
  uid: z.string(),
  epoch: z.int(),
  method: z.string(),
  transport: z.enum(['cookie', 'bearer']),
  createdAt: z.number(),
  seenAt: z.number(),
  expiresAt: z.number(),
});

export function isSessionIdFormat(text: string): boolean {
  return idPattern.test(text);
}

/** Spread by the hash's first digit, because every request reads one. */
export function sessionKey(hash: string): Key {
  return { pk: `session#${hash.slice(0, 1)}`, sk: hash };
}

/** Opens a session of a user who has just proven to be it. The answer holds the only copy of the id. */
export async function openSession(
  deps: SessionDeps,
  user: User,
  transport: Transport,
): Promise<{ readonly id: string; readonly expiresAt: number; readonly maxAgeMs: number }> {
  const { absoluteMs } = deps.limits ?? sessionLimits;
  const id = newOpaqueToken('hfs_', deps.random ?? randomBytes);
  const createdAt = deps.now();
  const expiresAt = createdAt + absoluteMs;
  const { name, uid, epoch, role } = user;
  const session = { user: name, uid, epoch, method: deps.method, transport, createdAt, seenAt: createdAt, expiresAt };
  const outcome = await deps.audit.append(
    {
      type: 'session.create',
      actor: { id: name, kind: 'user', role, auth: deps.method },
      object: { kind: 'user', id: name },
      outcome: 'success',
      detail: { method: deps.method, expires: new Date(expiresAt).toISOString() },
    },
    [
      { kind: 'put', item: { ...sessionKey(sha256Hex(id)), ...session }, when: { kind: 'absent' } },
      // Disabled, deleted or given another role between the proof and now: then there is no session.
      {
        kind: 'check',
        key: userKey(name),
        when: {
          kind: 'all',
          of: [
            { kind: 'equals', name: 'uid', value: uid },
            { kind: 'equals', name: 'epoch', value: epoch },
            { kind: 'equals', name: 'state', value: 'active' },
          ],
        },
      },
    ],
  );
  if (!outcome.ok) throw refusedLogin('user_changed');
  return { id, expiresAt, maxAgeMs: absoluteMs };
}

/** Who a session id proves, or why it proves nobody. `id` is whatever a stranger sent; `isUse`: its time is noted. */
export async function resolveSession(
  deps: Omit<SessionDeps, 'audit' | 'random'>,
  id: string,
  transport: Transport,
  isUse = true,
): Promise<{ readonly caller: Caller } | { readonly refused: string }> {
  if (!isSessionIdFormat(id)) return { refused: 'malformed_session' };
  const { store, now, limits: { idleMs } = sessionLimits } = deps;
  const hash = sha256Hex(id);
  const item = await store.get(sessionKey(hash));
  const parsed = stored.safeParse(item);
  if (item === undefined || !parsed.success) return { refused: 'unknown_session' };
  const session = parsed.data;
  const at = now();
  if (session.transport !== transport) return { refused: 'wrong_transport' };
  if (session.method !== deps.method) return { refused: 'method_changed' };
  if (at >= session.expiresAt) return { refused: 'session_expired' };
  if (at - session.seenAt >= idleMs) return { refused: 'session_idle' };
  const user = await getUser(store, session.user);
  if (user === undefined || user.uid !== session.uid) return { refused: 'user_gone' };
  if (user.state !== 'active') return { refused: 'user_disabled' };
  if (user.epoch !== session.epoch) return { refused: 'session_ended' };
  if (isUse && at - session.seenAt >= Math.min(seenStepMs, idleMs / 4)) await noteSeen(store, hash, at);
  return {
    caller: {
      principal: { id: user.name, kind: 'user', role: user.role, auth: session.method },
      via: 'session',
      user: { name: user.name, uid: user.uid },
      isAmbient: transport === 'cookie',
      expiresAt: session.expiresAt,
      credential: hash,
    },
  };
}

/** Log-out: the session is gone when this returns. Ending one that is gone already changes nothing. */
export async function endSession(deps: Pick<SessionDeps, 'store' | 'audit'>, caller: Caller): Promise<void> {
  if (caller.via !== 'session' || caller.credential === undefined) return;
  await deps.audit.append(
    {
      type: 'session.end',
      actor: caller.principal,
      object: { kind: 'user', id: caller.principal.id },
      outcome: 'success',
      detail: {},
    },
    [{ kind: 'delete', key: sessionKey(caller.credential), when: { kind: 'present' } }],
  );
}

/** Never brings back a session that ended meanwhile. */
async function noteSeen(store: Store, hash: string, at: number): Promise<void> {
  await store
    .transact([{ kind: 'update', key: sessionKey(hash), set: { seenAt: at }, when: { kind: 'present' } }])
    // A request is not refused because its time could not be noted; the session then idles out earlier.
    .catch(() => undefined);
}

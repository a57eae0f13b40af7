/**
 * The pre-log-in session: what binds the steps of one log-in to one client. Only the client holds its id; the store
 * holds the hash, and every value of the log-in (challenge, state, nonce, PKCE verifier) is derived from the id, so
 * that a copy of the store yields none of them. Taken once, whatever comes of it.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { sha256Hex } from '../crypto/digest.ts';
import { newOpaqueToken } from '../crypto/token.ts';
import { type Attribute, type Key, type Store, StoreError } from '../store/port.ts';
import { boundRows, expiryOf } from './bounded-rows.ts';
import { refusedLogin } from './errors.ts';

type LoginDeps = {
  readonly store: Store;
  readonly now: () => number;
  readonly random?: (bytes: number) => Uint8Array;
};

const idPattern = /^hfl_[A-Za-z0-9_-]{43}$/;
const stored = z.object({ method: z.string(), expiresAt: z.number(), data: z.record(z.string(), z.string()) });

export type LoginState = { readonly id: string; readonly expiresAt: number };

function loginKey(id: string): Key {
  const hash = sha256Hex(id);
  return { pk: `login#${hash.slice(0, 1)}`, sk: hash };
}

export async function beginLogin(
  deps: LoginDeps,
  begin: { readonly method: string; readonly ttlMs: number; readonly data?: { readonly [name: string]: string } },
): Promise<LoginState> {
  const id = newOpaqueToken('hfl_', deps.random ?? randomBytes);
  const expiresAt = deps.now() + begin.ttlMs;
  const data: Attribute = { ...begin.data };
  const item = { ...loginKey(id), method: begin.method, expiresAt, data };
  await deps.store.transact([{ kind: 'put', item, when: { kind: 'absent' } }]);
  await boundRows(deps, item.pk, (a, b) => expiryOf(a) - expiryOf(b));
  return { id, expiresAt };
}

/** Ends the pre-log-in session and gives what was kept with it. Throws `AccessError` `refused` for any but the first time. */
export async function takeLogin(
  deps: LoginDeps,
  id: string | undefined,
  method: string,
): Promise<{ readonly [name: string]: string }> {
  if (id === undefined || !idPattern.test(id)) throw refusedLogin('no_login_session');
  const key = loginKey(id);
  const held = stored.safeParse(await deps.store.get(key)).data;
  if (held === undefined) throw refusedLogin('login_session_unknown');
  if (!(await burn(deps.store, key))) throw refusedLogin('login_session_reused');
  if (held.method !== method) throw refusedLogin('login_session_of_other_method');
  if (deps.now() >= held.expiresAt) throw refusedLogin('login_session_expired');
  return held.data;
}

/** 43 characters of base64url that only the holder of the id, and this server while it serves the holder, can make. */
export function loginValue(id: string, purpose: 'challenge' | 'state' | 'nonce' | 'verifier'): string {
  return createHmac('sha256', id).update(`holdfast/login/${purpose}/v1`).digest('base64url');
}

/** Whether it was us who burned it. When the store does not know, nobody did: the log-in is begun anew. */
async function burn(store: Store, key: Key): Promise<boolean> {
  try {
    return (await store.transact([{ kind: 'delete', key, when: { kind: 'present' } }])).ok;
  } catch (error) {
    if (error instanceof StoreError && (error.code === 'conflict' || error.code === 'unknown_outcome')) return false;
    throw error;
  }
}

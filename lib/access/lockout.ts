/**
 * Lockout: failed passwords are counted for each normalised name, known or not, in the store that every process shares.
 * After the first few, each further one makes the next wait longer. Asked and counted before the slow hash, so that
 * guesses at the same time count as often as guesses one after the other.
 *
 * Who makes up names makes no more rows than the limit: those with the fewest failures are forgotten first, so that a
 * flood of them frees no name that is being guessed at. Known and unknown names are treated alike, also in this.
 */
import { z } from 'zod';
import { sha256Hex } from '../crypto/digest.ts';
import { type Item, type Key, type Store, StoreError, type Write } from '../store/port.ts';
import { boundRows, expiryOf } from './bounded-rows.ts';
import { AccessError } from './errors.ts';
import { normalizeName } from './names.ts';

/** This many fail without a wait. */
export const freeAttempts = 5;
const firstWaitMs = 30_000;
const longestWaitMs = 15 * 60_000;
/** After so long without an attempt, the count begins anew. */
const forgetMs = 24 * 3_600_000;
const maxRaces = 10;

const stored = z.object({ failures: z.int(), until: z.number(), expiresAt: z.number(), revision: z.int() });

/** Under the name's hash: what somebody typed into the wrong field, a password perhaps, is not kept. */
export function lockoutKey(name: string): Key {
  const hash = sha256Hex(`holdfast/lockout/v1\0${normalizeName(name)}`);
  return { pk: `lockout#${hash.slice(0, 1)}`, sk: hash };
}

/** Counts an attempt as failed, until `clearLockout`. Throws `AccessError` `throttled` while the name has to wait. */
export async function beginAttempt(
  deps: { readonly store: Store; readonly now: () => number },
  name: string,
): Promise<void> {
  const key = lockoutKey(name);
  for (let race = 0; race < maxRaces; race++) {
    const now = deps.now();
    const held = stored.safeParse(await deps.store.get(key)).data;
    if (held !== undefined && now < held.until) throw wait(held.until - now);
    const failures = (held === undefined || now >= held.expiresAt ? 0 : held.failures) + 1;
    const item = {
      ...key,
      failures,
      until: failures < freeAttempts ? now : now + waitMs(failures),
      expiresAt: now + forgetMs,
      revision: (held?.revision ?? 0) + 1,
    };
    const when = held
      ? ({ kind: 'equals', name: 'revision', value: held.revision } as const)
      : ({ kind: 'absent' } as const);
    if (!(await applied(deps.store, { kind: 'put', item, when }))) continue;
    if (held === undefined) await boundRows(deps, key.pk, compareRows);
    return;
  }
  throw wait(firstWaitMs);
}

/** After a right password, or by an administrator. */
export function clearLockout(name: string): Write {
  return { kind: 'delete', key: lockoutKey(name) };
}

/** Fewest failures first, and of those the longest ago: each attempt renews `expiresAt`. */
function compareRows(a: Item, b: Item): number {
  return failuresOf(a) - failuresOf(b) || expiryOf(a) - expiryOf(b);
}

function failuresOf({ failures }: Item): number {
  return typeof failures === 'number' ? failures : 0;
}

function waitMs(failures: number): number {
  return Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(failures - freeAttempts, 20));
}

function wait(ms: number): AccessError {
  return new AccessError('throttled', 'too many log-ins for this name failed; wait before the next one', {
    reason: 'locked_out',
    retryAfterMs: ms,
  });
}

/** False when somebody else's attempt came between, or nobody knows: then it is counted again. */
async function applied(store: Store, write: Write): Promise<boolean> {
  try {
    return (await store.transact([write])).ok;
  } catch (error) {
    if (error instanceof StoreError && (error.code === 'conflict' || error.code === 'unknown_outcome')) return false;
    throw error;
  }
}

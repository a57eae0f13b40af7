/**
 * The cursor of a destination: where delivery stands, what is on its way, and who works on it. One item, written by
 * compare-and-swap on its version: whoever holds the lease raises the epoch when taking it, so a worker that lost the
 * lease may send something twice but can't move the cursor any more.
 */
import { z } from 'zod';
import { type Condition, type Item, type Key, type Store, StoreError, type Write } from '../store/port.ts';
import { SiemError } from './errors.ts';

const count = z.int().min(0);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const stubReason = z.enum(['oversize', 'refused']);

/** A batch on its way: enough to make the identical one again. */
const inflight = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  /** The configuration that it was made under. */
  configRevision: count,
  madeAt: count,
  /** Entries [from, to), of which the filter takes some; hex C(to − 1). */
  from: count,
  to: count,
  chain: hash.optional(),
  sent: count,
  filtered: count,
  /** Entries that go as stubs. */
  stubs: z.array(z.strictObject({ seq: count, reason: stubReason })).max(10_000),
  /** After a partial answer: these alone are still to be sent, as stubs. */
  rest: z.boolean(),
  heartbeat: z.string().optional(),
  test: z.string().optional(),
  checkpoint: z.strictObject({ size: count, note: z.string() }).optional(),
  /** The receiver took it and has not confirmed it yet. */
  pending: z.strictObject({ token: z.string().max(1024), since: count, asked: count }).optional(),
});

const track = z.strictObject({
  /** Everything below was dealt with; hex C(next − 1), absent where a replay has not begun. */
  next: count,
  chain: hash.optional(),
  delivered: count,
  filtered: count,
  quarantined: count,
  inflight: inflight.optional(),
});

const replay = z.strictObject({ ...track.shape, id: z.string(), from: count, to: count });

/** `active` delivers; `retrying`: the breaker is open, one event at a time is tried; the others wait for what they say. */
export const feedStates = ['active', 'retrying', 'blocked_auth', 'blocked_config', 'integrity_hold'] as const;
export type FeedState = (typeof feedStates)[number];

const shape = z.strictObject({
  /** The record's. */
  id: z.string(),
  owner: z.string().max(64),
  /** What was last taken notice of in the record. */
  configRevision: count,
  kick: count,
  /** Counts begin anew with each generation, at `since`; there is a new one when the filter changes. */
  generation: z.int().min(1),
  since: count,
  filter: z.string(),
  main: track,
  replay: replay.optional(),
  state: z.enum(feedStates),
  /** Since when it is in this state. */
  stateAt: count,
  /** One after the other. */
  failures: count,
  retryAt: count,
  lastError: z.strictObject({ at: count, reason: z.string().max(300) }).optional(),
  deliveredAt: count.optional(),
  heartbeatAt: count,
  /** The newest test that was sent. */
  test: z.strictObject({ nonce: z.string(), sentAt: count }).optional(),
  /** Fewer events a batch than the destination's limit, as the receiver taught; until `narrowUntil` where that is set. */
  limit: z.int().min(1).optional(),
  narrowUntil: count.optional(),
  /** Batches that went well since the limit was changed. */
  streak: count,
});

export type Inflight = z.infer<typeof inflight>;
export type Track = z.infer<typeof track>;
export type CursorState = z.infer<typeof shape>;

export type Cursor = {
  readonly name: string;
  readonly epoch: number;
  readonly version: number;
  /** Unix milliseconds; until then nobody else works on this destination. */
  readonly leaseUntil: number;
  readonly state: CursorState;
};

export const cursorsPartition = 'siem#cursor';
export const cursorKey = (name: string): Key => ({ pk: cursorsPartition, sk: name });

export async function readCursor(store: Store, name: string): Promise<Cursor | undefined> {
  const item = await store.get(cursorKey(name));
  return item && parseCursor(item);
}

/** Writes what follows a cursor, which must still stand as it was read. */
export function putCursor(cursor: Cursor): Write {
  const { name, epoch, version, leaseUntil, state } = cursor;
  const when: Condition =
    version === 1
      ? { kind: 'absent' }
      : {
          kind: 'all',
          of: [
            { kind: 'equals', name: 'version', value: version - 1 },
            // The state's own id: a destination of the same name that was made since is another one.
            { kind: 'equals', name: 'id', value: state.id },
          ],
        };
  const item = { ...cursorKey(name), id: state.id, epoch, version, leaseUntil, state: JSON.stringify(state) };
  return { kind: 'put', item, when };
}

export type NewCursor = {
  readonly id: string;
  readonly filter: string;
  readonly start: number;
  /** hex C(start − 1) */
  readonly chain: string;
  readonly now: number;
};

/** Of a destination that was just added. */
export function newCursorState({ id, filter, start, chain, now }: NewCursor): CursorState {
  return {
    ...{ id, owner: '', configRevision: 1, kick: 0, generation: 1, since: start, filter },
    main: { next: start, chain, delivered: 0, filtered: 0, quarantined: 0 },
    ...{ state: 'active', stateAt: now, failures: 0, retryAt: 0, heartbeatAt: now, streak: 0 },
  };
}

export type LeaseOptions = { readonly owner: string; readonly now: number; readonly leaseMs: number };

/** `held` by another until then; `gone` when there is no such destination any more. */
export type LeaseOutcome =
  | { readonly kind: 'taken'; readonly cursor: Cursor }
  | { readonly kind: 'held'; readonly until: number }
  | { readonly kind: 'gone' };

/** Takes the lease, which raises the epoch, unless somebody else holds it. */
export async function takeLease(store: Store, name: string, options: LeaseOptions): Promise<LeaseOutcome> {
  const { owner, now, leaseMs } = options;
  const held = await readCursor(store, name);
  if (held === undefined) return { kind: 'gone' };
  if (held.leaseUntil > now && held.state.owner !== owner) return { kind: 'held', until: held.leaseUntil };
  const state = { ...held.state, owner };
  const cursor = { ...held, epoch: held.epoch + 1, version: held.version + 1, leaseUntil: now + leaseMs, state };
  // Somebody was faster: they work on it now.
  if (!(await commit(store, cursor))) return { kind: 'held', until: now + leaseMs };
  return { kind: 'taken', cursor };
}

/** Writes it, and says whether it stands. Never true for a worker that lost its lease. Throws `StoreError`. */
export async function commit(store: Store, cursor: Cursor): Promise<boolean> {
  try {
    return (await store.transact([putCursor(cursor)])).ok;
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'unknown_outcome') throw error;
    const stands = await readCursor(store, cursor.name);
    // Each epoch has one worker, which writes each version once: so this pair is this very write.
    return stands?.version === cursor.version && stands.epoch === cursor.epoch;
  }
}

function parseCursor(item: Item): Cursor {
  const { epoch, version, leaseUntil, state } = item;
  const parsed = shape.safeParse(typeof state === 'string' ? parseJson(state) : undefined);
  const isPlaced = typeof epoch === 'number' && typeof version === 'number' && typeof leaseUntil === 'number';
  if (!parsed.success || !isPlaced) {
    throw new SiemError('corrupt', `the cursor of destination ${JSON.stringify(item.sk)} is not readable`, {
      ...(parsed.error && { cause: parsed.error }),
    });
  }
  return { name: item.sk, epoch, version, leaseUntil, state: parsed.data };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

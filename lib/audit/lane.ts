/**
 * One lane of one writer: a chain of slots, filled one transaction at a time. Invariant: a slot is only ever tried
 * with `absent`, and after any doubt what stands in it decides, so an entry is in the log exactly when its operation is.
 */
import { equalBytes } from '../crypto/encoding.ts';
import { type Store, StoreError, type Write } from '../store/port.ts';
import { bodyHash, laneHash, laneStart } from './chain.ts';
import { buildEntry, parseEntry, parseEvent, type Seen } from './entry.ts';
import { laneKey, laneName, readLaneTail, slotEntries, slotKey, slotPut } from './items.ts';
import type { Operation } from './operation.ts';
import { AuditError } from './port.ts';
import { systemActor } from './system-entry.ts';

export type LaneDeps = {
  readonly store: Store;
  readonly origin: string;
  readonly writerId: string;
  /** How many lanes the writer has: a fenced lane moves on by this, so that no two of them meet. */
  readonly lanes: number;
  readonly now: () => number;
  readonly seen: () => Seen;
  readonly newOperationId: () => string;
  /** Waits before try number `attempt`, longer each time and with jitter. */
  readonly backoff: (attempt: number) => Promise<void>;
  readonly onWritten: (lane: string, n: number, time: number) => void;
  readonly onFenced: (lane: string) => void;
};

export type Lane = {
  /** Writes a batch and settles every operation in it, one way or another. Never throws. */
  commit(batch: readonly Operation[], requeue: Requeue): Promise<void>;
};

/** Gives operations back to the queue, each to be tried alone. */
type Requeue = (operations: readonly Operation[]) => void;

/** A batch under way. */
type Work = {
  open: readonly Operation[];
  /** Failed operations that a late first try could still write: settled when their slot is taken by something else. */
  held: { readonly operation: Operation; readonly failed: number[] }[];
  /** Tries whose outcome was in doubt, by the bytes of their first entry. */
  ghosts: { readonly bytes: Uint8Array; readonly operations: readonly Operation[]; readonly place: Place }[];
};

type Place = { readonly lane: string; readonly n: number; readonly prev: string };
type Attempt = 'written' | 'fenced' | { readonly failed: readonly number[]; readonly doubt: boolean };

const maxAttempts = 8;
const maxMoves = 16;

export function createLane(deps: LaneDeps, number: number): Lane {
  const { store, origin } = deps;
  let k = number;
  /** Undefined when the store must be asked: at first, and after an outcome that stayed unknown. */
  let place: Place | undefined;
  /** Fenced this often since the last success. */
  let moves = 0;

  async function openPlace(): Promise<Place> {
    for (; ; k += deps.lanes) {
      const lane = laneName(deps.writerId, k);
      const tail = await readLaneTail(store, lane);
      if (tail === undefined) return { lane, n: 0, prev: laneStart(origin, lane) };
      const entry = parseEntry(tail.entry);
      // Another process took this lane for dead.
      if (entry.op.type === 'lane.close') continue;
      deps.onWritten(lane, tail.n, deps.now());
      return { lane, n: tail.n + 1, prev: laneHash(origin, lane, tail.n, bodyHash(tail.entry), entry.prev) };
    }
  }

  async function commit(batch: readonly Operation[], requeue: Requeue): Promise<void> {
    const work: Work = { open: batch, held: [], ghosts: [] };
    try {
      while (work.open.length > 0 || work.held.length > 0) await step(work, requeue);
    } catch (cause) {
      place = undefined;
      const error = cause instanceof AuditError ? cause : asUnavailable(cause);
      for (const operation of [...work.open, ...work.held.map((each) => each.operation)]) operation.reject(error);
    }
  }

  async function step(work: Work, requeue: Requeue): Promise<void> {
    place ??= await withRetry(openPlace);
    const at = place;
    const time = deps.now();
    const operations = work.open.length > 0 ? work.open : [filler(work.held.length)];
    const built = buildEntries(at, operations, time);
    const bytes = built[0]?.bytes as Uint8Array;
    let attempt: Attempt;
    try {
      attempt = await tryWrite(at, transactionOf(at, built), bytes);
    } catch (cause) {
      if (!(cause instanceof StoreError && cause.code === 'invalid')) throw cause;
      if (operations.length === 1) throw new AuditError('invalid', 'the store refuses these writes', { cause });
      for (const operation of operations) operation.alone = true;
      work.open = [];
      requeue(operations);
      return;
    }
    if (attempt === 'written') {
      advance(at, built, time);
      settle(at, work.open);
      work.open = [];
      release(work);
    } else if (attempt === 'fenced') {
      await move(work, at);
    } else {
      const { failed, doubt } = attempt;
      if (doubt) work.ghosts.push({ bytes, operations, place: at });
      work.open = refuse(operations, failed, (operation, own) => {
        if (work.ghosts.length === 0) operation.resolve({ ok: false, failed: own });
        else work.held.push({ operation, failed: own });
      });
    }
  }

  /** The slot holds something else: a transaction of our own that landed late, or another writer’s. */
  async function move(work: Work, at: Place): Promise<void> {
    place = undefined;
    const standing = work.ghosts.length > 0 ? await withRetry(() => readSlot(at)) : undefined;
    const landed = work.ghosts.find(({ bytes }) => standing !== undefined && equalBytes(standing, bytes));
    if (landed !== undefined) {
      settle(landed.place, landed.operations);
      work.open = work.open.filter((operation) => !landed.operations.includes(operation));
      work.held = work.held.filter(({ operation }) => !landed.operations.includes(operation));
    }
    release(work);
    if (landed !== undefined) return;
    deps.onFenced(at.lane);
    k += deps.lanes;
    moves += 1;
    if (moves > maxMoves) throw new AuditError('unavailable', 'other writers keep taking this writer’s lanes');
  }

  function buildEntries(at: Place, operations: readonly Operation[], time: number) {
    const seen = deps.seen();
    let { n, prev } = at;
    return operations.map((operation) => {
      const bytes = buildEntry(operation.event, { log: origin, lane: at.lane, n, prev, seen, time });
      prev = laneHash(origin, at.lane, n, bodyHash(bytes), prev);
      n += 1;
      return { operation, bytes, n: n - 1, hash: prev };
    });
  }

  /** The callers' writes first, in order, so that the store's indexes lead back to them; then the slot. */
  function transactionOf(at: Place, built: ReturnType<typeof buildEntries>): Write[] {
    const writes = built.flatMap(({ operation }) => operation.writes);
    writes.push(
      slotPut(
        at.lane,
        at.n,
        built.map(({ bytes }) => bytes),
      ),
    );
    if (at.n === 0) writes.push({ kind: 'put', item: { ...laneKey(at.lane), opened: deps.now() } });
    return writes;
  }

  async function tryWrite(at: Place, writes: readonly Write[], bytes: Uint8Array): Promise<Attempt> {
    const slot = writes.findIndex((write) => write.kind === 'put' && write.item.pk === slotKey(at.lane, at.n).pk);
    let doubt = false;
    let cause: unknown;
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      if (attempt > 0) await deps.backoff(attempt);
      let failed: readonly number[];
      try {
        const outcome = await store.transact(writes);
        if (outcome.ok) return 'written';
        ({ failed } = outcome);
      } catch (error) {
        if (!(error instanceof StoreError) || !retried.has(error.code)) throw error;
        cause = error;
        if (error.code !== 'unknown_outcome') continue;
        doubt = true;
        failed = [slot];
      }
      if (!failed.some((index) => index >= slot)) return { failed, doubt };
      const standing = await standingAt(at, doubt);
      if (standing !== undefined) return equalBytes(standing, bytes) ? 'written' : 'fenced';
    }
    throw asUnavailable(cause, doubt);
  }

  async function standingAt(at: Place, doubt: boolean): Promise<Uint8Array | undefined> {
    try {
      return await withRetry(() => readSlot(at));
    } catch (cause) {
      throw asUnavailable(cause, doubt);
    }
  }

  /** The first entry of what stands in the slot: it names its operation, so it tells one try from another. */
  async function readSlot(at: Place): Promise<Uint8Array | undefined> {
    const item = await store.get(slotKey(at.lane, at.n));
    return item && slotEntries(item)[0];
  }

  async function withRetry<T>(read: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await read();
      } catch (error) {
        if (!(error instanceof StoreError) || !retried.has(error.code) || attempt >= maxAttempts) throw error;
        await deps.backoff(attempt);
      }
    }
  }

  function advance(at: Place, built: ReturnType<typeof buildEntries>, time: number): void {
    const last = built.at(-1) as (typeof built)[number];
    place = { lane: at.lane, n: last.n + 1, prev: last.hash };
    moves = 0;
    deps.onWritten(at.lane, last.n, time);
  }

  /** Takes the slot that a transaction in doubt could still take, so that it never can; see `held`. */
  function filler(count: number): Operation {
    const event = { type: 'log.gap', actor: systemActor, object: { kind: 'lane', id: deps.writerId } } as const;
    const detail = { type: 'log.gap', count, reason: 'outcome_unknown' };
    const text = parseEvent({ ...event, outcome: 'failure', detail }, deps.newOperationId());
    const ignore = () => undefined;
    return { event: text, writes: [], keys: [], bytes: 0, entryBytes: 0, alone: true, resolve: ignore, reject: ignore };
  }

  return { commit };
}

function release(work: Work): void {
  for (const { operation, failed } of work.held.splice(0)) operation.resolve({ ok: false, failed });
  work.ghosts = [];
}

function settle(at: Place, operations: readonly Operation[]): void {
  for (const [i, operation] of operations.entries()) {
    operation.resolve({ ok: true, entry: { lane: at.lane, n: at.n + i } });
  }
}

/** Gives each operation its own failed indexes; returns those whose conditions all held. */
function refuse(
  operations: readonly Operation[],
  failed: readonly number[],
  onFailed: (operation: Operation, own: number[]) => void,
): Operation[] {
  let first = 0;
  return operations.filter((operation) => {
    const begin = first;
    first += operation.writes.length;
    const own = failed.filter((index) => index >= begin && index < first).map((index) => index - begin);
    if (own.length > 0) onFailed(operation, own);
    return own.length === 0;
  });
}

const retried: ReadonlySet<string> = new Set(['conflict', 'unavailable', 'unknown_outcome']);

function asUnavailable(cause: unknown, doubt = false): AuditError {
  const message = doubt
    ? 'the audit log can’t tell whether the operation stands; if it does, so does its entry'
    : 'the audit log can’t be written to; the operation was not done';
  return new AuditError('unavailable', message, { cause });
}

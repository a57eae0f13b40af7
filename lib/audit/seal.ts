/** Seals one block: everything unsealed gets its place in the global order, by one compare-and-swap of the head. */
import { type Store, StoreError, type Write } from '../store/port.ts';
import { bodyHash, chainHash, laneHash, laneStart } from './chain.ts';
import { type Collected, collect } from './collect.ts';
import type { EntryPlace, Seen } from './entry.ts';
import { type Head, type LaneMark, moveHead, nothingSeen, readCheckpoint, readHead } from './head.ts';
import { laneKey, slotPut, systemLane } from './items.ts';
import { AuditError } from './port.ts';
import { maxBlockEntries, putBlock } from './sequence.ts';
import { buildSystemEntry } from './system-entry.ts';
import { appendLeafHash, leafHash } from './tree.ts';

export type SealDeps = {
  readonly store: Store;
  readonly origin: string;
  readonly now: () => number;
  readonly random: (n: number) => Uint8Array;
  readonly delay: (ms: number) => Promise<void>;
  readonly maxBlockEntries?: number;
};

const maxAttempts = 10;

/**
 * Seals what is unsealed, and a block of its own when there is nothing but the newest is older than `heartbeatMs`.
 * `more` says that the block was full. Throws `AuditError` `corrupt` for a lane that was tampered with, and
 * `unavailable` when the store can't be reached; either way the head stands where a later call goes on.
 */
export async function sealBlock(deps: SealDeps, heartbeatMs: number): Promise<{ head: Head; more: boolean }> {
  const { store, origin, now } = deps;
  const limit = deps.maxBlockEntries ?? maxBlockEntries - 2;
  let cause: unknown;
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    if (attempt > 0) await deps.delay(5 * 2 ** Math.min(attempt, 6));
    try {
      const head = await readHead(store, origin);
      const entries = await collect(store, origin, head, limit);
      const idle = entries.length === 0 && head.size > 0 && now() - head.time < heartbeatMs;
      if (idle) return { head, more: false };
      const seen: Seen = (await readCheckpoint(store)) ?? nothingSeen;
      const { next, writes } = nextBlock(deps, head, entries, { size: seen.size, root: seen.root });
      const { ok } = await store.transact(writes);
      if (ok) return { head: next, more: entries.length === limit };
      // Another sealer moved the head first: its block holds what this one would have.
    } catch (error) {
      // An unknown outcome needs no care: the head, read anew, says whether the block stands.
      if (!(error instanceof StoreError) || !retried.has(error.code)) throw error;
      cause = error;
    }
  }
  throw new AuditError('unavailable', 'the head of the audit log could not be moved', { cause });
}

const retried: ReadonlySet<string> = new Set(['conflict', 'unavailable', 'unknown_outcome']);

function nextBlock(
  deps: SealDeps,
  head: Head,
  collected: readonly Collected[],
  seen: Seen,
): { next: Head; writes: Write[] } {
  const { origin, now, random } = deps;
  const time = now();
  const marks = new Map(head.lanes);
  const system = marks.get(systemLane) ?? { next: 0, hash: laneStart(origin, systemLane), time };
  let { next: n, hash: prev } = system;
  const place = (): EntryPlace => ({ log: origin, lane: systemLane, n, prev, seen, time });
  const own: Uint8Array[] = [];
  const addOwn = (bytes: Uint8Array) => {
    own.push(bytes);
    prev = laneHash(origin, systemLane, n, bodyHash(bytes), prev);
    n += 1;
  };
  if (head.size === 0) addOwn(buildSystemEntry('log.open', { kind: 'log', id: origin }, { origin }, place(), random));

  for (const { entry, hash, time: newest } of collected) {
    marks.set(entry.lane, { next: entry.n + 1, hash, time: newest });
  }
  const high = Object.fromEntries([...marks].map(([lane, mark]) => [lane, mark.next - 1]));
  const detail = { lanes: { ...high, [systemLane]: n } };
  addOwn(buildSystemEntry('log.checkpoint', { kind: 'log', id: origin }, detail, place(), random));
  marks.set(systemLane, { next: n, hash: prev, time });

  const closed = collected.filter(({ entry }) => entry.op.type === 'lane.close').map(({ entry }) => entry.lane);
  for (const lane of closed) marks.delete(lane);

  const opening = own.length - 1;
  const lanes = [...own.slice(0, opening).map(() => systemLane), ...collected.map((c) => c.entry.lane), systemLane];
  const bodies = [...own.slice(0, opening), ...collected.map((c) => c.bytes), own[opening] as Uint8Array];
  const block = orderOf(head, lanes, marksBefore(head, collected, system));
  const next = grow(origin, head, bodies, marks, time);
  const writes = [
    putBlock(block),
    slotPut(systemLane, system.next, own),
    moveHead(origin, head, next),
    ...closed.map((lane): Write => ({ kind: 'delete', key: laneKey(lane) })),
  ];
  return { next, writes };
}

function grow(
  origin: string,
  head: Head,
  bodies: readonly Uint8Array[],
  lanes: ReadonlyMap<string, LaneMark>,
  time: number,
): Head {
  const tree = { size: head.tree.size, hashes: [...head.tree.hashes] };
  let { chain } = head;
  for (const bytes of bodies) {
    chain = chainHash(origin, tree.size, bodyHash(bytes), chain);
    appendLeafHash(tree, leafHash(bytes));
  }
  return { size: tree.size, tree, chain, time, lanes };
}

/** The number of each lane's first entry in the block. */
function marksBefore(head: Head, collected: readonly Collected[], system: LaneMark): Map<string, number> {
  const first = new Map<string, number>([[systemLane, system.next]]);
  for (const { entry } of collected) {
    if (!first.has(entry.lane)) first.set(entry.lane, head.lanes.get(entry.lane)?.next ?? 0);
  }
  return first;
}

function orderOf(head: Head, turns: readonly string[], first: ReadonlyMap<string, number>) {
  const names = [...new Set(turns)];
  const indexOf = new Map(names.map((lane, i) => [lane, i]));
  return {
    first: head.size,
    chain: head.chain,
    lanes: names.map((lane) => ({ lane, from: first.get(lane) as number })),
    order: turns.map((lane) => indexOf.get(lane) as number),
  };
}

/** Above this many open lanes, those that were quiet for `idleMs` are closed; the high-water marks must fit an entry. */
const manyLanes = 32;
const idleMs = 10 * 60_000;
const mostLanes = 72;

/**
 * Fences lanes whose writers are gone, by a `lane.close` in their next slot. A writer that does come back finds its
 * slot taken and opens another lane, so a wrong guess costs nothing.
 */
export async function closeDeadLanes(deps: SealDeps, head: Head): Promise<void> {
  const quietest = [...head.lanes].filter(([lane]) => lane !== systemLane).sort(([, a], [, b]) => a.time - b.time);
  const excess = quietest.length - manyLanes;
  if (excess <= 0) return;
  const seen: Seen = (await readCheckpoint(deps.store)) ?? nothingSeen;
  const time = deps.now();
  for (const [index, [lane, mark]] of quietest.slice(0, excess).entries()) {
    if (time - mark.time < idleMs && quietest.length - index <= mostLanes) return;
    const place = {
      log: deps.origin,
      lane,
      n: mark.next,
      prev: mark.hash,
      seen: { size: seen.size, root: seen.root },
      time,
    };
    const bytes = buildSystemEntry('lane.close', { kind: 'lane', id: lane }, { lane }, place, deps.random);
    try {
      await deps.store.transact([slotPut(lane, mark.next, [bytes])]);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return; // Nothing depends on it: the next seal tries again.
    }
  }
}

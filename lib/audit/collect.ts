/** Gathers what every lane holds beyond the head, checks that each lane goes on unbroken, and orders it by time. */
import type { Store } from '../store/port.ts';
import { bodyHash, laneHash, laneStart } from './chain.ts';
import { type Entry, parseEntry } from './entry.ts';
import type { Head, LaneMark } from './head.ts';
import { lanesPartition, readSlots, systemLane } from './items.ts';
import { AuditError } from './port.ts';

export type Collected = {
  readonly bytes: Uint8Array;
  readonly entry: Entry;
  readonly time: number;
  /** hex B and hex A(n) */
  readonly body: string;
  readonly hash: string;
};

/**
 * Unsealed entries of all lanes, in their order, at most `limit`. Throws `AuditError` `corrupt` at an entry that is
 * altered, dropped or out of place: such a log is not sealed any further.
 */
export async function collect(store: Store, origin: string, head: Head, limit: number): Promise<Collected[]> {
  const names = await openLanes(store);
  const lanes = await Promise.all(
    names.map((lane) => {
      const mark = head.lanes.get(lane) ?? { next: 0, hash: laneStart(origin, lane), time: 0 };
      return collectLane(store, origin, lane, mark, limit);
    }),
  );
  return merge(lanes.filter((entries) => entries.length > 0)).slice(0, limit);
}

/** The lanes that are open, by name; the head's own is not among them. */
export async function openLanes(store: Store): Promise<string[]> {
  const names: string[] = [];
  let after: string | undefined;
  do {
    const page = await store.query({ pk: lanesPartition, ...(after !== undefined && { after }) });
    names.push(...page.items.map(({ sk }) => sk));
    after = page.next;
  } while (after !== undefined);
  return names.filter((name) => name !== systemLane);
}

async function collectLane(
  store: Store,
  origin: string,
  lane: string,
  mark: LaneMark,
  limit: number,
): Promise<Collected[]> {
  const slots = await readSlots(store, lane, mark.next, mark.next + limit);
  // A lane is written without gaps, so when slots are read in any order a missing one was removed.
  let previous = mark.hash;
  return slots.map(({ n, entry: bytes }, i) => {
    if (n !== mark.next + i) throw corrupt(lane, mark.next + i, 'is missing, though a later one stands');
    const entry = parseSlot(lane, n, bytes);
    if (entry.log !== origin || entry.lane !== lane || entry.n !== n) throw corrupt(lane, n, 'is of another place');
    if (entry.prev !== previous) throw corrupt(lane, n, 'does not follow the one before it');
    const body = bodyHash(bytes);
    previous = laneHash(origin, lane, n, body, previous);
    return { bytes, entry, time: Date.parse(entry.ts), body, hash: previous };
  });
}

function parseSlot(lane: string, n: number, bytes: Uint8Array): Entry {
  try {
    return parseEntry(bytes);
  } catch (cause) {
    throw corrupt(lane, n, 'is not an entry', cause);
  }
}

/** By time, then lane, while each lane keeps its own order even where its clock went back. */
function merge(lanes: readonly Collected[][]): Collected[] {
  const keyed = lanes.flatMap((entries) => {
    let latest = 0;
    return entries.map((each) => {
      latest = Math.max(latest, each.time);
      return { each, key: latest };
    });
  });
  // Array.prototype.sort is stable, so entries of one lane with one key stay as they were.
  return keyed.sort((a, b) => a.key - b.key || compare(a.each.entry.lane, b.each.entry.lane)).map(({ each }) => each);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function corrupt(lane: string, n: number, what: string, cause?: unknown): AuditError {
  return new AuditError('corrupt', `entry ${n} of lane ${lane} ${what}`, { cause });
}

/**
 * Days that are over, added up: for the nodes of one partition (the first digit of their UUID) how many stood in which
 * state, and the same for each crate. Whoever asks first for a day makes it, so that the history of a node is read once.
 *
 * A run can come late, and change how its node stood on a day that was added up. So the item of a day and partition counts
 * the runs that came after the end of the day, in the transaction that records each; what was added up under another count
 * than the present one is made anew. A day is added up only once it has been over for a while: the clocks of those who
 * record and of those who add up differ by less than that.
 */
import { z } from 'zod';
import { everyItem } from '../store/every-item.ts';
import { type Item, type Key, type Store, StoreError, type Write } from '../store/port.ts';

export type Counts = { converged: number; drifted: number; failed: number };

/** How many nodes stood in which state, and each crate on how many. */
export type DayCounts = { readonly nodes: Readonly<Counts>; readonly crates: ReadonlyMap<string, Readonly<Counts>> };

/** A day of one partition: what was added up, unless it has to be made; `late` is the count to make it under. */
export type RolledUpDay = { readonly counts?: DayCounts; readonly late: number };

const settledMs = 10 * 60_000;
const dayMs = 86_400_000;
/** Those on most nodes. Releases have 1,000 at most; names that no release has come from nodes that make them up. */
const maxCratesKept = 2_000;

const count = z.int().min(0);
const triple = z.tuple([count, count, count]);
const stored = z.object({
  sk: z.string(),
  late: count.default(0),
  /** `late` as it was when this was made. */
  of: count.optional(),
  nodes: triple.optional(),
  crates: z.record(z.string(), triple).optional(),
});

export function rollupKey(digit: string, day: string): Key {
  return { pk: partitionOf(digit), sk: day };
}

function partitionOf(digit: string): string {
  return `posture-rollup#${digit}`;
}

/** Whether the day (`YYYY-MM-DD`, UTC) can be added up at `now`, Unix milliseconds. */
export function isSettled(day: string, now: number): boolean {
  return now >= Date.parse(day) + dayMs + settledMs;
}

/** A run of a day that is over changed how its node stood on it. */
export function lateRunWrite(uuid: string, day: string): Write {
  return { kind: 'update', key: rollupKey(uuid.slice(0, 1), day), add: { late: 1 } };
}

/** Of these days, in their order, those that there is an item of. */
export async function readRollups(
  store: Pick<Store, 'query'>,
  digit: string,
  days: readonly string[],
): Promise<ReadonlyMap<string, RolledUpDay>> {
  const [from, to] = [days[0], days.at(-1)];
  if (from === undefined) return new Map();
  // A day and nothing more: '0' is behind every text that begins with it.
  const range = { pk: partitionOf(digit), from, to: `${to}0` };
  return new Map(await Array.fromAsync(everyItem(store, range), (item) => [item.sk, parseRollup(item)] as const));
}

/** Keeps what was added up. When a run came late meanwhile, it is of another count, and the next one who asks makes it anew. */
export async function keepRollup(
  store: Pick<Store, 'transact'>,
  digit: string,
  day: string,
  { counts, late }: Required<RolledUpDay>,
): Promise<void> {
  const crates = [...counts.crates]
    .toSorted(([a, one], [b, other]) => sum(other) - sum(one) || (a < b ? -1 : 1))
    .slice(0, maxCratesKept)
    .map(([name, each]) => [name, toTriple(each)] as const);
  const write: Write = {
    kind: 'update',
    key: rollupKey(digit, day),
    set: { of: late, nodes: toTriple(counts.nodes), crates: Object.fromEntries(crates) },
  };
  await store.transact([write]).catch((error: unknown) => {
    // Nothing depends on it but time; a store that can't be written to still answers.
    if (!(error instanceof StoreError)) throw error;
  });
}

export function noCounts(): Counts {
  return { converged: 0, drifted: 0, failed: 0 };
}

function parseRollup(item: Item): RolledUpDay {
  const { late, of, nodes, crates } = stored.parse(item);
  if (of !== late || nodes === undefined || crates === undefined) return { late };
  const each = Object.entries(crates).map(([name, triple]) => [name, fromTriple(triple)] as const);
  return { late, counts: { nodes: fromTriple(nodes), crates: new Map(each) } };
}

function toTriple({ converged, drifted, failed }: Readonly<Counts>): [number, number, number] {
  return [converged, drifted, failed];
}

function fromTriple([converged, drifted, failed]: readonly [number, number, number]): Counts {
  return { converged, drifted, failed };
}

function sum({ converged, drifted, failed }: Readonly<Counts>): number {
  return converged + drifted + failed;
}

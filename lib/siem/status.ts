/** How a destination stands, as operators see it: from its record, its cursor and the sealed log. */
import type { Store } from '../store/port.ts';
import { type CursorState, type FeedState, readCursor } from './cursor.ts';
import { type DestinationRecord, readRecord, readRecords } from './record.ts';
import { IntegrityError, type SealedHead, type SealedReader } from './sealed-reader.ts';

export type DestinationStatus = {
  readonly record: DestinationRecord;
  readonly state: FeedState | 'paused';
  /** Unix milliseconds. */
  readonly since: number;
  /** The sequence that is delivered next, hex C(next − 1), and how much of the sealed log is not delivered. */
  readonly next: number;
  readonly chain: string | undefined;
  readonly lag: { readonly entries: number; readonly ms: number };
  /** In this generation. */
  readonly generation: number;
  readonly delivered: number;
  readonly filtered: number;
  readonly quarantined: number;
  readonly failures: number;
  readonly retryAt: number | undefined;
  readonly lastError: { readonly at: number; readonly reason: string } | undefined;
  readonly deliveredAt: number | undefined;
  readonly limit: number | undefined;
  readonly test: TestStatus | undefined;
  readonly replay: { readonly from: number; readonly to: number; readonly next: number } | undefined;
};

/** `unconfirmed`: the receiver took it, and nobody has said that it can be seen there. */
export type TestStatus = {
  readonly nonce: string;
  readonly state: 'waiting' | 'unconfirmed' | 'confirmed';
  readonly at: number;
};

export type StatusDeps = { readonly store: Store; readonly reader: SealedReader; readonly now: () => number };

export async function readStatus(deps: StatusDeps, name: string): Promise<DestinationStatus | undefined> {
  const record = await readRecord(deps.store, name);
  return record && statusOf(deps, record, await deps.reader.head());
}

/** By name. */
export async function readStatuses(deps: StatusDeps): Promise<DestinationStatus[]> {
  const head = await deps.reader.head();
  const statuses = (await readRecords(deps.store)).map((record) => statusOf(deps, record, head));
  return (await Promise.all(statuses)).filter((status) => status !== undefined);
}

async function statusOf(
  deps: StatusDeps,
  record: DestinationRecord,
  head: SealedHead,
): Promise<DestinationStatus | undefined> {
  const cursor = await readCursor(deps.store, record.config.name);
  // Removed meanwhile.
  if (cursor === undefined || cursor.state.id !== record.id) return undefined;
  const { state } = cursor;
  const { main, replay } = state;
  const now = deps.now();
  const isRunning = replay !== undefined && replay.next < replay.to;
  return {
    record,
    state: record.paused ? 'paused' : state.state,
    since: state.stateAt,
    ...{ next: main.next, chain: main.chain, lag: await lagOf(deps, main.next, head, now) },
    ...{ generation: state.generation, delivered: main.delivered, filtered: main.filtered },
    ...{ quarantined: main.quarantined, failures: state.failures },
    retryAt: state.retryAt > now ? state.retryAt : undefined,
    ...{ lastError: state.lastError, deliveredAt: state.deliveredAt, limit: state.limit },
    test: testOf(record, state),
    replay: isRunning ? { from: replay.from, to: replay.to, next: Math.max(replay.next, replay.from) } : undefined,
  };
}

async function lagOf({ reader }: StatusDeps, next: number, head: SealedHead, now: number) {
  if (next >= head.size) return { entries: 0, ms: 0 };
  const entries = head.size - next;
  try {
    const [oldest] = await reader.read(next, head);
    return { entries, ms: oldest === undefined ? 0 : Math.max(0, now - Date.parse(oldest.entry.ts)) };
  } catch (error) {
    // The feed says so itself, by its state.
    if (error instanceof IntegrityError) return { entries, ms: 0 };
    throw error;
  }
}

function testOf({ test }: DestinationRecord, state: CursorState): TestStatus | undefined {
  if (test === undefined) return undefined;
  const { nonce, confirmedAt, requestedAt } = test;
  if (confirmedAt !== undefined) return { nonce, state: 'confirmed', at: confirmedAt };
  if (state.test?.nonce === nonce) return { nonce, state: 'unconfirmed', at: state.test.sentAt };
  return { nonce, state: 'waiting', at: requestedAt };
}

/**
 * Makes batches: chooses the next stretch of the sealed log, and makes the events of a stretch. The second is a function
 * of what the cursor keeps of a batch, so that the identical one can be made after a crash.
 */
import type { DestinationConfig } from './config.ts';
import type { Inflight, Track } from './cursor.ts';
import type { EntryEvent, FeedEvent, HeartbeatEvent, StubEvent, TestEvent } from './event.ts';
import { isFiltered, matchesFilter } from './filter.ts';
import { redactEntry } from './redact.ts';
import { IntegrityError, type SealedEntry, type SealedHead, type SealedReader } from './sealed-reader.ts';

export type Shape = {
  readonly origin: string;
  readonly config: DestinationConfig;
  readonly salt: string;
};

export type Stretch = {
  readonly from: number;
  readonly to: number;
  /** hex C(to − 1); absent where nothing was read. */
  readonly chain?: string;
  readonly taken: readonly SealedEntry[];
  readonly filtered: number;
};

/** A rare operation must not hold a process for a whole log. */
const maxScanned = 10_000;

export type StretchLimits = { readonly end: number; readonly maxEvents: number; readonly maxBytes: number };

/** The next entries of a track, up to the limits; each must follow the one before it. Throws `IntegrityError`. */
export async function takeStretch(
  reader: SealedReader,
  head: SealedHead,
  track: Pick<Track, 'next' | 'chain'>,
  { config }: Pick<Shape, 'config'>,
  limits: StretchLimits,
): Promise<Stretch> {
  const taken: SealedEntry[] = [];
  const end = Math.min(limits.end, track.next + maxScanned);
  let { next, chain } = track;
  let filtered = 0;
  let bytes = 0;
  let isFull = limits.maxEvents <= 0;
  while (next < end && !isFull) {
    for (const each of await reader.read(next, head)) {
      if (next >= end) break;
      if (each.seq !== next || (chain !== undefined && each.previous !== chain)) {
        throw new IntegrityError(next, `entry ${next} does not go on the chain of what was delivered before it`);
      }
      if (matchesFilter(config.filter, each.entry.op.type)) {
        bytes += each.raw.length;
        // One always, however large it is.
        isFull = taken.length >= limits.maxEvents || (taken.length > 0 && bytes > limits.maxBytes);
        if (isFull) break;
        taken.push(each);
      } else filtered += 1;
      next = each.seq + 1;
      chain = each.chain;
    }
  }
  return { from: track.next, to: next, taken, filtered, ...(chain !== undefined && { chain }) };
}

/** Of a stretch that was chosen before. `dseq` is that of its first event, in a filtered feed. */
export function eventsOf(
  { origin, config, salt }: Shape,
  taken: readonly SealedEntry[],
  inflight: Pick<Inflight, 'stubs' | 'rest' | 'heartbeat' | 'test' | 'madeAt'>,
  dseq: number | undefined,
): FeedEvent[] {
  const stubs = new Map(inflight.stubs.map(({ seq, reason }) => [seq, reason]));
  const events: FeedEvent[] = [];
  for (const [i, each] of taken.entries()) {
    const reason = stubs.get(each.seq);
    if (inflight.rest && reason === undefined) continue;
    const { seq, body, chain, previous } = each;
    const placed = {
      id: `${origin}:${seq}`,
      seq,
      ...(dseq !== undefined && { dseq: dseq + i }),
      ...{ body, chain, previous },
    };
    if (reason === undefined) events.push(entryEvent(each, placed, config, salt));
    else
      events.push({ kind: 'stub', ...placed, reason, time: each.entry.ts, fetch: fetchPath(seq) } satisfies StubEvent);
  }
  if (inflight.rest) return events;
  if (inflight.heartbeat !== undefined) events.push(JSON.parse(inflight.heartbeat) as HeartbeatEvent);
  if (inflight.test !== undefined) events.push(testEvent(origin, config.name, inflight.test, inflight.madeAt));
  return events;
}

/** Whether events carry a sequence of the destination's own. */
export function hasDseq(config: DestinationConfig): boolean {
  return isFiltered(config.filter);
}

function entryEvent(
  { raw, entry }: SealedEntry,
  placed: Omit<EntryEvent, 'kind' | 'raw' | 'entry'>,
  { redaction }: DestinationConfig,
  salt: string,
): EntryEvent {
  if (redaction === 'full') return { kind: 'entry', ...placed, raw, entry };
  return { kind: 'entry', ...placed, entry: redactEntry(entry, redaction, salt) };
}

function testEvent(origin: string, destination: string, nonce: string, madeAt: number): TestEvent {
  const id = `${origin}:test:${destination}:${nonce}`;
  return { kind: 'test', id, time: new Date(madeAt).toISOString(), destination, nonce };
}

function fetchPath(seq: number): string {
  return `/v1/audit/entries?order=oldest&cursor=${seq}&limit=1`;
}

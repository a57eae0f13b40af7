/**
 * A position in the change feed of a table: how far each shard of its stream was read. Self-contained, so that another
 * process, or this one after a restart, goes on from it.
 */
import { type FeedPosition, StoreError } from './port.ts';

/**
 * `from`: an iterator that stands at a place for which no sequence number is known yet. It ends after 15 minutes
 * (API reference, GetShardIterator). `start`: everything that the shard holds. `done`: closed, and read to its end.
 */
export type ShardPlace =
  | { readonly kind: 'after'; readonly sequence: string }
  | { readonly kind: 'from'; readonly iterator: string }
  | { readonly kind: 'start' }
  | { readonly kind: 'done' };

export type StreamPosition = {
  /** Which stream: one that was disabled and enabled again is another. */
  readonly label: string;
  /** When it was read up to here, Unix milliseconds. */
  readonly at: number;
  /** By shard id. Those that gave something last come last, so that none waits for ever. */
  readonly shards: ReadonlyMap<string, ShardPlace>;
};

/** Developer Guide, "Change data capture for DynamoDB Streams": records are kept for 24 hours. An hour less is certain. */
const keptMs = 23 * 60 * 60 * 1000;
const kinds = { after: 'a', from: 'f', start: 's', done: 'd' } as const;

export function formatPosition({ label, at, shards }: StreamPosition): FeedPosition {
  const rows = [...shards].map(([id, place]) => [id, kinds[place.kind], textOf(place)]);
  return `d1.${Buffer.from(JSON.stringify({ label, at, rows })).toString('base64url')}` as FeedPosition;
}

/** `invalid` for what is no position, `feed_expired` for one of another stream or from before what the stream keeps. */
export function parsePosition(position: FeedPosition, stream: { label: string; now: number }): StreamPosition {
  const { label, at, rows } = parseJson(position);
  if (typeof label !== 'string' || typeof at !== 'number' || !Array.isArray(rows)) throw malformed();
  if (label !== stream.label || stream.now - at > keptMs) {
    throw new StoreError('feed_expired', 'the stream no longer reaches back to this position; load the state anew');
  }
  return { label, at, shards: new Map(rows.map(parseRow)) };
}

function parseRow(row: unknown): [string, ShardPlace] {
  if (!Array.isArray(row) || !row.every((part) => typeof part === 'string')) throw malformed();
  const [id, kind, value] = row as readonly (string | undefined)[];
  if (id === undefined || value === undefined) throw malformed();
  switch (kind) {
    case kinds.after:
      return [id, { kind: 'after', sequence: value }];
    case kinds.from:
      return [id, { kind: 'from', iterator: value }];
    case kinds.start:
      return [id, { kind: 'start' }];
    case kinds.done:
      return [id, { kind: 'done' }];
    default:
      throw malformed();
  }
}

function parseJson(position: FeedPosition): { label?: unknown; at?: unknown; rows?: unknown } {
  try {
    const [, body] = /^d1\.([A-Za-z0-9_-]{1,1000000})$/.exec(position) ?? [];
    const value: unknown = JSON.parse(Buffer.from(body ?? '', 'base64url').toString());
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Reported below.
  }
  throw malformed();
}

function textOf(place: ShardPlace): string {
  if (place.kind === 'after') return place.sequence;
  return place.kind === 'from' ? place.iterator : '';
}

function malformed(): StoreError {
  return new StoreError('invalid', 'malformed feed position');
}

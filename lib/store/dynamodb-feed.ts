/**
 * The change feed on DynamoDB Streams. A reading that returns has heard from every shard since it began, so that
 * "nothing new" is never an unread shard; a parent shard is read to its end before its children, which keeps each key's order.
 *
 * Developer Guide, "Reading and processing a stream": more than two readers of a shard may be throttled. A throttled
 * reading is `unavailable`, never empty.
 */
import type { DynamoDBStreamsClient } from '@aws-sdk/client-dynamodb-streams';
import { type AttributeMap, decodeItem, decodeKey } from './dynamodb-encoding.ts';
import { formatPosition, parsePosition, type ShardPlace, type StreamPosition } from './dynamodb-position.ts';
import { openShards, type ShardInfo, type ShardRead, type StreamRecord } from './dynamodb-shards.ts';
import { checkFeedLimit } from './feed.ts';
import { type Change, type ChangeFeed, StoreError } from './port.ts';

export type DynamoFeedOptions = {
  readonly streams: Pick<DynamoDBStreamsClient, 'send'>;
  readonly streamArn?: string;
  readonly now?: () => number;
  readonly pause: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Between two polls of a waiting reader. Each costs a request per shard, and a second is what a revocation may take. */
  readonly pollMs?: number;
  /** Aborts when the store closes. */
  readonly closed: AbortSignal;
};

/** API reference, GetRecords. */
const maxRecords = 1_000;
/** New shards come when one closes, which is noticed at once; this is for what could be missed all the same. */
const relistMs = 30_000;
/** While a shard is read to its end and its children are not to be seen yet. DescribeStream allows ten calls a second. */
const relistSoonMs = 1_000;

export function openDynamoFeed(options: DynamoFeedOptions): ChangeFeed {
  const { streamArn, pause, closed, now = Date.now, pollMs = 700 } = options;
  if (streamArn === undefined) return absentFeed(closed);
  const label = streamArn.split('/stream/')[1] ?? '';
  const shards = openShards(options.streams, streamArn, { now, closed });
  let known: { readonly shards: readonly ShardInfo[]; readonly at: number } | undefined;

  async function list(): Promise<readonly ShardInfo[]> {
    const at = now();
    known = { shards: await shards.list(), at };
    return known.shards;
  }

  async function position(): Promise<StreamPosition> {
    // A shard that closes, or that splits, after this list still has its end here, and its children are read from
    // their beginning: they are not in the position, and what is not in it is new.
    const at = now();
    const places = (await list()).map(async ({ id, isClosed }): Promise<[string, ShardPlace]> => {
      return [id, isClosed ? { kind: 'done' } : await shards.end(id)];
    });
    return { label, at, shards: new Map(await Promise.all(places)) };
  }

  /** Asks every shard once, as far as its parent is done. */
  async function poll(from: StreamPosition, limit: number): Promise<{ changes: Change[]; position: StreamPosition }> {
    const at = now();
    const listed = known !== undefined && isRecent(from, known, at) ? known.shards : await list();
    const places = placesOf(from, listed);
    const readable = listed.filter((shard) => mayRead(shard, places)).map(({ id }) => id);
    if (readable.length === 0) {
      throw new StoreError('unavailable', 'no shard of the stream is open, so there is nobody to hear from');
    }
    const ordered = [...places.keys()].filter((id) => readable.includes(id));
    const share = Math.min(maxRecords, Math.max(1, Math.floor(limit / Math.max(1, ordered.length))));
    const changes: Change[] = [];
    for (let start = 0; start < ordered.length && changes.length === 0; start += limit) {
      const batch = ordered.slice(start, start + limit);
      const reads = await Promise.all(batch.map((id) => shards.read(id, places.get(id)!, share)));
      for (const [index, id] of batch.entries()) take(places, id, reads[index]!, changes);
    }
    return { changes, position: { label, at, shards: places } };
  }

  return {
    async now() {
      assertOpen(closed);
      return formatPosition(await position());
    },
    async read(after, { limit, waitMs, signal }) {
      checkFeedLimit(limit);
      assertOpen(closed);
      let at = parsePosition(after, { label, now: now() });
      const timeUp = AbortSignal.timeout(Math.max(0, waitMs));
      const ended = AbortSignal.any([closed, timeUp, ...(signal === undefined ? [] : [signal])]);
      for (let isLast = waitMs <= 0; ; isLast = timeUp.aborted) {
        if (signal?.aborted === true) return { changes: [], position: formatPosition(at) };
        try {
          const { changes, position: reached } = await poll(at, limit);
          at = reached;
          if (changes.length > 0 || isLast) return { changes, position: formatPosition(at) };
        } catch (error) {
          const isPassing = error instanceof StoreError && error.code === 'unavailable';
          if (isLast || !isPassing) throw error;
        }
        await pause(pollMs, ended);
        assertOpen(closed);
      }
    },
  };
}

/** What follows from a list of shards: those that are new are read from their start, those that are gone and done are dropped. */
function placesOf(from: StreamPosition, listed: readonly ShardInfo[]): Map<string, ShardPlace> {
  const ids = new Set(listed.map(({ id }) => id));
  const places = new Map([...from.shards].filter(([id, place]) => place.kind !== 'done' || ids.has(id)));
  for (const [id, place] of places) {
    if (place.kind !== 'done' && !ids.has(id)) {
      throw new StoreError('feed_expired', `shard ${id} of the stream is gone; load the state anew`);
    }
  }
  for (const id of ids) if (!places.has(id)) places.set(id, { kind: 'start' });
  return places;
}

function mayRead({ id, parent }: ShardInfo, places: ReadonlyMap<string, ShardPlace>): boolean {
  if (places.get(id)?.kind === 'done') return false;
  const ofParent = parent === undefined ? undefined : places.get(parent);
  return ofParent === undefined || ofParent.kind === 'done';
}

/** A list may be older than what was read: a shard was read to its end that it has as open, or that has no child in it. */
function isRecent(from: StreamPosition, known: { shards: readonly ShardInfo[]; at: number }, at: number): boolean {
  const parents = new Set(known.shards.map(({ parent }) => parent));
  const ended = known.shards.filter(({ id }) => from.shards.get(id)?.kind === 'done');
  if (ended.some(({ isClosed }) => !isClosed)) return false;
  const awaitsChild = ended.some(({ id }) => !parents.has(id));
  return at - known.at < (awaitsChild ? relistSoonMs : relistMs);
}

function take(places: Map<string, ShardPlace>, id: string, read: ShardRead, changes: Change[]): void {
  if (read.records.length > 0) places.delete(id);
  places.set(id, read.place);
  for (const record of read.records) changes.push(changeOf(record));
}

function changeOf({ eventName, dynamodb }: StreamRecord): Change {
  const key = decodeKey(dynamodb?.Keys as AttributeMap | undefined);
  if (eventName === 'REMOVE') return { key };
  if (dynamodb?.NewImage === undefined) {
    throw new StoreError('corrupt', "the table's stream carries no new images; set its view type to NEW_IMAGE");
  }
  return { key, item: decodeItem(dynamodb.NewImage as AttributeMap) };
}

function absentFeed(closed: AbortSignal): ChangeFeed {
  const refuse = async () => {
    assertOpen(closed);
    throw new StoreError('unavailable', 'this process was given no stream, so it has no change feed');
  };
  return { now: refuse, read: refuse };
}

function assertOpen(closed: AbortSignal): void {
  if (closed.aborted) throw new StoreError('closed', 'the store is closed');
}

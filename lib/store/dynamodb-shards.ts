/** The shards of a table's stream: which there are, and the records that follow a place in one of them. */
import {
  DescribeStreamCommand,
  type DynamoDBStreamsClient,
  GetRecordsCommand,
  type GetRecordsCommandOutput,
  GetShardIteratorCommand,
  type Shard,
} from '@aws-sdk/client-dynamodb-streams';
import type { ShardPlace } from './dynamodb-position.ts';
import { StoreError } from './port.ts';

export type StreamRecord = NonNullable<GetRecordsCommandOutput['Records']>[number];
export type ShardInfo = { readonly id: string; readonly parent?: string; readonly isClosed: boolean };
export type ShardRead = { readonly records: readonly StreamRecord[]; readonly place: ShardPlace };

export type Shards = {
  list(): Promise<readonly ShardInfo[]>;
  /** The place after everything that is in the shard now. */
  end(shard: string): Promise<ShardPlace>;
  /** Throws `feed_expired` when the records at the place are gone, `unavailable` when the stream can't be read. */
  read(shard: string, place: ShardPlace, limit: number): Promise<ShardRead>;
};

/** Iterators are good for 15 minutes; they are kept for less, and so many at most. */
const iteratorMs = 10 * 60_000;
const maxIterators = 2_000;

export function openShards(
  streams: Pick<DynamoDBStreamsClient, 'send'>,
  streamArn: string,
  deps: { readonly now: () => number; readonly closed: AbortSignal },
): Shards {
  const options = { abortSignal: deps.closed };
  /** The iterator at a place that was read up to, which saves a call for every poll. */
  const iterators = new Map<string, { iterator: string; at: number }>();

  async function list(): Promise<readonly ShardInfo[]> {
    const found: Shard[] = [];
    let from: string | undefined;
    do {
      const command = { StreamArn: streamArn, ...(from === undefined ? {} : { ExclusiveStartShardId: from }) };
      const { StreamDescription } = await send(() => streams.send(new DescribeStreamCommand(command), options));
      // A disabled stream keeps its shards, readable and silent, for a day: "nothing new" from it would mean nothing.
      const status = StreamDescription?.StreamStatus;
      if (status === 'DISABLED' || status === 'DISABLING') {
        throw new StoreError('unavailable', `the stream ${JSON.stringify(streamArn)} is disabled`);
      }
      found.push(...(StreamDescription?.Shards ?? []));
      from = StreamDescription?.LastEvaluatedShardId;
    } while (from !== undefined);
    return found.map(({ ShardId, ParentShardId, SequenceNumberRange }) => ({
      id: ShardId!,
      ...(ParentShardId === undefined ? {} : { parent: ParentShardId }),
      isClosed: SequenceNumberRange?.EndingSequenceNumber !== undefined,
    }));
  }

  async function iteratorAt(shard: string, place: Exclude<ShardPlace, { kind: 'from' | 'done' }> | 'latest') {
    const type =
      place === 'latest' ? 'LATEST' : place.kind === 'after' ? 'AFTER_SEQUENCE_NUMBER' : ('TRIM_HORIZON' as const);
    const { ShardIterator } = await send(() =>
      streams.send(
        new GetShardIteratorCommand({
          StreamArn: streamArn,
          ShardId: shard,
          ShardIteratorType: type,
          ...(place !== 'latest' && place.kind === 'after' ? { SequenceNumber: place.sequence } : {}),
        }),
        options,
      ),
    );
    return ShardIterator!;
  }

  async function read(shard: string, place: ShardPlace, limit: number): Promise<ShardRead> {
    if (place.kind === 'done') return { records: [], place };
    const name = `${shard} ${JSON.stringify(place)}`;
    const kept = iterators.get(name);
    const isKept = kept !== undefined && deps.now() - kept.at < iteratorMs;
    const iterator = place.kind === 'from' ? place.iterator : isKept ? kept.iterator : await iteratorAt(shard, place);
    const command = new GetRecordsCommand({ ShardIterator: iterator, Limit: limit });
    let answer: GetRecordsCommandOutput;
    try {
      answer = await send(() => streams.send(command, options));
    } catch (error) {
      iterators.delete(name);
      // The service forgot a kept iterator: the place itself may well be there.
      const isExpired = (error as Error).cause instanceof Error && nameOf((error as Error).cause) === expiredIterator;
      if (isExpired && isKept && place.kind !== 'from') return read(shard, place, limit);
      throw error;
    }
    const records = answer.Records ?? [];
    // API reference, GetRecords: no next iterator means that the shard is closed and has no more.
    if (answer.NextShardIterator === undefined) return { records, place: { kind: 'done' } };
    const next = placeAfter(place, records, answer.NextShardIterator);
    if (next.kind !== 'from') keep(`${shard} ${JSON.stringify(next)}`, answer.NextShardIterator);
    return { records, place: next };
  }

  function keep(name: string, iterator: string): void {
    iterators.delete(name);
    iterators.set(name, { iterator, at: deps.now() });
    if (iterators.size > maxIterators) iterators.delete(iterators.keys().next().value!);
  }

  async function send<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      if (deps.closed.aborted) throw new StoreError('closed', 'the store is closed');
      throw fromStreamError(error, streamArn);
    }
  }

  return {
    list,
    read,
    async end(shard) {
      return { kind: 'from', iterator: await iteratorAt(shard, 'latest') };
    },
  };
}

function placeAfter(place: ShardPlace, records: readonly StreamRecord[], iterator: string): ShardPlace {
  const last = records.at(-1)?.dynamodb?.SequenceNumber;
  if (last !== undefined) return { kind: 'after', sequence: last };
  return place.kind === 'from' ? { kind: 'from', iterator } : place;
}

const expiredIterator = 'ExpiredIteratorException';
/** A shard that is not known any more, or records that are gone. */
const gone: ReadonlySet<string> = new Set(['TrimmedDataAccessException', 'ResourceNotFoundException', expiredIterator]);

function fromStreamError(error: unknown, streamArn: string): StoreError {
  const { message } = error as { message?: unknown };
  const said = `stream ${JSON.stringify(streamArn)}: ${nameOf(error)}: ${String(message).slice(0, 300)}`;
  if (gone.has(nameOf(error))) {
    return new StoreError('feed_expired', `the feed no longer reaches back to this position (${said})`, {
      cause: error,
    });
  }
  return new StoreError('unavailable', `the change feed could not be read (${said})`, { cause: error });
}

function nameOf(error: unknown): string {
  return String((error as { name?: unknown } | null)?.name);
}

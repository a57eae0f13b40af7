/**
 * A DynamoDB stream in memory whose shards split, close, are trimmed and fail on command; what emulators with their
 * single shard can't show. It behaves as the API reference of DynamoDB Streams describes.
 */
import type { DynamoDBStreamsClient } from '@aws-sdk/client-dynamodb-streams';

type Entry = { readonly sequence: number; readonly sk: string; readonly n: number | undefined };
type FakeShard = {
  readonly id: string;
  readonly parent?: string;
  closed: boolean;
  trimmedBelow: number;
  entries: Entry[];
};

const iteratorLifeMs = 15 * 60_000;

export function createFakeStream(now: () => number) {
  const shards = new Map<string, FakeShard>();
  let sequence = 100;
  let listed = () => {};

  const stream = {
    arn: 'arn:aws:dynamodb:eu-central-1:111122223333:table/t/stream/2030-01-01',
    status: 'ENABLED',
    /** The name of the error that the next requests for a shard's records get. */
    failing: new Map<string, string>(),
    onPause: (): void => {},
    /** Runs once, after the next list of shards was made and before its reader sees it. */
    onceListed(action: () => void) {
      listed = action;
    },
    addShard(id: string, parent?: string) {
      const shard = { id, closed: false, trimmedBelow: 0, entries: [] };
      shards.set(id, parent === undefined ? shard : { ...shard, parent });
    },
    close(id: string) {
      shards.get(id)!.closed = true;
    },
    split(id: string, children: readonly string[]) {
      stream.close(id);
      for (const child of children) stream.addShard(child, id);
    },
    write(id: string, sk: string, n: number) {
      sequence += 1;
      shards.get(id)!.entries.push({ sequence, sk, n });
    },
    writeKeysOnly(id: string, sk: string) {
      sequence += 1;
      shards.get(id)!.entries.push({ sequence, sk, n: undefined });
    },
    trim(id: string) {
      const shard = shards.get(id)!;
      shard.trimmedBelow = sequence + 1;
      shard.entries = [];
    },
    remove(id: string) {
      shards.delete(id);
    },
    client: { send } as unknown as Pick<DynamoDBStreamsClient, 'send'>,
  };

  // biome-ignore lint/suspicious/noExplicitAny: the commands are of many types, told apart by name.
  async function send(command: any): Promise<object> {
    const { input } = command;
    switch (command.constructor.name) {
      case 'DescribeStreamCommand': {
        const found = [...shards.values()].map(({ id, parent, closed }) => ({
          ShardId: id,
          ...(parent === undefined || !shards.has(parent) ? {} : { ParentShardId: parent }),
          SequenceNumberRange: { StartingSequenceNumber: '1', ...(closed ? { EndingSequenceNumber: '9' } : {}) },
        }));
        // Two pages, so that whoever reads only one misses shards.
        const start = found.findIndex(({ ShardId }) => ShardId === input.ExclusiveStartShardId) + 1;
        const page = found.slice(start, start + 2);
        const more = start + 2 < found.length;
        listed();
        listed = () => {};
        return {
          StreamDescription: {
            StreamStatus: stream.status,
            Shards: page,
            ...(more ? { LastEvaluatedShardId: page.at(-1)!.ShardId } : {}),
          },
        };
      }
      case 'GetShardIteratorCommand': {
        const shard = shardOf(input.ShardId);
        const first = {
          LATEST: sequence + 1,
          TRIM_HORIZON: 0,
          AFTER_SEQUENCE_NUMBER: Number(input.SequenceNumber) + 1,
        };
        const from = first[input.ShardIteratorType as 'LATEST'];
        if (input.ShardIteratorType === 'AFTER_SEQUENCE_NUMBER' && from < shard.trimmedBelow)
          fail('TrimmedDataAccessException');
        return { ShardIterator: JSON.stringify([shard.id, from, now()]) };
      }
      case 'GetRecordsCommand': {
        const [id, from, madeAt] = JSON.parse(input.ShardIterator) as [string, number, number];
        if (now() - madeAt > iteratorLifeMs) fail('ExpiredIteratorException');
        const shard = shardOf(id);
        const failure = stream.failing.get(id);
        if (failure !== undefined) fail(failure);
        const waiting = shard.entries.filter((entry) => entry.sequence >= from);
        const page = waiting.slice(0, input.Limit);
        const isEnd = shard.closed && page.length === waiting.length;
        const next = (page.at(-1)?.sequence ?? from - 1) + 1;
        return {
          Records: page.map(recordOf),
          ...(isEnd ? {} : { NextShardIterator: JSON.stringify([id, next, now()]) }),
        };
      }
      default:
        throw new TypeError(`unknown command ${command.constructor.name}`);
    }
  }

  function shardOf(id: string): FakeShard {
    return shards.get(id) ?? fail('ResourceNotFoundException');
  }

  return stream;
}

function recordOf({ sequence, sk, n }: Entry) {
  const keys = { pk: { S: 'p' }, sk: { S: sk } };
  const image = n === undefined ? {} : { NewImage: { ...keys, n: { N: String(n) } } };
  return { eventName: 'MODIFY', dynamodb: { Keys: keys, SequenceNumber: String(sequence), ...image } };
}

function fail(name: string): never {
  throw Object.assign(new Error(name), { name });
}

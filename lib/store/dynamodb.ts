/**
 * The store on one DynamoDB table (string keys `pk` and `sk`, a stream of new images). Conditions are evaluated by
 * DynamoDB itself, so any number of processes share the table. Sources: Amazon DynamoDB Developer Guide and API reference.
 *
 * One documented difference: `update` with nothing but `unset` does not create an absent item here (UpdateItem, "DELETE -
 * Nothing happens; there is no attribute to delete").
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CancellationReason,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  TransactWriteItemsCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { DynamoDBStreamsClient } from '@aws-sdk/client-dynamodb-streams';
import { applyWrite } from './apply.ts';
import { conditionHolds } from './condition.ts';
import { type AttributeMap, decodeItem, encodeKey } from './dynamodb-encoding.ts';
import { classifyWriteError, describe, fromReadError } from './dynamodb-errors.ts';
import { requestOf } from './dynamodb-expressions.ts';
import { openDynamoFeed } from './dynamodb-feed.ts';
import { queryRequest, withinRange } from './dynamodb-query.ts';
import {
  type Item,
  type Key,
  type Outcome,
  type Page,
  type Query,
  type Store,
  StoreError,
  type Write,
} from './port.ts';
import { checkItemBytes, maxTransactionBytes, parseKey, parseQuery, parseWrites } from './validate.ts';

export type DynamoStoreOptions = {
  /** From `createDynamoClients`: a client that retries by itself would hide unknown outcomes. Closed by its owner. */
  readonly client: Pick<DynamoDBClient, 'send'>;
  readonly streams: Pick<DynamoDBStreamsClient, 'send'>;
  readonly table: string;
  /** Of the table's stream. Without it the store has no change feed: for processes that only write. */
  readonly streamArn?: string;
  /** Unix milliseconds; dates feed positions. */
  readonly now?: () => number;
  /** Waits between attempts, and between two polls of the stream; resolves early when the signal aborts. */
  readonly pause?: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** In [0, 1), for full jitter. */
  readonly jitter?: () => number;
  readonly pollMs?: number;
};

const maxAttempts = 4;

/** Opens nothing yet: the first call finds out whether the table is there and may be used. */
export function openDynamoStore(options: DynamoStoreOptions): Store {
  const { client, table, jitter = Math.random, pause = interruptiblePause } = options;
  const stop = new AbortController();
  const feed = openDynamoFeed({ ...options, pause, closed: stop.signal });
  const underWay = new Set<Promise<unknown>>();

  function assertOpen(): void {
    if (stop.signal.aborted) throw new StoreError('closed', 'the store is closed');
  }

  const backOff = (attempt: number) => pause(Math.floor(jitter() * 25 * 2 ** attempt));

  async function read<T>(request: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await request();
      } catch (error) {
        const known = fromReadError(error, table);
        if (known.code !== 'unavailable' || attempt >= maxAttempts) throw known;
        await backOff(attempt);
      }
    }
  }

  async function get(key: Key): Promise<Item | undefined> {
    const command = { TableName: table, Key: encodeKey(key), ConsistentRead: true };
    const { Item } = await read(() => client.send(new GetItemCommand(command)));
    return Item && decodeItem(Item);
  }

  async function page(query: Query): Promise<Page> {
    const request = queryRequest(query, table);
    if (request === undefined) return { items: [] };
    const answer = await read(() => client.send(new QueryCommand(request)));
    const found = withinRange(query, (answer.Items ?? []).map(decodeItem));
    const items = found.slice(0, query.limit ?? found.length);
    const next = items.length < found.length ? items.at(-1)?.sk : answer.LastEvaluatedKey?.['sk']?.S;
    return next === undefined ? { items } : { items, next };
  }

  /** A single check is a consistent read, which costs a quarter of a transaction of one. */
  async function check(write: Extract<Write, { kind: 'check' }>): Promise<Outcome> {
    return conditionHolds(write.when, await get(write.key)) ? { ok: true } : { ok: false, failed: [0] };
  }

  async function write(writes: readonly Write[]): Promise<Outcome> {
    checkSizes(writes);
    const [only] = writes;
    if (writes.length === 1 && only!.kind === 'check') return check(only as Extract<Write, { kind: 'check' }>);
    const requests = writes.map((each) => requestOf(each, table));
    if (writes.length === 1) return carryOut(writes, () => sendSingle(client, requests[0]!), false);
    // The same token in each attempt: what an earlier one did is not done again, and the answer is the same
    // (API reference, TransactWriteItems, "ClientRequestToken"; for 10 minutes).
    const command = { TransactItems: requests, ClientRequestToken: randomUUID() };
    return carryOut(writes, () => client.send(new TransactWriteItemsCommand(command)), true);
  }

  /**
   * Once an attempt has ended without an answer, only `ok` is certain: a later refusal may mean that the earlier
   * attempt was carried out, or that it still will be.
   */
  async function carryOut(
    writes: readonly Write[],
    send: () => Promise<unknown>,
    isRepeatable: boolean,
  ): Promise<Outcome> {
    let doubt: unknown;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await send();
        return { ok: true };
      } catch (error) {
        const failure = classifyWriteError(error);
        if (failure.kind === 'unknown' || failure.kind === 'running') doubt ??= error;
        const mayRepeat = failure.kind === 'unavailable' || (isRepeatable && doubt !== undefined);
        if (mayRepeat && failure.kind !== 'refused' && attempt < maxAttempts) {
          await backOff(attempt);
          continue;
        }
        if (doubt !== undefined) throw describe('unknown_outcome', doubt, table);
        if (failure.kind === 'refused') return refusal(writes, failure.reasons);
        throw describe(failure.kind === 'running' ? 'unknown_outcome' : (failure.kind as 'conflict'), error, table);
      }
    }
  }

  return {
    feed,
    async get(key) {
      assertOpen();
      return get(parseKey(key));
    },
    async query(query) {
      assertOpen();
      return page(parseQuery(query));
    },
    async transact(writes) {
      assertOpen();
      const writing = write(parseWrites(writes));
      underWay.add(writing);
      return writing.finally(() => underWay.delete(writing));
    },
    async close() {
      stop.abort();
      await Promise.allSettled(underWay);
    },
  };
}

/** Half of what a transaction of one costs; and on a busy item it waits its turn instead of ending in a conflict. */
function sendSingle(client: Pick<DynamoDBClient, 'send'>, request: ReturnType<typeof requestOf>): Promise<unknown> {
  if (request.Put !== undefined) return client.send(new PutItemCommand(request.Put));
  if (request.Delete !== undefined) return client.send(new DeleteItemCommand(request.Delete));
  return client.send(new UpdateItemCommand(request.Update!));
}

/** What DynamoDB would find too large, or, of updates, what can be told without the item. */
function checkSizes(writes: readonly Write[]): void {
  const bytes = writes.reduce((sum, write) => sum + sizeOf(write), 0);
  if (bytes > maxTransactionBytes) {
    throw new StoreError('invalid', `a transaction of ${bytes} bytes; at most ${maxTransactionBytes} fit`);
  }
}

function sizeOf(write: Write): number {
  if (write.kind === 'put') return checkItemBytes(write.item);
  return write.kind === 'update' ? checkItemBytes({ ...write.set, ...write.key }) : 0;
}

/** Which conditions failed; `invalid` when it was not the caller's condition but an addition that is not allowed. */
function refusal(writes: readonly Write[], reasons: readonly CancellationReason[]): Outcome {
  const failed = reasons.flatMap(({ Code, Item }, index) => {
    const write = writes[index];
    if (Code !== 'ConditionalCheckFailed' || write === undefined) return [];
    if (write.kind === 'update' && Item !== undefined) applyWrite(write, decodeItem(Item as AttributeMap));
    return [index];
  });
  return { ok: false, failed };
}

async function interruptiblePause(ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch((error: unknown) => {
    if (signal?.aborted !== true) throw error;
  });
}

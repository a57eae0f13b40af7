/** A store in memory, for tests: the port's semantics and limits without its durability. */
import { randomUUID } from 'node:crypto';
import { applyWrite, judge, keyOf } from './apply.ts';
import { checkFeedLimit, createBell, formatPosition, parsePosition, waitFor } from './feed.ts';
import { byteRange } from './order.ts';
import {
  type Change,
  type ChangeFeed,
  type Item,
  type Key,
  type Page,
  type Query,
  type Store,
  StoreError,
} from './port.ts';
import { checkItemBytes, copyItem, maxPageBytes, parseKey, parseQuery, parseWrites } from './validate.ts';

/** Sorted by `sortKey`. */
type Partition = { sortKey: Buffer; item: Item }[];

/** `feedMaxChanges`: how many changes the feed keeps. */
export function createMemoryStore(options: { readonly feedMaxChanges?: number } = {}): Store {
  const { feedMaxChanges = 100_000 } = options;
  const partitions = new Map<string, Partition>();
  const feedId = randomUUID().replaceAll('-', '');
  const bell = createBell();
  let changes: Change[] = [];
  /** How many changes were dropped from the front of `changes`. */
  let dropped = 0;
  let closed = false;

  const partitionOf = (pk: string) => partitions.get(pk) ?? [];
  const assertOpen = () => {
    if (closed) throw new StoreError('closed', 'the store is closed');
  };

  function find(key: Key): Item | undefined {
    const partition = partitionOf(key.pk);
    const sortKey = Buffer.from(key.sk);
    const found = partition[lowerBound(partition, sortKey)];
    return found?.sortKey.equals(sortKey) ? found.item : undefined;
  }

  function replace(key: Key, item: Item | undefined): void {
    const partition = partitionOf(key.pk);
    const sortKey = Buffer.from(key.sk);
    const index = lowerBound(partition, sortKey);
    const held = partition[index]?.sortKey.equals(sortKey) ? 1 : 0;
    partition.splice(index, held, ...(item === undefined ? [] : [{ sortKey, item }]));
    partitions.set(key.pk, partition);
    changes.push({ key: { pk: key.pk, sk: key.sk }, ...(item === undefined ? {} : { item }) });
  }

  function trimFeed(): void {
    // A tenth more than asked, so that not every write copies the array.
    if (changes.length <= feedMaxChanges + Math.floor(feedMaxChanges / 10)) return;
    dropped += changes.length - feedMaxChanges;
    changes = changes.slice(-feedMaxChanges);
  }

  const feed: ChangeFeed = {
    async now() {
      assertOpen();
      return formatPosition(feedId, dropped + changes.length);
    },
    async read(after, { limit, ...wait }) {
      checkFeedLimit(limit);
      const found = await waitFor(
        bell,
        () => {
          assertOpen();
          const from = parsePosition(after, { id: feedId, oldest: dropped, newest: dropped + changes.length });
          const batch = changes.slice(from - dropped, from - dropped + limit).map(copyChange);
          return batch.length === 0
            ? undefined
            : { changes: batch, position: formatPosition(feedId, from + batch.length) };
        },
        wait,
      );
      return found ?? { changes: [], position: after };
    },
  };

  return {
    feed,
    async get(key) {
      assertOpen();
      const item = find(parseKey(key));
      return item && copyItem(item);
    },
    async query(query) {
      assertOpen();
      return queryPartition(partitionOf(query.pk), parseQuery(query));
    },
    async transact(writes) {
      assertOpen();
      const parsed = parseWrites(writes);
      const effects = parsed.map((write) => applyWrite(write, find(keyOf(write))));
      const outcome = judge(effects);
      if (!outcome.ok) return outcome;
      parsed.forEach((write, index) => {
        const effect = effects[index]!;
        if (effect.kind === 'stored') replace(keyOf(write), effect.item);
        if (effect.kind === 'removed') replace(keyOf(write), undefined);
      });
      trimFeed();
      bell.ring();
      return outcome;
    },
    async close() {
      closed = true;
      bell.ring();
    },
  };
}

function queryPartition(partition: Partition, query: Query): Page {
  const { lower, upper } = byteRange(query);
  const range = partition.slice(lowerBound(partition, lower), lowerBound(partition, upper));
  if (query.descending === true) range.reverse();
  const items: Item[] = [];
  let bytes = 0;
  for (const { item } of range) {
    if (items.length === query.limit || bytes >= maxPageBytes) return { items, next: items.at(-1)!.sk };
    items.push(copyItem(item));
    bytes += checkItemBytes(item);
  }
  return { items };
}

/** The index of the first entry whose sort key is not below `sortKey`. */
function lowerBound(partition: Partition, sortKey: Buffer): number {
  let low = 0;
  let high = partition.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare(partition[middle]!.sortKey, sortKey) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function copyChange(change: Change): Change {
  return { key: { ...change.key }, ...(change.item === undefined ? {} : { item: copyItem(change.item) }) };
}

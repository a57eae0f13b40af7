/** The store in one SQLite file, for the embedded control plane: durable commits in groups, several processes on one file. */
import type { DatabaseSync } from 'node:sqlite';
import { applyWrite, judge, keyOf } from './apply.ts';
import { decodeItem, encodeItem } from './encoding.ts';
import { createGroupCommit } from './group-commit.ts';
import { byteRange } from './order.ts';
import { type Item, type Key, type Outcome, type Page, type Store, StoreError, type Write } from './port.ts';
import { isBusy, toStoreError } from './sqlite-errors.ts';
import { openSqliteFeed, type SqliteFeed } from './sqlite-feed.ts';
import { openSqliteFile, watchSqliteFile } from './sqlite-file.ts';
import { maxPageBytes, parseKey, parseQuery, parseWrites } from './validate.ts';

export type SqliteOptions = {
  /** Unix milliseconds; dates changes, so that old ones can be pruned. */
  readonly now?: () => number;
  /** What the change feed keeps: 100,000 changes and 24 hours unless told otherwise. */
  readonly feedMaxChanges?: number;
  readonly feedMaxAgeMs?: number;
};

/**
 * Opens or creates the store. Transactions that are requested in one turn of the event loop are committed with one
 * fsync, and resolve after it. Throws `read_only`, `full`, `corrupt` or `unavailable`.
 */
export function openSqliteStore(path: string, options: SqliteOptions = {}): Store {
  const database = openSqliteFile(path);
  try {
    return storeOn(database, path, options);
  } catch (error) {
    database.close();
    throw toStoreError(error, path);
  }
}

function storeOn(database: DatabaseSync, path: string, options: SqliteOptions): Store {
  const feed = openSqliteFeed(database, path, { ...options, assertOpen });
  const items = openItems(database, feed);
  const assertFile = watchSqliteFile(path);
  const begin = database.prepare('BEGIN IMMEDIATE');
  const commit = database.prepare('COMMIT');
  const rollback = database.prepare('ROLLBACK');
  let closing: Promise<void> | undefined;

  const commits = createGroupCommit({
    begin() {
      assertFile();
      begin.run();
    },
    apply(writes) {
      const outcome = items.apply(writes);
      feed.prune();
      return outcome;
    },
    commit: () => commit.run(),
    rollback() {
      // SQLite itself rolls back after some errors (https://www.sqlite.org/lang_transaction.html, section 3).
      if (database.isTransaction) rollback.run();
    },
    isBusy,
    toStoreError: (error, committing) => toStoreError(error, path, committing),
    onCommit: feed.ring,
  });

  function assertOpen(): void {
    if (closing !== undefined) throw new StoreError('closed', 'the store is closed');
    const failure = commits.failure();
    if (failure !== undefined) throw failure;
  }

  function read<T>(from: () => T): T {
    try {
      return from();
    } catch (error) {
      throw toStoreError(error, path);
    }
  }

  return {
    feed: feed.port,
    async get(key) {
      assertOpen();
      const parsed = parseKey(key);
      return read(() => items.find(parsed));
    },
    async query(query) {
      assertOpen();
      const parsed = parseQuery(query);
      return read(() => items.page(parsed));
    },
    async transact(writes) {
      assertOpen();
      return commits.transact(parseWrites(writes));
    },
    close() {
      closing ??= commits.drain().then(() => {
        feed.ring();
        read(() => database.close());
      });
      return closing;
    },
  };
}

type Items = {
  find(key: Key): Item | undefined;
  page(query: Parameters<Store['query']>[0]): Page;
  apply(writes: readonly Write[]): Outcome;
};

function openItems(database: DatabaseSync, feed: SqliteFeed): Items {
  const select = database.prepare('SELECT value FROM item WHERE pk = ? AND sk = ?');
  const upsert = database.prepare(
    'INSERT INTO item (pk, sk, value) VALUES (?, ?, ?) ON CONFLICT (pk, sk) DO UPDATE SET value = excluded.value',
  );
  const remove = database.prepare('DELETE FROM item WHERE pk = ? AND sk = ?');
  const range = 'SELECT sk, value FROM item WHERE pk = ? AND sk >= ? AND sk < ? ORDER BY sk';
  const ascending = database.prepare(`${range} ASC`);
  const descending = database.prepare(`${range} DESC`);

  function find(key: Key): Item | undefined {
    const row = select.get(Buffer.from(key.pk), Buffer.from(key.sk));
    return row && decodeItem(key, row['value'] as Uint8Array);
  }

  return {
    find,
    page(query) {
      const { lower, upper } = byteRange(query);
      const statement = query.descending === true ? descending : ascending;
      const items: Item[] = [];
      let bytes = 0;
      for (const row of statement.iterate(Buffer.from(query.pk), lower, upper)) {
        if (items.length === query.limit || bytes >= maxPageBytes) return { items, next: items.at(-1)!.sk };
        const value = row['value'] as Uint8Array;
        items.push(decodeItem({ pk: query.pk, sk: Buffer.from(row['sk'] as Uint8Array).toString() }, value));
        bytes += value.length;
      }
      return { items };
    },
    /** Nothing is written before every condition holds, so a refused transaction has nothing to undo. */
    apply(writes) {
      const effects = writes.map((write) => applyWrite(write, needsItem(write) ? find(keyOf(write)) : undefined));
      const outcome = judge(effects);
      if (!outcome.ok) return outcome;
      writes.forEach((write, index) => {
        const effect = effects[index]!;
        const key = keyOf(write);
        const pk = Buffer.from(key.pk);
        const sk = Buffer.from(key.sk);
        if (effect.kind === 'stored') {
          const value = encodeItem(effect.item);
          upsert.run(pk, sk, value);
          feed.record(pk, sk, value);
        } else if (effect.kind === 'removed') {
          remove.run(pk, sk);
          feed.record(pk, sk, null);
        }
      });
      return outcome;
    },
  };
}

/** Whether the outcome depends on the item as it stands. */
function needsItem(write: Write): boolean {
  return write.kind !== 'put' || write.when !== undefined;
}

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { mustCommit, put, rejectsWith } from '../../test/conformance/store-cases.ts';
import type { Store } from './port.ts';
import { openSqliteStore, type SqliteOptions } from './sqlite.ts';

async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-store-'));
  try {
    await body(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function withStore(path: string, body: (store: Store) => Promise<void>, options?: SqliteOptions): Promise<void> {
  const store = openSqliteStore(path, options);
  try {
    await body(store);
  } finally {
    await store.close();
  }
}

test('the feed prunes by number and by age, keeps the newest change, and says so to whoever is behind', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'store.sqlite');
    let clock = 1_000_000;
    const options = { now: () => clock, feedMaxChanges: 1_500, feedMaxAgeMs: 60_000 };
    const batch = (round: number) => Array.from({ length: 100 }, (_, index) => put('p', `r${round}i${index}`));
    await withStore(
      path,
      async (store) => {
        const start = await store.feed.now();
        for (let round = 0; round < 14; round += 1) await mustCommit(store, ...batch(round));
        assert.equal((await store.feed.read(start, { limit: 10_000, waitMs: 0 })).changes.length, 1_400);
        const recent = await store.feed.now();
        for (let round = 14; round < 25; round += 1) await mustCommit(store, ...batch(round));
        await rejectsWith('feed_expired', store.feed.read(start, { limit: 1, waitMs: 0 }));
        assert.equal((await store.feed.read(recent, { limit: 10_000, waitMs: 0 })).changes.length, 1_100);
        clock += 60_001;
        for (let round = 25; round < 36; round += 1) await mustCommit(store, ...batch(round));
        await rejectsWith('feed_expired', store.feed.read(recent, { limit: 1, waitMs: 0 }));
      },
      options,
    );
    clock += 60_001;
    await withStore(
      path,
      async (store) => {
        const position = await store.feed.now();
        await mustCommit(store, put('p', 'one more'));
        // Everything else was too old; the number of the last change lives on.
        const { changes } = await store.feed.read(position, { limit: 10, waitMs: 0 });
        assert.deepEqual(
          changes.map((change) => change.key.sk),
          ['one more'],
        );
      },
      options,
    );
  }));

test('a position from before the file was replaced by another is expired', () =>
  inDirectory(async (directory) => {
    const first = openSqliteStore(join(directory, 'a.sqlite'));
    const second = openSqliteStore(join(directory, 'b.sqlite'));
    const position = await first.feed.now();
    await rejectsWith('feed_expired', second.feed.read(position, { limit: 1, waitMs: 0 }));
    await first.close();
    await second.close();
  }));

test('a feed that keeps nothing still keeps its newest change: numbers are never used twice', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'store.sqlite');
    const options = { feedMaxChanges: 0 };
    await withStore(path, (store) => mustCommit(store, put('p', 'a'), put('p', 'b')), options);
    await withStore(
      path,
      async (store) => {
        const position = await store.feed.now();
        await mustCommit(store, put('p', 'c'));
        const { changes } = await store.feed.read(position, { limit: 10, waitMs: 0 });
        assert.deepEqual(
          changes.map((change) => change.key.sk),
          ['c'],
        );
      },
      options,
    );
  }));

test('a waiting reader wakes at a write through another connection', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'store.sqlite');
    await withStore(path, (reading) =>
      withStore(path, async (writing) => {
        const position = await reading.feed.now();
        // Who is not woken comes back empty after the minute.
        const waiting = reading.feed.read(position, { limit: 10, waitMs: 60_000 });
        await mustCommit(writing, put('p', 's', { n: 1 }));
        assert.deepEqual((await waiting).changes, [{ key: { pk: 'p', sk: 's' }, item: { pk: 'p', sk: 's', n: 1 } }]);
      }),
    );
  }));

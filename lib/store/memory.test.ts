import assert from 'node:assert/strict';
import { test } from 'node:test';
import { storeConformance } from '../../test/conformance/store.ts';
import { put, rejectsWith } from '../../test/conformance/store-cases.ts';
import { createMemoryStore } from './memory.ts';

storeConformance('memory', async () => {
  const store = createMemoryStore();
  return { store, dispose: () => store.close() };
});

test('the feed keeps a bounded number of changes, and says so to whoever is behind', async () => {
  const store = createMemoryStore({ feedMaxChanges: 3 });
  const start = await store.feed.now();
  for (const sk of ['a', 'b', 'c']) await store.transact([put('p', sk)]);
  assert.equal((await store.feed.read(start, { limit: 10, waitMs: 0 })).changes.length, 3);
  await store.transact([put('p', 'd')]);
  await rejectsWith('feed_expired', store.feed.read(start, { limit: 10, waitMs: 0 }));
});

test('a position of another store is expired, not misread', async () => {
  const position = await createMemoryStore().feed.now();
  await rejectsWith('feed_expired', createMemoryStore().feed.read(position, { limit: 1, waitMs: 0 }));
});

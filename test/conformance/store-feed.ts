/** Store conformance: the change feed misses nothing, keeps each key's order, waits, and ends when told. */
import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Change, FeedPosition } from '../../lib/store/port.ts';
import { type MakeStore, mustCommit, put, readFeed, rejectsWith, sameKey, storeTest } from './store-cases.ts';

const key = { pk: 'p', sk: 's' };

/** A change may come twice; each key's versions, without repetitions, are its history. */
function historyOf(changes: readonly Change[], sk: string): (number | 'deleted')[] {
  return changes
    .filter((change) => sameKey(change.key, { pk: 'p', sk }))
    .map((change) => (change.item === undefined ? 'deleted' : (change.item['n'] as number)))
    .filter((version, index, all) => version !== all[index - 1]);
}

export function feedCases(make: MakeStore): void {
  storeTest('the feed reports every put, update and delete, in order for each key', make, async (store) => {
    const start = await store.feed.now();
    await mustCommit(store, put('p', 's', { n: 1 }), put('p', 't', { n: 10 }));
    await mustCommit(store, { kind: 'update', key, add: { n: 1 } });
    await mustCommit(store, { kind: 'delete', key }, put('p', 't', { n: 11 }));
    await mustCommit(store, put('p', 's', { n: 3 }), put('p', 'last'));
    const { changes } = await readFeed(
      store,
      start,
      (seen) => seen.some((change) => change.key.sk === 'last') && historyOf(seen, 's').at(-1) === 3,
    );
    assert.deepEqual(historyOf(changes, 's'), [1, 2, 'deleted', 3]);
    assert.deepEqual(historyOf(changes, 't'), [10, 11]);
    const deletion = changes.find((change) => sameKey(change.key, key) && change.item === undefined);
    assert.equal(deletion && 'item' in deletion && deletion.item !== undefined, false);
    const second = changes.find((change) => change.item?.['n'] === 2);
    assert.deepStrictEqual(second?.item, { ...key, n: 2 });
  });

  storeTest('a refused transaction and a check leave no change', make, async (store) => {
    const start = await store.feed.now();
    await store.transact([put('p', 'a'), { kind: 'check', key, when: { kind: 'present' } }]);
    await mustCommit(store, { kind: 'check', key, when: { kind: 'absent' } }, put('p', 'b'));
    const { changes } = await readFeed(store, start, (seen) => seen.some((change) => change.key.sk === 'b'));
    assert.deepEqual([...new Set(changes.map((change) => change.key.sk))], ['b']);
  });

  storeTest('a position resumes: pages of any size give what one reading gives', make, async (store) => {
    const start = await store.feed.now();
    for (let n = 0; n < 15; n += 1) await mustCommit(store, put('p', 's', { n }), put('p', `k${n}`));
    for (const limit of [1, 4, 100]) {
      const changes: Change[] = [];
      let position: FeedPosition = start;
      while (historyOf(changes, 's').at(-1) !== 14 || !changes.some((change) => change.key.sk === 'k14')) {
        const read = await store.feed.read(position, { limit, waitMs: 10_000 });
        assert(read.changes.length <= limit);
        changes.push(...read.changes);
        position = read.position;
      }
      assert.deepEqual(
        historyOf(changes, 's'),
        Array.from({ length: 15 }, (_, n) => n),
      );
      assert.equal(new Set(changes.map((change) => change.key.sk)).size, 16);
    }
  });

  storeTest(
    'a position taken before reading the state misses nothing that is written meanwhile',
    make,
    async (store) => {
      await mustCommit(store, put('p', 's', { n: 1 }));
      const position = await store.feed.now();
      await mustCommit(store, put('p', 's', { n: 2 }));
      assert.equal((await store.get(key))?.['n'], 2);
      const { changes } = await readFeed(store, position, (seen) => historyOf(seen, 's').includes(2));
      assert.equal(historyOf(changes, 's').at(-1), 2);
    },
  );

  storeTest('a waiting reader wakes at a write, and each of several readers gets it', make, async (store) => {
    const position = await store.feed.now();
    // Who is not woken comes back empty after the minute.
    const options = { limit: 10, waitMs: 60_000 };
    const readers = Array.from({ length: 5 }, () => store.feed.read(position, options));
    await nextTurn();
    await mustCommit(store, put('p', 's', { n: 1 }));
    for (const { changes } of await Promise.all(readers)) assert.deepEqual(historyOf(changes, 's'), [1]);
  });

  storeTest('without changes a reading ends when its time is up, with a position that resumes', make, async (store) => {
    let position = await store.feed.now();
    for (const waitMs of [0, 1]) {
      const read = await store.feed.read(position, { limit: 10, waitMs });
      assert.deepEqual(read.changes, []);
      await mustCommit(store, put('p', 's', { n: waitMs }));
      const next = await readFeed(store, read.position, (seen) => historyOf(seen, 's').at(-1) === waitMs);
      assert.deepEqual(historyOf(next.changes, 's'), [waitMs]);
      position = next.position;
    }
  });

  storeTest('an aborted reading ends empty, before and while it waits', make, async (store) => {
    const position = await store.feed.now();
    const options = { limit: 10, waitMs: 60_000 };
    const before = await store.feed.read(position, { ...options, signal: AbortSignal.abort() });
    assert.deepEqual(before.changes, []);
    const controller = new AbortController();
    const waiting = store.feed.read(position, { ...options, signal: controller.signal });
    await nextTurn();
    controller.abort();
    assert.deepEqual((await waiting).changes, []);
  });

  storeTest('closing the store ends a waiting reading', make, async (store) => {
    const position = await store.feed.now();
    const waiting = store.feed.read(position, { limit: 10, waitMs: 60_000 });
    const refused = rejectsWith('closed', waiting);
    await nextTurn();
    await store.close();
    await refused;
  });

  storeTest('malformed positions and limits are refused', make, async (store) => {
    const position = await store.feed.now();
    for (const limit of [0, -1, 1.5]) await rejectsWith('invalid', store.feed.read(position, { limit, waitMs: 0 }));
    for (const bad of ['', 'x', '../..']) {
      await rejectsWith('invalid', store.feed.read(bad as FeedPosition, { limit: 1, waitMs: 0 }));
    }
  });

  storeTest('a position survives closing and opening again', make, async (store, made) => {
    if (made.reopen === undefined) return;
    const position = await store.feed.now();
    await mustCommit(store, put('p', 's', { n: 1 }));
    await store.close();
    const again = await made.reopen();
    await mustCommit(again, put('p', 's', { n: 2 }));
    const { changes } = await readFeed(again, position, (seen) => historyOf(seen, 's').at(-1) === 2);
    assert.deepEqual(historyOf(changes, 's'), [1, 2]);
  });
}

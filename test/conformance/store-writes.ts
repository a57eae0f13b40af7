/** Store conformance: what is written comes back exactly, all of it or nothing, and stays. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Attribute, Item } from '../../lib/store/port.ts';
import { attributes, type MakeStore, mustCommit, put, queryAll, rejectsWith, storeTest, text } from './store-cases.ts';

const key = { pk: 'p', sk: 's' };

export function writeCases(make: MakeStore): void {
  storeTest('every attribute comes back exactly', make, async (store) => {
    await fc.assert(
      fc.asyncProperty(attributes, async (held) => {
        const item = { ...held, ...key };
        await mustCommit(store, { kind: 'put', item });
        assert.deepStrictEqual(await store.get(key), item);
        assert.deepStrictEqual((await store.query({ pk: 'p' })).items, [item]);
      }),
      { numRuns: 60 },
    );
  });

  storeTest('every key comes back exactly', make, async (store) => {
    await fc.assert(
      fc.asyncProperty(text, text, async (pk, sk) => {
        const item = { pk: `k${pk}`, sk: `k${sk}`, n: 1 };
        await mustCommit(store, { kind: 'put', item });
        assert.deepStrictEqual(await store.get({ pk: item.pk, sk: item.sk }), item);
        assert(item.sk === (await queryAll(store, { pk: item.pk, from: item.sk }))[0]?.sk);
      }),
      { numRuns: 60 },
    );
  });

  storeTest('bytes come back as Uint8Array, whatever view they were given as', make, async (store) => {
    const whole = Buffer.from('0123456789');
    await mustCommit(store, put('p', 's', { buffer: whole, view: whole.subarray(2, 5), empty: new Uint8Array() }));
    assert.deepStrictEqual(await store.get(key), {
      ...key,
      buffer: new Uint8Array(whole),
      view: new Uint8Array([0x32, 0x33, 0x34]),
      empty: new Uint8Array(),
    });
  });

  storeTest('an absent item is undefined, in a known and in an unknown partition', make, async (store) => {
    await mustCommit(store, put('p', 's'));
    assert.equal(await store.get({ pk: 'p', sk: 'other' }), undefined);
    assert.equal(await store.get({ pk: 'other', sk: 's' }), undefined);
  });

  storeTest('a put replaces the whole item', make, async (store) => {
    await mustCommit(store, put('p', 's', { a: 1, b: 2 }));
    await mustCommit(store, put('p', 's', { b: 3 }));
    assert.deepStrictEqual(await store.get(key), { ...key, b: 3 });
  });

  storeTest('an update sets, unsets and adds, and keeps the rest', make, async (store) => {
    await mustCommit(store, put('p', 's', { keep: 'k', gone: 1, count: 5, list: [1] }));
    await mustCommit(store, {
      kind: 'update',
      key,
      set: { list: [2, { deep: true }], fresh: 'f' },
      unset: ['gone', 'never there'],
      add: { count: -7, born: 3 },
    });
    assert.deepStrictEqual(await store.get(key), {
      ...key,
      keep: 'k',
      count: -2,
      born: 3,
      list: [2, { deep: true }],
      fresh: 'f',
    });
  });

  storeTest('an update creates an absent item, and add counts from 0', make, async (store) => {
    await mustCommit(store, { kind: 'update', key, set: { a: 'x' }, add: { n: 4 } });
    assert.deepStrictEqual(await store.get(key), { ...key, a: 'x', n: 4 });
  });

  storeTest('a delete removes; of an absent item it is no failure', make, async (store) => {
    await mustCommit(store, put('p', 's'));
    await mustCommit(store, { kind: 'delete', key });
    assert.equal(await store.get(key), undefined);
    await mustCommit(store, { kind: 'delete', key });
  });

  storeTest('a transaction of 100 writes stands as a whole, or not at all', make, async (store) => {
    const writes = Array.from({ length: 99 }, (_, index) => put('many', `s${index}`, { index }));
    const guard = { kind: 'check', key: { pk: 'other', sk: 'guard' }, when: { kind: 'present' } } as const;
    assert.deepEqual(await store.transact([...writes, guard]), { ok: false, failed: [99] });
    assert.deepEqual(await queryAll(store, { pk: 'many' }), []);
    await mustCommit(store, put('other', 'guard'));
    await mustCommit(store, ...writes, guard);
    assert.equal((await queryAll(store, { pk: 'many' })).length, 99);
  });

  storeTest('nothing that the caller or the store hands over is shared', make, async (store) => {
    const bytes = new Uint8Array([1]);
    const list: Attribute[] = [1];
    const pending = store.transact([put('p', 's', { bytes, list, map: { inner: bytes } })]);
    bytes[0] = 9;
    list.push(2);
    await pending;
    const expected = { ...key, bytes: new Uint8Array([1]), list: [1], map: { inner: new Uint8Array([1]) } };
    const first = (await store.get(key)) as Item & { bytes: Uint8Array; list: Attribute[] };
    assert.deepStrictEqual(first, expected);
    first.bytes[0] = 7;
    first.list.push(3);
    assert.deepStrictEqual(await store.get(key), expected);
    assert.deepStrictEqual((await store.query({ pk: 'p' })).items, [expected]);
  });

  storeTest('what was committed survives closing and opening again', make, async (store, made) => {
    if (made.reopen === undefined) return;
    await mustCommit(store, put('p', 's', { text: 'é\u{1f512}', bytes: new Uint8Array([0, 255]) }), put('p', 't'));
    await mustCommit(store, { kind: 'delete', key: { pk: 'p', sk: 't' } });
    await store.close();
    const again = await made.reopen();
    assert.deepStrictEqual(await queryAll(again, { pk: 'p' }), [
      { ...key, text: 'é\u{1f512}', bytes: new Uint8Array([0, 255]) },
    ]);
  });

  storeTest(
    'close waits for writes under way, may be called twice, and then every call is refused',
    make,
    async (store, made) => {
      const pending = Array.from({ length: 20 }, (_, index) => store.transact([put('p', `s${index}`)]));
      const position = await store.feed.now();
      await Promise.all([store.close(), store.close()]);
      await store.close();
      assert((await Promise.all(pending)).every((outcome) => outcome.ok));
      await rejectsWith('closed', store.get(key));
      await rejectsWith('closed', store.query({ pk: 'p' }));
      await rejectsWith('closed', store.transact([put('p', 's')]));
      await rejectsWith('closed', store.feed.now());
      await rejectsWith('closed', store.feed.read(position, { limit: 1, waitMs: 0 }));
      if (made.reopen !== undefined) assert.equal((await queryAll(await made.reopen(), { pk: 'p' })).length, 20);
    },
  );
}

/** Store conformance: what is refused as `invalid`, and that the limits themselves fit. */
import assert from 'node:assert/strict';
import { type Attribute, maxItemBytes, type Write } from '../../lib/store/port.ts';
import { type MakeStore, mustCommit, put, queryAll, rejectsWith, storeTest } from './store-cases.ts';

const key = { pk: 'p', sk: 's' };

function nested(depth: number): Attribute {
  return depth === 1 ? 1 : [nested(depth - 1)];
}

/** What no type allows, but JavaScript does. */
const badValues: readonly unknown[] = [
  null,
  undefined,
  -0,
  0.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.MAX_SAFE_INTEGER + 1,
  1n,
  new Date(0),
  new Map(),
  () => 1,
  Symbol('s'),
  '\ud800',
  [null],
  { inner: undefined },
  { '': 1 },
  { '\udfff': 1 },
  JSON.parse('{"__proto__": 1}'),
  nested(40),
];

export function limitCases(make: MakeStore): void {
  storeTest('values that no adapter could give back exactly are refused', make, async (store) => {
    for (const value of badValues) {
      const bad = value as Attribute;
      await rejectsWith('invalid', store.transact([put('p', 's', { bad })]));
      await rejectsWith('invalid', store.transact([{ kind: 'update', key, set: { bad } }]));
    }
    assert.deepEqual(await queryAll(store, { pk: 'p' }), []);
    await mustCommit(store, put('p', 's', { deep: nested(31) }));
  });

  storeTest('malformed writes are refused, and nothing beside them is written', make, async (store) => {
    const bad: readonly Write[] = [
      { kind: 'update', key },
      { kind: 'update', key, set: {}, add: {}, unset: [] },
      { kind: 'update', key, set: { pk: 'x' } },
      { kind: 'update', key, set: { sk: 'x' } },
      { kind: 'update', key, unset: ['sk'] },
      { kind: 'update', key, add: { pk: 1 } },
      { kind: 'update', key, set: { a: 1 }, unset: ['a'] },
      { kind: 'update', key, set: { a: 1 }, add: { a: 1 } },
      { kind: 'update', key, unset: ['a', 'a'] },
      { kind: 'update', key, add: { a: 0.5 } },
      { kind: 'update', key, add: { a: '1' as unknown as number } },
      { kind: 'check', key } as unknown as Write,
      { kind: 'check', key, when: { kind: 'all', of: [] } },
      { kind: 'check', key, when: { kind: 'any', of: [] } },
      { kind: 'check', key, when: { kind: 'equals', name: '', value: 1 } },
      { kind: 'check', key, when: { kind: 'equals', name: 'a', value: [1] as unknown as string } },
      { kind: 'check', key, when: { kind: 'less', name: 'a', value: true as unknown as number } },
      { kind: 'check', key, when: { kind: 'never' } as unknown as { kind: 'absent' } },
      { kind: 'upsert', key } as unknown as Write,
    ];
    for (const write of bad) {
      await rejectsWith('invalid', store.transact([put('p', 'beside'), write]));
    }
    assert.deepEqual(await queryAll(store, { pk: 'p' }), []);
  });

  storeTest('adding to what is not a number is refused', make, async (store) => {
    await mustCommit(store, put('p', 's', { a: 'text' }));
    await rejectsWith('invalid', store.transact([put('p', 'beside'), { kind: 'update', key, add: { a: 1 } }]));
    assert.deepStrictEqual(await queryAll(store, { pk: 'p' }), [{ ...key, a: 'text' }]);
  });

  storeTest('a transaction has 1 to 100 writes, to distinct keys', make, async (store) => {
    await rejectsWith('invalid', store.transact([]));
    await rejectsWith('invalid', store.transact(Array.from({ length: 101 }, (_, index) => put('p', `s${index}`))));
    await rejectsWith('invalid', store.transact([put('p', 's'), { kind: 'delete', key }]));
    await rejectsWith('invalid', store.transact([put('p', 's'), { kind: 'check', key, when: { kind: 'absent' } }]));
    assert.deepEqual(await queryAll(store, { pk: 'p' }), []);
    // Distinct, although their concatenations are equal.
    await mustCommit(store, put('ab', 'c'), put('a', 'bc'), put('1:a', 'b'), put('1', ':ab'));
  });

  storeTest('keys have 1 to 2048 and 1 to 1024 bytes of well-formed text', make, async (store) => {
    const bad = [
      { pk: '', sk: 's' },
      { pk: 'p', sk: '' },
      { pk: 'é'.repeat(1025), sk: 's' },
      { pk: 'p', sk: 'é'.repeat(513) },
      { pk: '\ud800', sk: 's' },
      { pk: 'p', sk: '\udc00' },
      { pk: 1 as unknown as string, sk: 's' },
    ];
    for (const key of bad) {
      await rejectsWith('invalid', store.get(key));
      await rejectsWith('invalid', store.transact([put(key.pk, key.sk)]));
      await rejectsWith('invalid', store.transact([{ kind: 'delete', key }]));
    }
    const longest = { pk: 'é'.repeat(1024), sk: 'é'.repeat(512) };
    await mustCommit(store, put(longest.pk, longest.sk, { a: 1 }));
    assert.deepStrictEqual(await store.get(longest), { ...longest, a: 1 });
  });

  storeTest(
    'an item of exactly 400 KiB fits, one byte more does not, also when an update makes it',
    make,
    async (store) => {
      // The key and the names count.
      const room = maxItemBytes - 'pk'.length - 'p'.length - 'sk'.length - 's'.length - 'bytes'.length;
      await rejectsWith('invalid', store.transact([put('p', 's', { bytes: new Uint8Array(room + 1) })]));
      assert.equal(await store.get(key), undefined);
      await mustCommit(store, put('p', 's', { bytes: new Uint8Array(room) }));
      await rejectsWith('invalid', store.transact([{ kind: 'update', key, set: { x: true } }]));
      assert.deepStrictEqual(await store.get(key), { ...key, bytes: new Uint8Array(room) });
    },
  );

  storeTest('a transaction over 4 MiB in all is refused', make, async (store) => {
    const large = (sk: string) => put('p', sk, { bytes: new Uint8Array(399 * 1024) });
    await rejectsWith('invalid', store.transact(Array.from({ length: 11 }, (_, index) => large(`s${index}`))));
    assert.deepEqual(await queryAll(store, { pk: 'p' }), []);
    await mustCommit(store, ...Array.from({ length: 10 }, (_, index) => large(`s${index}`)));
  });
}

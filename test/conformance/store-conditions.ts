/** Store conformance: when each condition holds, and what a transaction reports when some do not. */
import assert from 'node:assert/strict';
import type { Attribute, Condition } from '../../lib/store/port.ts';
import { type MakeStore, mustCommit, put, queryAll, storeTest } from './store-cases.ts';

const key = { pk: 'p', sk: 's' };
const held = {
  text: 'm',
  number: 10,
  flag: true,
  bytes: new Uint8Array([1, 2]),
  list: ['m'],
  digits: '5',
  high: '\u{1f512}',
} satisfies { [name: string]: Attribute };

/** Of the item `held`, and of no item at all. */
const cases: readonly (readonly [condition: Condition, ofHeld: boolean, ofAbsent: boolean])[] = [
  [{ kind: 'absent' }, false, true],
  [{ kind: 'present' }, true, false],
  [{ kind: 'missing', name: 'text' }, false, true],
  [{ kind: 'missing', name: 'other' }, true, true],
  [{ kind: 'missing', name: 'constructor' }, true, true],
  [{ kind: 'equals', name: 'text', value: 'm' }, true, false],
  [{ kind: 'equals', name: 'text', value: 'M' }, false, false],
  [{ kind: 'equals', name: 'number', value: 10 }, true, false],
  [{ kind: 'equals', name: 'number', value: '10' }, false, false],
  [{ kind: 'equals', name: 'flag', value: true }, true, false],
  [{ kind: 'equals', name: 'flag', value: false }, false, false],
  [{ kind: 'equals', name: 'flag', value: 'true' }, false, false],
  [{ kind: 'equals', name: 'bytes', value: new Uint8Array([1, 2]) }, true, false],
  [{ kind: 'equals', name: 'bytes', value: new Uint8Array([1, 2, 0]) }, false, false],
  [{ kind: 'equals', name: 'bytes', value: '\u0001\u0002' }, false, false],
  [{ kind: 'equals', name: 'list', value: 'm' }, false, false],
  [{ kind: 'equals', name: 'other', value: 'm' }, false, false],
  [{ kind: 'less', name: 'number', value: 11 }, true, false],
  [{ kind: 'less', name: 'number', value: 10 }, false, false],
  [{ kind: 'less', name: 'number', value: '9' }, false, false],
  [{ kind: 'less', name: 'other', value: 1 }, false, false],
  [{ kind: 'less', name: 'text', value: 'n' }, true, false],
  [{ kind: 'less', name: 'text', value: 'm' }, false, false],
  [{ kind: 'less', name: 'flag', value: 'z' }, false, false],
  [{ kind: 'less', name: 'flag', value: 2 }, false, false],
  [{ kind: 'less', name: 'digits', value: 10 }, false, false],
  [{ kind: 'greater', name: 'number', value: 9 }, true, false],
  [{ kind: 'greater', name: 'number', value: 10 }, false, false],
  [{ kind: 'greater', name: 'number', value: '1' }, false, false],
  [{ kind: 'greater', name: 'other', value: -1 }, false, false],
  [{ kind: 'greater', name: 'text', value: 'l' }, true, false],
  // By UTF-8 bytes U+1F512 is above U+FFFD; by UTF-16 units it would be below.
  [{ kind: 'greater', name: 'high', value: '\ufffd' }, true, false],
  [{ kind: 'less', name: 'high', value: '\ufffd' }, false, false],
  [{ kind: 'all', of: [{ kind: 'present' }, { kind: 'equals', name: 'number', value: 10 }] }, true, false],
  [{ kind: 'all', of: [{ kind: 'present' }, { kind: 'equals', name: 'number', value: 11 }] }, false, false],
  [{ kind: 'any', of: [{ kind: 'absent' }, { kind: 'equals', name: 'number', value: 10 }] }, true, true],
  [{ kind: 'any', of: [{ kind: 'absent' }, { kind: 'equals', name: 'number', value: 11 }] }, false, true],
  [
    {
      kind: 'all',
      of: [
        { kind: 'any', of: [{ kind: 'missing', name: 'other' }, { kind: 'absent' }] },
        {
          kind: 'any',
          of: [
            { kind: 'less', name: 'number', value: 0 },
            { kind: 'greater', name: 'number', value: 0 },
          ],
        },
      ],
    },
    true,
    false,
  ],
];

export function conditionCases(make: MakeStore): void {
  storeTest('each condition holds exactly when it should, on every kind of write', make, async (store) => {
    await mustCommit(store, put('p', 's', held));
    for (const [when, ofHeld, ofAbsent] of cases) {
      const label = JSON.stringify(when);
      const expected = (holds: boolean) => (holds ? { ok: true } : { ok: false, failed: [0] });
      assert.deepEqual(await store.transact([{ kind: 'check', key, when }]), expected(ofHeld), label);
      const absent = { pk: 'p', sk: 'absent' };
      assert.deepEqual(await store.transact([{ kind: 'check', key: absent, when }]), expected(ofAbsent), label);
      assert.deepEqual(
        await store.transact([{ kind: 'put', item: { ...held, ...key }, when }]),
        expected(ofHeld),
        label,
      );
      assert.deepEqual(
        await store.transact([{ kind: 'update', key, set: { text: 'm' }, when }]),
        expected(ofHeld),
        label,
      );
      assert.deepEqual(await store.transact([{ kind: 'delete', key: absent, when }]), expected(ofAbsent), label);
    }
    assert.deepEqual(await queryAll(store, { pk: 'p' }), [{ ...held, ...key }]);
  });

  storeTest('a refused write of each kind changes nothing', make, async (store) => {
    await mustCommit(store, put('p', 's', held));
    const when: Condition = { kind: 'equals', name: 'number', value: 11 };
    for (const write of [
      { kind: 'put', item: { ...key, other: 1 }, when },
      { kind: 'update', key, set: { number: 1 }, when },
      { kind: 'delete', key, when },
    ] as const) {
      assert.deepEqual(await store.transact([write]), { ok: false, failed: [0] });
      assert.deepStrictEqual(await store.get(key), { ...held, ...key });
    }
    assert.deepEqual(
      await store.transact([{ kind: 'update', key: { pk: 'p', sk: 'new' }, add: { n: 1 }, when: { kind: 'present' } }]),
      { ok: false, failed: [0] },
    );
    assert.equal(await store.get({ pk: 'p', sk: 'new' }), undefined);
  });

  storeTest(
    'failed conditions are named by index, ascending, among writes that would have passed',
    make,
    async (store) => {
      await mustCommit(store, put('p', 'taken1'), put('p', 'taken3'));
      const claim = (sk: string) => ({ kind: 'put', item: { pk: 'p', sk }, when: { kind: 'absent' } }) as const;
      assert.deepEqual(
        await store.transact([
          claim('free0'),
          claim('taken1'),
          put('p', 'free2'),
          claim('taken3'),
          { kind: 'check', key: { pk: 'p', sk: 'absent4' }, when: { kind: 'present' } },
        ]),
        { ok: false, failed: [1, 3, 4] },
      );
      assert.deepEqual(
        (await queryAll(store, { pk: 'p' })).map((item) => item.sk),
        ['taken1', 'taken3'],
      );
    },
  );

  storeTest('conditions see the item before the transaction, not after', make, async (store) => {
    await mustCommit(store, put('p', 's', { n: 1 }));
    await mustCommit(store, { kind: 'update', key, add: { n: 1 }, when: { kind: 'equals', name: 'n', value: 1 } });
    await mustCommit(store, { kind: 'update', key, unset: ['n'], when: { kind: 'equals', name: 'n', value: 2 } });
    await mustCommit(store, { kind: 'delete', key, when: { kind: 'missing', name: 'n' } });
    assert.equal(await store.get(key), undefined);
  });
}

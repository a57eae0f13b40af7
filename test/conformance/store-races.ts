/** Store conformance: many callers at once. An adapter may answer `conflict`, but must never lose or double a write. */
import assert from 'node:assert/strict';
import type { Store } from '../../lib/store/port.ts';
import { type MakeStore, mustCommit, put, queryAll, storeTest, transactThroughConflicts } from './store-cases.ts';

const key = { pk: 'p', sk: 's' };

async function increment(store: Store): Promise<void> {
  for (;;) {
    const held = await store.get(key);
    const n = held?.['n'] as number;
    const outcome = await transactThroughConflicts(store, [
      { kind: 'update', key, set: { n: n + 1 }, when: { kind: 'equals', name: 'n', value: n } },
    ]);
    if (outcome.ok) return;
  }
}

export function raceCases(make: MakeStore): void {
  storeTest('of 200 claims of one key at once, exactly one wins, and its value stands', make, async (store) => {
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, (_, who) =>
        transactThroughConflicts(store, [
          { kind: 'put', item: { ...key, who }, when: { kind: 'absent' } },
          put('claims', `c${who}`),
        ]),
      ),
    );
    const winners = outcomes.flatMap((outcome, who) => (outcome.ok ? [who] : []));
    assert.equal(winners.length, 1);
    for (const outcome of outcomes) assert(outcome.ok || outcome.failed.join() === '0');
    assert.deepStrictEqual(await store.get(key), { ...key, who: winners[0] });
    assert.deepStrictEqual(await queryAll(store, { pk: 'claims' }), [{ pk: 'claims', sk: `c${winners[0]}` }]);
  });

  storeTest('200 additions at once add up', make, async (store) => {
    await Promise.all(
      Array.from({ length: 200 }, () => transactThroughConflicts(store, [{ kind: 'update', key, add: { n: 1 } }])),
    );
    assert.deepStrictEqual(await store.get(key), { ...key, n: 200 });
  });

  storeTest('read, compute, write-if-unchanged never loses an update', make, async (store) => {
    await mustCommit(store, put('p', 's', { n: 0 }));
    await Promise.all(Array.from({ length: 12 }, () => increment(store)));
    assert.deepStrictEqual(await store.get(key), { ...key, n: 12 });
  });

  storeTest('transfers between two items keep their sum', make, async (store) => {
    const other = { pk: 'q', sk: 's' };
    await mustCommit(store, put('p', 's', { n: 50 }), put('q', 's', { n: 50 }));
    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        transactThroughConflicts(store, [
          { kind: 'update', key, add: { n: index % 2 === 0 ? -3 : 5 } },
          { kind: 'update', key: other, add: { n: index % 2 === 0 ? 3 : -5 } },
        ]),
      ),
    );
    assert.equal((await store.get(key))?.['n'], 50 + 20 * 2);
    assert.equal((await store.get(other))?.['n'], 50 - 20 * 2);
  });

  storeTest('a write that returned is seen by every read that begins after', make, async (store) => {
    for (let n = 1; n <= 20; n += 1) {
      await mustCommit(store, put('p', 's', { n }));
      assert.equal((await store.get(key))?.['n'], n);
      assert.equal((await store.query({ pk: 'p' })).items[0]?.['n'], n);
    }
  });
}

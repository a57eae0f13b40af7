/** Store conformance: ranges, prefixes, pages and the order of sort keys. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Query, Store } from '../../lib/store/port.ts';
import { type MakeStore, mustCommit, put, queryAll, rejectsWith, storeTest, text } from './store-cases.ts';

async function sortKeys(store: Store, query: Query): Promise<string[]> {
  return (await queryAll(store, query)).map((item) => item.sk);
}

/** Ascending by UTF-8 bytes; by UTF-16 units, the last two would change places. */
const ordered = [
  '\0',
  '\0a',
  'A',
  'Z',
  'a',
  'a\0',
  'aa',
  'a\u{10ffff}',
  'b',
  '\u007f',
  '\u0080',
  'é',
  '\ud7ff',
  '\uffff',
  '\u{10000}',
];

export function queryCases(make: MakeStore): void {
  storeTest('sort keys order by their UTF-8 bytes, both ways', make, async (store) => {
    await mustCommit(store, ...ordered.toReversed().map((sk) => put('p', sk)));
    assert.deepEqual(await sortKeys(store, { pk: 'p' }), ordered);
    assert.deepEqual(await sortKeys(store, { pk: 'p', descending: true }), ordered.toReversed());
  });

  storeTest('a query stays in its partition', make, async (store) => {
    await mustCommit(store, put('p', 's'), put('p2', 's'), put('P', 's'), put('p\0', 's'));
    assert.deepEqual(await queryAll(store, { pk: 'p' }), [{ pk: 'p', sk: 's' }]);
    assert.deepEqual(await queryAll(store, { pk: 'nowhere' }), []);
  });

  storeTest('from is inclusive, to is exclusive, a prefix is exact, and they combine', make, async (store) => {
    await mustCommit(store, ...['a', 'a#1', 'a#2', 'a#3', 'a$', 'b', 'b#1'].map((sk) => put('p', sk)));
    const expected: readonly (readonly [Omit<Query, 'pk'>, readonly string[]])[] = [
      [{ from: 'a#2' }, ['a#2', 'a#3', 'a$', 'b', 'b#1']],
      [{ to: 'a#2' }, ['a', 'a#1']],
      [{ from: 'a#1', to: 'a#3' }, ['a#1', 'a#2']],
      [{ from: 'a#11', to: 'a#21' }, ['a#2']],
      [{ from: 'a#2', to: 'a#2' }, []],
      [{ from: 'b', to: 'a' }, []],
      [{ prefix: 'a#' }, ['a#1', 'a#2', 'a#3']],
      [{ prefix: 'a' }, ['a', 'a#1', 'a#2', 'a#3', 'a$']],
      [{ prefix: 'c' }, []],
      [{ prefix: '' }, ['a', 'a#1', 'a#2', 'a#3', 'a$', 'b', 'b#1']],
      [{ prefix: 'a#', from: 'a#2' }, ['a#2', 'a#3']],
      [{ prefix: 'a#', to: 'a#2' }, ['a#1']],
      [{ prefix: 'a#', after: 'a#1' }, ['a#2', 'a#3']],
      [{ after: 'a$' }, ['b', 'b#1']],
      [{ after: 'a#15', to: 'a$' }, ['a#2', 'a#3']],
    ];
    for (const [range, keys] of expected) {
      assert.deepEqual(await sortKeys(store, { pk: 'p', ...range }), keys, JSON.stringify(range));
      if (range.after !== undefined) continue;
      assert.deepEqual(
        await sortKeys(store, { pk: 'p', ...range, descending: true }),
        keys.toReversed(),
        JSON.stringify(range),
      );
    }
    assert.deepEqual(await sortKeys(store, { pk: 'p', after: 'a#2', descending: true }), ['a#1', 'a']);
  });

  storeTest('a prefix may end at the edge of a plane', make, async (store) => {
    for (const prefix of ['\u007f', '\u07ff', '\ud7ff', '\uffff', '\u{10ffff}', 'x\u{10ffff}']) {
      await mustCommit(store, put('p', prefix), put('p', `${prefix}\0`), put('p', `${prefix}\u{10ffff}`));
      assert.deepEqual(
        await sortKeys(store, { pk: 'p', prefix }),
        [prefix, `${prefix}\0`, `${prefix}\u{10ffff}`],
        JSON.stringify(prefix),
      );
    }
  });

  storeTest('pages of any size give the whole range once, in order', make, async (store) => {
    const keys = Array.from({ length: 23 }, (_, index) => `k${String(index).padStart(2, '0')}`);
    await mustCommit(store, ...keys.map((sk) => put('p', sk)));
    for (const limit of [1, 2, 7, 22, 23, 24, 1000]) {
      const page = await store.query({ pk: 'p', limit });
      assert(page.items.length <= limit);
      if (page.items.length < keys.length) assert.notEqual(page.next, undefined);
      assert.deepEqual(await sortKeys(store, { pk: 'p', limit }), keys);
      assert.deepEqual(await sortKeys(store, { pk: 'p', limit, descending: true }), keys.toReversed());
      assert.deepEqual(await sortKeys(store, { pk: 'p', limit, prefix: 'k1' }), keys.slice(10, 20));
    }
  });

  storeTest('a page resumes where it ended although its last item is gone and others came', make, async (store) => {
    await mustCommit(store, ...['a', 'b', 'c', 'd'].map((sk) => put('p', sk)));
    const page = await store.query({ pk: 'p', limit: 2 });
    await mustCommit(store, { kind: 'delete', key: { pk: 'p', sk: 'b' } }, put('p', 'a2'), put('p', 'b2'));
    assert.deepEqual(await sortKeys(store, { pk: 'p', after: page.next! }), ['b2', 'c', 'd']);
  });

  storeTest('a large range comes in several pages even without a limit', make, async (store) => {
    const bytes = new Uint8Array(300 * 1024);
    await mustCommit(store, ...Array.from({ length: 8 }, (_, index) => put('p', `s${index}`, { bytes })));
    const page = await store.query({ pk: 'p' });
    assert.notEqual(page.next, undefined);
    assert.deepEqual(await sortKeys(store, { pk: 'p' }), ['s0', 's1', 's2', 's3', 's4', 's5', 's6', 's7']);
  });

  storeTest('malformed queries are refused', make, async (store) => {
    for (const bad of [
      { pk: '' },
      { pk: 'x'.repeat(2049) },
      { pk: 'p', limit: 0 },
      { pk: 'p', limit: -1 },
      { pk: 'p', limit: 1.5 },
      { pk: 'p', prefix: '\ud800' },
      { pk: 'p', from: 1 as unknown as string },
    ]) {
      await rejectsWith('invalid', store.query(bad));
    }
  });

  storeTest('every range of every set of keys is what filtering and sorting gives', make, async (store) => {
    let run = 0;
    const bound = fc.option(
      text.map((sk) => sk.slice(0, 2)).filter((sk) => sk.isWellFormed()),
      { nil: undefined },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(
          text.filter((sk) => sk !== ''),
          { minLength: 1, maxLength: 12 },
        ),
        bound,
        bound,
        bound,
        fc.boolean(),
        async (keys, prefix, from, to, descending) => {
          const pk = `run${run++}`;
          await mustCommit(store, ...keys.map((sk) => put(pk, sk)));
          const range = Object.fromEntries(
            Object.entries({ prefix, from, to }).filter(([, value]) => value !== undefined),
          );
          const hex = (sk: string) => Buffer.from(sk).toString('hex');
          const expected = keys
            .filter((sk) => sk.startsWith(prefix ?? ''))
            .filter((sk) => from === undefined || hex(sk) >= hex(from))
            .filter((sk) => to === undefined || hex(sk) < hex(to))
            .sort((a, b) => (hex(a) < hex(b) ? -1 : 1));
          if (descending) expected.reverse();
          assert.deepEqual(await sortKeys(store, { pk, ...range, descending, limit: 5 }), expected);
        },
      ),
      { numRuns: 60 },
    );
  });
}

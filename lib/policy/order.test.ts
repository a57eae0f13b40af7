import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { policyError } from '../../test/fakes/policy.ts';
import { danglingReferences, formatCycle, type Ordered, orderResources, sortResources } from './order.ts';

const at = (key: string, references: Partial<Ordered> = {}): Ordered => ({ crate: 'c', key, ...references });
const sortedKeys = (resources: readonly Ordered[]) => sortResources(resources).map((resource) => resource.key);

test('without references the order of the file stands', () => {
  assert.deepEqual(sortedKeys([at('t/b'), at('t/a'), at('t/c')]), ['t/b', 't/a', 't/c']);
});

test('requires, before and notify each put one before the other', () => {
  assert.deepEqual(sortedKeys([at('t/a', { requires: ['t/b'] }), at('t/b')]), ['t/b', 't/a']);
  assert.deepEqual(sortedKeys([at('t/a'), at('t/b', { before: ['t/a'] })]), ['t/b', 't/a']);
  assert.deepEqual(sortedKeys([at('t/a'), at('t/b', { notify: ['t/a'] })]), ['t/b', 't/a']);
});

test('of those that may come next, the first in the file does', () => {
  const resources = [at('t/a', { requires: ['t/d'] }), at('t/b'), at('t/c'), at('t/d'), at('t/e')];
  assert.deepEqual(sortedKeys(resources), ['t/b', 't/c', 't/d', 't/a', 't/e']);
});

test('references reach into other crates by name only', () => {
  const resources: Ordered[] = [
    { crate: 'one', key: 't/a', requires: ['two:t/a'] },
    { crate: 'two', key: 't/a' },
  ];
  assert.deepEqual(
    sortResources(resources).map((resource) => resource.crate),
    ['two', 'one'],
  );
});

for (const [what, resources, cycle] of [
  ['itself', [at('t/a', { requires: ['t/a'] })], 'c:t/a → c:t/a'],
  ['two', [at('t/a', { requires: ['t/b'] }), at('t/b', { requires: ['t/a'] })], 'c:t/a → c:t/b → c:t/a'],
  [
    'three by three kinds of reference',
    [
      at('t/a', { before: ['t/b'] }),
      at('t/b', { notify: ['t/c'] }),
      at('t/c'),
      at('t/d'),
      at('t/a2', { requires: ['t/c'], before: ['t/a'] }),
    ],
    'c:t/a → c:t/b → c:t/c → c:t/a2 → c:t/a',
  ],
  [
    'two with others waiting behind them',
    [at('t/z', { requires: ['t/a'] }), at('t/a', { requires: ['t/b'] }), at('t/b', { requires: ['t/a'] })],
    'c:t/a → c:t/b → c:t/a',
  ],
] as const) {
  test(`a circle of ${what} is refused and shown`, () => {
    const order = orderResources(resources);
    assert.ok(!order.ok);
    assert.equal(formatCycle(order.cycle), cycle);
    assert.throws(() => sortResources(resources), policyError('cycle'));
  });
}

test('references to what is not there are found, and do not disturb the order', () => {
  const resources = [at('t/a', { requires: ['t/missing', 'other:t/b', 't/b'] }), at('t/b')];
  assert.deepEqual(
    danglingReferences(resources).map(({ reference }) => reference),
    ['t/missing', 'other:t/b'],
  );
  assert.deepEqual(sortedKeys(resources), ['t/b', 't/a']);
});

test('a chain of ten thousand is ordered without recursion', () => {
  const chain = Array.from({ length: 10_000 }, (_, i) => at(`t/${i}`, { requires: i < 9999 ? [`t/${i + 1}`] : [] }));
  assert.equal(sortedKeys(chain)[0], 't/9999');
});

test('any graph is either ordered, every edge kept, or shown to have a circle', () => {
  const graph = fc.array(fc.tuple(fc.nat(7), fc.nat(7), fc.constantFrom('requires', 'before', 'notify')), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(graph, (edges) => {
      const resources = Array.from({ length: 8 }, (_, i) => {
        const of = (kind: string) => edges.filter(([from, , k]) => from === i && k === kind).map(([, to]) => `t/${to}`);
        return at(`t/${i}`, { requires: of('requires'), before: of('before'), notify: of('notify') });
      });
      const isBefore = (a: Ordered, b: Ordered) =>
        b.requires?.includes(a.key) || a.before?.includes(b.key) || a.notify?.includes(b.key);
      const order = orderResources(resources);
      if (!order.ok) {
        for (const [i, a] of order.cycle.entries())
          assert.ok(isBefore(a, order.cycle[(i + 1) % order.cycle.length] as Ordered));
        return;
      }
      assert.equal(new Set(order.sorted).size, 8);
      for (const [i, a] of order.sorted.entries()) for (const b of order.sorted.slice(0, i)) assert.ok(!isBefore(a, b));
    }),
    { numRuns: 500 },
  );
});

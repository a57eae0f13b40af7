import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Crate, CrateResource } from './model.ts';
import { planRelease } from './plan.ts';

const note = (id: string, text: string, more: Partial<CrateResource> = {}): CrateResource => ({
  type: 'note',
  id,
  desired: { text },
  ...more,
});
const content = (bindings: Record<string, string[]>, crates: Record<string, CrateResource[]>) => ({
  manifest: { bindings: Object.entries(bindings).map(([name, names]) => ({ match: { name }, crates: names })) },
  crates: new Map(Object.entries(crates).map(([crate, resources]): [string, Crate] => [crate, { crate, resources }])),
});
const nodes = ['web-1', 'web-2', 'db-1'].map((name, i) => ({
  uuid: `00000000-0000-4000-8000-00000000000${i}`,
  name,
  labels: {},
}));

test('without a current release everything is new', () => {
  const plan = planRelease({ next: content({ 'web-*': ['a'] }, { a: [note('x', '1')] }), nodes });
  assert.deepEqual(plan.blastRadius, { nodes: 3, nodesChanged: 2, added: 2, changed: 0, removed: 0 });
  assert.deepEqual(
    plan.nodes.map((n) => [n.name, n.gained, n.lost]),
    [
      ['web-1', ['a'], []],
      ['web-2', ['a'], []],
    ],
  );
});

test('a release that changes nothing has an empty plan', () => {
  const same = () => content({ '*': ['a'] }, { a: [note('x', '1')] });
  const plan = planRelease({ current: same(), next: same(), nodes });
  assert.deepEqual(plan, { nodes: [], blastRadius: { nodes: 3, nodesChanged: 0, added: 0, changed: 0, removed: 0 } });
});

test('changes are shown by node, resource and field', () => {
  const current = content(
    { '*': ['a'], 'db-*': ['b'] },
    { a: [note('x', '1'), note('y', '1'), note('z', '1')], b: [note('q', '1')] },
  );
  const next = content(
    { '*': ['a'], 'web-*': ['b'] },
    { a: [note('x', '2'), note('y', '1', { requires: ['note/x'] }), note('n', '1')], b: [note('q', '1')] },
  );
  const plan = planRelease({ current, next, nodes });
  const [db, web] = plan.nodes;
  assert.deepEqual([db?.name, db?.gained, db?.lost], ['db-1', [], ['b']]);
  assert.deepEqual([web?.name, web?.gained, web?.lost], ['web-1', ['b'], []]);
  assert.deepEqual(web?.changes, [
    { change: 'changed', crate: 'a', key: 'note/x', fields: [{ field: 'desired.text', before: '"1"', after: '"2"' }] },
    { change: 'changed', crate: 'a', key: 'note/y', fields: [{ field: 'requires', after: '["note/x"]' }] },
    { change: 'added', crate: 'a', key: 'note/n', fields: [{ field: 'desired.text', after: '"1"' }] },
    { change: 'removed', crate: 'a', key: 'note/z', fields: [{ field: 'desired.text', before: '"1"' }] },
    { change: 'added', crate: 'b', key: 'note/q', fields: [{ field: 'desired.text', after: '"1"' }] },
  ]);
  assert.deepEqual(plan.blastRadius, { nodes: 3, nodesChanged: 3, added: 5, changed: 6, removed: 4 });
});

test('long values are shortened', () => {
  const plan = planRelease({ next: content({ '*': ['a'] }, { a: [note('x', 'y'.repeat(10_000))] }), nodes });
  assert.ok((plan.nodes[0]?.changes[0]?.fields[0]?.after?.length ?? 0) < 200);
});

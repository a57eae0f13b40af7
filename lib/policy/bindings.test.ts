import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { blobsFor, covers, cratesFor, matchesNode, mayOverlap } from './bindings.ts';
import type { Match } from './model.ts';

const web = { name: 'web-1.example.org', labels: { role: 'web', site: 'ams' } };

for (const [what, match, matches] of [
  ['name', { name: 'web-*' }, true],
  ['another name', { name: 'db-*' }, false],
  ['all labels', { labels: { role: 'web', site: 'ams' } }, true],
  ['one label of several', { labels: { role: 'web' } }, true],
  ['a label with another value', { labels: { role: 'db' } }, false],
  ['a label the node lacks', { labels: { rack: '1' } }, false],
  ['a label named like a member of every object', { labels: { constructor: 'x' } }, false],
  ['name and label', { name: '*', labels: { role: 'web' } }, true],
  ['name but not label', { name: 'web-*', labels: { role: 'db' } }, false],
  ['nothing at all', {}, false],
  ['no labels', { labels: {} }, false],
] as const) {
  test(`a match by ${what} ${matches ? 'holds' : 'does not hold'}`, () => {
    assert.equal(matchesNode(match, web), matches);
  });
}

test('a node gets the crates of all its bindings once, and may have their blobs and no others', () => {
  const manifest = {
    bindings: [
      { match: { name: '*' }, crates: ['motd'] },
      { match: { labels: { role: 'web' } }, crates: ['nginx', 'motd'] },
      { match: { labels: { role: 'db' } }, crates: ['postgres'] },
    ],
    crates: [
      { name: 'motd', sha256: 'm', blobs: ['shared'] },
      { name: 'nginx', sha256: 'n', blobs: ['n1', 'shared'] },
      { name: 'postgres', sha256: 'p', blobs: ['p1', 'shared'] },
    ],
  };
  assert.deepEqual(cratesFor(manifest, web), ['motd', 'nginx']);
  assert.deepEqual([...blobsFor(manifest, web)].sort(), ['m', 'n', 'n1', 'shared']);
  assert.deepEqual([...blobsFor({ ...manifest, bindings: [] }, web)], []);
});

test('what covers and mayOverlap call certain holds for every node', () => {
  const name = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 4 });
  const glob = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), minLength: 1, maxLength: 4 });
  const labels = fc.dictionary(fc.constantFrom('x', 'y'), fc.constantFrom('1', '2'), { minKeys: 1, maxKeys: 2 });
  const match: fc.Arbitrary<Match> = fc.oneof(
    glob.map((g) => ({ name: g })),
    labels.map((l) => ({ labels: l })),
    fc.record({ name: glob, labels }),
  );
  fc.assert(
    fc.property(match, match, name, labels, (a, b, nodeName, nodeLabels) => {
      const node = { name: nodeName, labels: nodeLabels };
      if (covers(a, b) && matchesNode(b, node)) assert.ok(matchesNode(a, node));
      if (!mayOverlap(a, b)) assert.ok(!(matchesNode(a, node) && matchesNode(b, node)));
    }),
    { numRuns: 3000 },
  );
});

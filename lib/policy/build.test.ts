import assert from 'node:assert/strict';
import { test } from 'node:test';
import { day, noon, policyError, types, writeTree } from '../../test/fakes/policy.ts';
import { sha256Hex } from '../crypto/digest.ts';
import { buildRelease, buildRollback } from './build.ts';
import { loadPolicyDirectory } from './directory.ts';
import { PolicyError } from './errors.ts';
import { formatContent, parseCrate, parseManifest } from './model.ts';
import { noPrevious } from './names.ts';

const files = {
  'holdfast.yaml': 'bindings:\n  - match: {labels: {role: web}}\n    crates: [web, base]\n',
  'crates/base.yaml':
    'resources:\n  - note: {name: a}\n    requires: [file//b]\n  - file: {path: /b, content: one}\n  - file: {path: /c, content: one}\n',
  'crates/web/crate.yaml': 'resources:\n  - file: {path: /w, source: files/w}\n',
  'crates/web/files/w': 'two',
  'crates/unbound.yaml': 'resources:\n  - file: {path: /u, content: three}\n',
};
const identity = { fleet: 'demo', number: 1, previous: noPrevious, created: noon, expires: noon + day };

test('a release holds the bound crates and their contents, each once and under its digest', async (t) => {
  const directory = await loadPolicyDirectory(await writeTree(t, files), types);
  const built = buildRelease({ directory, ...identity });
  const manifest = parseManifest(built.manifest);
  assert.equal(built.digest, sha256Hex(built.manifest));
  assert.deepEqual(manifest.bindings, [{ match: { labels: { role: 'web' } }, crates: ['web', 'base'] }]);
  assert.deepEqual(
    manifest.crates.map(({ name, blobs }) => [name, blobs]),
    [
      ['base', [sha256Hex('one')]],
      ['web', [sha256Hex('two')]],
    ],
  );
  assert.deepEqual([...built.blobs.keys()].sort(), manifest.crates.flatMap((c) => [c.sha256, ...c.blobs]).sort());
  for (const [digest, bytes] of built.blobs) assert.equal(sha256Hex(bytes), digest);
});

test('a crate holds its resources in the order of their work', async (t) => {
  const directory = await loadPolicyDirectory(await writeTree(t, files), types);
  const built = buildRelease({ directory, ...identity });
  const base = parseCrate(built.blobs.get(parseManifest(built.manifest).crates[0]?.sha256 ?? '') ?? new Uint8Array());
  assert.deepEqual(
    base.resources.map((r) => `${r.type}/${r.id}`),
    ['file//b', 'note/a', 'file//c'],
  );
  assert.deepEqual(base.resources[1]?.requires, ['file//b']);
});

test('the same input gives the same bytes, wherever the directory stands', async (t) => {
  const [one, two] = await Promise.all(
    [0, 1].map(async () => {
      const shuffled = Object.fromEntries(Object.entries(files).reverse());
      return buildRelease({ directory: await loadPolicyDirectory(await writeTree(t, shuffled), types), ...identity });
    }),
  );
  assert.deepEqual(one?.manifest, two?.manifest);
  assert.deepEqual(one?.blobs, two?.blobs);
});

test('a change anywhere gives other bytes', async (t) => {
  const digests = new Set<string>();
  for (const change of [
    {},
    { 'crates/web/files/w': 'two!' },
    { 'holdfast.yaml': files['holdfast.yaml'].replace('web, base', 'base, web') },
  ]) {
    const directory = await loadPolicyDirectory(await writeTree(t, { ...files, ...change }), types);
    digests.add(buildRelease({ directory, ...identity }).digest);
  }
  assert.equal(digests.size, 3);
});

test('a policy with errors is not built, and the error has them all', async (t) => {
  const broken = { ...files, 'crates/base.yaml': 'resources:\n  - fiel: {}\n  - note: {nmae: x}\n' };
  const directory = await loadPolicyDirectory(await writeTree(t, broken), types);
  assert.throws(
    () => buildRelease({ directory, ...identity }),
    (error) => {
      assert.ok(error instanceof PolicyError && error.code === 'invalid_policy');
      assert.deepEqual(
        error.problems?.filter((p) => p.severity === 'error').map((p) => p.code),
        ['unknown_type', 'missing_key', 'unknown_key'],
      );
      return true;
    },
  );
});

test('what nodes would refuse is not built', async (t) => {
  const directory = await loadPolicyDirectory(await writeTree(t, files), types);
  for (const change of [{ expires: noon }, { number: 0 }, { previous: 'x' }, { fleet: 'Demo' }]) {
    assert.throws(() => buildRelease({ directory, ...identity, ...change }), policyError('malformed'));
  }
});

test('a rollback has the old content under the new number', async (t) => {
  const directory = await loadPolicyDirectory(await writeTree(t, files), types);
  const old = parseManifest(buildRelease({ directory, ...identity }).manifest);
  const manifest = parseManifest(buildRollback({ ...identity, number: 3, previous: 'a'.repeat(64), to: old }));
  assert.equal(manifest.number, 3);
  assert.equal(formatContent(manifest), formatContent(old));
});

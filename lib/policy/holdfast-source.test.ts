import assert from 'node:assert/strict';
import { test } from 'node:test';
import { types, writeTree } from '../../test/fakes/policy.ts';
import { loadPolicyDirectory } from './directory.ts';
import { parseDuration } from './holdfast-source.ts';

test('durations are whole hours, days or weeks, up to five years', () => {
  assert.deepEqual(['1h', '90d', '2w'].map(parseDuration), [3_600_000, 90 * 86_400_000, 14 * 86_400_000]);
  for (const text of ['', '0d', '-1d', '1', 'd', '1.5d', '1m', '1D', ' 1d', '99999w', '1d ']) {
    assert.equal(parseDuration(text), undefined, text);
  }
});

test('bindings and the default expiry are read', async (t) => {
  const text =
    'bindings:\n  - match: {name: "web-*", labels: {role: web}}\n    crates: [motd]\nrelease: {expires: 30d}\n';
  const root = await writeTree(t, { 'holdfast.yaml': text, 'crates/motd.yaml': 'resources: []\n' });
  const { holdfast, problems } = await loadPolicyDirectory(root, types);
  assert.deepEqual(problems, []);
  assert.equal(holdfast.expiresMs, 30 * 86_400_000);
  assert.deepEqual(
    holdfast.bindings.map((binding) => binding.match),
    [{ name: 'web-*', labels: { role: 'web' } }],
  );
});

for (const [what, text, problem, hint] of [
  ['an unknown key', 'bindings: []\nbinding: []\n', 'holdfast.yaml:2:1 unknown_key', /"bindings"/],
  ['no bindings', 'release: {expires: 1d}\n', 'holdfast.yaml:1:1 missing_key', /bindings:/],
  ['bindings that are no list', 'bindings: {}\n', 'holdfast.yaml:1:11 bad_value', /- /],
  ['a binding without match', 'bindings:\n  - crates: [motd]\n', 'holdfast.yaml:2:5 missing_key', /name: "\*"/],
  ['an empty match', 'bindings:\n  - match: {}\n    crates: [motd]\n', 'holdfast.yaml:2:12 missing_key', /name: "\*"/],
  [
    'a match with a regular expression',
    'bindings:\n  - match: {name: "[a-z]+"}\n    crates: [motd]\n',
    'holdfast.yaml:2:19 bad_value',
    /any run/,
  ],
  ['empty labels', 'bindings:\n  - match: {labels: {}}\n    crates: [motd]\n', 'holdfast.yaml:2:21 bad_value', /^$/],
  [
    'a label that is a number',
    'bindings:\n  - match: {labels: {rack: 12}}\n    crates: [motd]\n',
    'holdfast.yaml:2:28 bad_value',
    /"12"/,
  ],
  [
    'a binding of nothing',
    'bindings:\n  - match: {name: a}\n    crates: []\n',
    'holdfast.yaml:3:13 bad_value',
    /remove/,
  ],
  [
    'a crate twice in a binding',
    'bindings:\n  - match: {name: a}\n    crates: [motd, motd]\n',
    'holdfast.yaml:3:20 bad_value',
    /one of them/,
  ],
  [
    'facts in a match',
    'bindings:\n  - match: {name: a, when: x}\n    crates: [motd]\n',
    'holdfast.yaml:2:22 unknown_key',
    /labels, name/,
  ],
  ['a duration without unit', 'bindings: []\nrelease: {expires: 90}\n', 'holdfast.yaml:2:20 bad_value', /"90"/],
  [
    'a duration of a century',
    'bindings: []\nrelease: {expires: 5200w}\n',
    'holdfast.yaml:2:20 bad_value',
    /five years/,
  ],
] as const) {
  test(`holdfast.yaml with ${what} is a problem with its place`, async (t) => {
    const root = await writeTree(t, { 'holdfast.yaml': text, 'crates/motd.yaml': 'resources: []\n' });
    const { problems } = await loadPolicyDirectory(root, types);
    assert.deepEqual(
      problems.map((p) => `${p.file}:${p.line}:${p.column} ${p.code}`),
      [problem],
    );
    assert.match(problems[0]?.hint ?? '', hint);
  });
}

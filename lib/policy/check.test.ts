import assert from 'node:assert/strict';
import { test } from 'node:test';
import { types, writeTree } from '../../test/fakes/policy.ts';
import { checkPolicy, hasErrors } from './check.ts';
import { loadPolicyDirectory } from './directory.ts';
import { formatProblem } from './problem.ts';

type Context = Parameters<typeof writeTree>[0];

/** The problems of a policy with these crates, bound as `bindings` says (a line of YAML). */
async function check(t: Context, bindings: string, crates: { readonly [name: string]: string }) {
  const files = Object.entries(crates).map(([name, text]) => [`crates/${name}.yaml`, text]);
  const root = await writeTree(t, { 'holdfast.yaml': `bindings: ${bindings}\n`, ...Object.fromEntries(files) });
  return checkPolicy(await loadPolicyDirectory(root, types));
}
const shortly = (problems: Awaited<ReturnType<typeof check>>) =>
  problems.map((p) => `${p.severity} ${p.file}:${p.line}:${p.column} ${p.code}`);
const all = (...names: string[]) => `[{match: {name: "*"}, crates: [${names.join(', ')}]}]`;
const note = (name: string, more = '') => `  - note: {name: ${name}}\n${more}`;
const file = (path: string) => `  - file: {path: ${path}, content: x}\n`;

test('a sound policy has no problem', async (t) => {
  const text = `resources:\n${note('a', '    requires: [note/b]\n')}${note('b')}`;
  assert.deepEqual(await check(t, all('a'), { a: text }), []);
});

test('a binding of an unknown crate is an error, a crate without binding a warning', async (t) => {
  const problems = await check(t, all('motd', 'ngnix'), { motd: 'resources: []\n', nginx: 'resources: []\n' });
  assert.deepEqual(shortly(problems), [
    'warning crates/nginx.yaml:1:1 unbound_crate',
    'error holdfast.yaml:1:48 unknown_crate',
  ]);
  assert.match(problems[1]?.hint ?? '', /"nginx"/);
  assert.ok(hasErrors(problems) && !hasErrors(problems.slice(0, 1)));
});

test('a crate whose YAML is broken is no unknown crate', async (t) => {
  assert.deepEqual(shortly(await check(t, all('a'), { a: 'x: [\n' })), ['error crates/a.yaml:2:1 syntax']);
});

test('one thing twice in a crate is an error, by whatever type it claims the path', async (t) => {
  const text = `resources:\n${file('/a')}${note('a')}${file('/a')}  - directory: {path: /a}\n${note('a')}`;
  assert.deepEqual(shortly(await check(t, all('c'), { c: text })), [
    'error crates/c.yaml:4:5 duplicate_resource',
    'error crates/c.yaml:5:5 duplicate_resource',
    'error crates/c.yaml:6:5 duplicate_resource',
  ]);
});

for (const [what, bindings, severity] of [
  ['one binding', all('a', 'b'), 'error'],
  ['two bindings of one pattern', '[{match: {name: "w*"}, crates: [a]}, {match: {name: "w*"}, crates: [b]}]', 'error'],
  ['a binding inside another', '[{match: {name: "*"}, crates: [a]}, {match: {labels: {r: x}}, crates: [b]}]', 'error'],
  ['a name inside a pattern', '[{match: {name: "w*"}, crates: [a]}, {match: {name: w1}, crates: [b]}]', 'error'],
  [
    'labels that one node can have',
    '[{match: {labels: {r: x}}, crates: [a]}, {match: {labels: {s: y}}, crates: [b]}]',
    'warning',
  ],
  [
    'patterns that one name can fit',
    '[{match: {name: "w*"}, crates: [a]}, {match: {name: "*1"}, crates: [b]}]',
    'warning',
  ],
  [
    'labels that exclude each other',
    '[{match: {labels: {r: x}}, crates: [a]}, {match: {labels: {r: y}}, crates: [b]}]',
    undefined,
  ],
  [
    'patterns that exclude each other',
    '[{match: {name: "w*"}, crates: [a]}, {match: {name: "d*"}, crates: [b]}]',
    undefined,
  ],
] as const) {
  test(`two crates that claim one path, by ${what}: ${severity ?? 'no problem'}`, async (t) => {
    const problems = await check(t, bindings, { a: `resources:\n${file('/x')}`, b: `resources:\n${file('/x')}` });
    assert.deepEqual(
      shortly(problems),
      severity === undefined ? [] : [`${severity} crates/b.yaml:2:5 overlapping_resource`],
    );
  });
}

test('references to what is not there are errors with a suggestion', async (t) => {
  const text = `resources:\n${note('a', '    requires: [note/nigx]\n    notify: ["b:note/x", "d:note/x"]\n')}${note('nginx')}`;
  const problems = await check(t, all('a', 'b'), { a: text, b: `resources:\n${note('y')}` });
  assert.deepEqual(shortly(problems), [
    'error crates/a.yaml:3:16 dangling_reference',
    'error crates/a.yaml:4:14 dangling_reference',
    'error crates/a.yaml:4:26 dangling_reference',
  ]);
  assert.match(problems[0]?.hint ?? '', /"note\/nginx"/);
});

test('a reference to a resource that could not be read is not a second problem', async (t) => {
  const text = `resources:\n${note('a', '    requires: [file//x]\n')}  - file: {path: /x, content: 1}\n`;
  assert.deepEqual(shortly(await check(t, all('a'), { a: text })), ['error crates/a.yaml:4:31 bad_value']);
});

test('a reference to a crate that a node may lack is an error', async (t) => {
  const crates = { a: `resources:\n${note('a', '    requires: ["b:note/x"]\n')}`, b: `resources:\n${note('x')}` };
  const lacking = '[{match: {name: "*"}, crates: [a]}, {match: {labels: {r: x}}, crates: [b]}]';
  assert.deepEqual(shortly(await check(t, lacking, crates)), ['error crates/a.yaml:3:16 unbound_reference']);
  const covered = '[{match: {labels: {r: x}}, crates: [a]}, {match: {name: "*"}, crates: [b]}]';
  assert.deepEqual(await check(t, covered, crates), []);
});

test('circles are errors, each shown once, also through two crates', async (t) => {
  const a = `resources:\n${note('a', '    requires: [note/b]\n')}${note('b', '    requires: [note/a]\n')}${note('c', '    before: ["b:note/d"]\n')}`;
  const b = `resources:\n${note('d', '    notify: ["a:note/c"]\n')}`;
  const problems = await check(t, all('a', 'b'), { a, b });
  assert.deepEqual(shortly(problems), ['error crates/a.yaml:2:5 cycle', 'error crates/a.yaml:6:5 cycle']);
  assert.match(problems[0]?.message ?? '', /a:note\/b → a:note\/a|a:note\/a → a:note\/b/);
  assert.match(problems[1]?.message ?? '', /a:note\/c → b:note\/d → a:note\/c/);
});

test('a problem is shown as a place that editors know, with severity, code and hint', async (t) => {
  const [problem] = await check(t, all('motd', 'ngnix'), { motd: 'resources: []\n', nginx: 'x: 1\nresources: []\n' });
  assert.ok(problem);
  assert.equal(
    formatProblem(problem),
    'crates/nginx.yaml:1:1: error: unknown key "x" in a crate (unknown_key)\n  Known here: controls, crate, includes, inputs, resources, vars.',
  );
});

test('a policy that makes too large a manifest is told before it is built', async (t) => {
  const files = Array.from({ length: 1000 }, (_, i) => i);
  const crates = ['a', 'b', 'c', 'd'].map((name) => {
    const resources = files.map((i) => `  - file: {path: /${name}/${i}, content: "${name} ${i}"}\n`);
    return [name, `resources:\n${resources.join('')}`];
  });
  const problems = await check(t, all('a', 'b', 'c', 'd'), Object.fromEntries(crates));
  assert.deepEqual(shortly(problems), ['error holdfast.yaml:1:1 too_large']);
  assert.deepEqual(await check(t, all('a', 'b', 'c'), Object.fromEntries(crates.slice(0, 3))), []);
});

test('a crate above its limit is told before it is built', async (t) => {
  const long = 'x'.repeat(900_000);
  // One YAML file is below 1 MiB; an alias makes more of it.
  const text = `resources:\n  - note: {name: a, extra: &x ${long}}\n${[1, 2, 3, 4].map((i) => `  - note: {name: n${i}, extra: *x}\n`).join('')}`;
  assert.deepEqual(shortly(await check(t, all('big'), { big: text })), ['error crates/big.yaml:1:1 too_large']);
});

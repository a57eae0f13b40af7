import assert from 'node:assert/strict';
import { test } from 'node:test';
import { day, noon, types, writeTree } from '../../test/fakes/policy.ts';
import { fromUtf8 } from '../crypto/encoding.ts';
import { buildRelease, buildRollback } from './build.ts';
import { checkPolicy } from './check.ts';
import { loadPolicyDirectory } from './directory.ts';
import { type Crate, parseCrate, parseManifest } from './model.ts';
import { noPrevious } from './names.ts';
import { givenVars, varsOfCrate } from './vars.ts';

type Context = Parameters<typeof writeTree>[0];
const everyNode = 'bindings: [{match: {name: "*"}, crates: [c]}]\n';
const node = (name: string, labels = {}) => ({ name, labels });

async function problems(t: Context, files: { readonly [path: string]: string }): Promise<readonly string[]> {
  const root = await writeTree(t, { 'holdfast.yaml': everyNode, ...files });
  return checkPolicy(await loadPolicyDirectory(root, types)).map(
    (p) => `${p.severity} ${p.file}:${p.line}:${p.column} ${p.code}: ${p.message} | ${p.hint ?? ''}`,
  );
}

async function build(t: Context, files: { readonly [path: string]: string }) {
  const root = await writeTree(t, { 'holdfast.yaml': everyNode, ...files });
  const directory = await loadPolicyDirectory(root, types);
  const place = { fleet: 'demo', number: 1, previous: noPrevious, created: noon, expires: noon + day };
  const built = buildRelease({ directory, ...place });
  const manifest = parseManifest(built.manifest);
  const crates = new Map<string, Crate>();
  for (const { name, sha256 } of manifest.crates) {
    crates.set(name, parseCrate(built.blobs.get(sha256) ?? new Uint8Array()));
  }
  return { ...built, parsed: manifest, crate: (name: string) => crates.get(name) as Crate };
}

test('vars: the crate’s default, then the fleet’s, then each matching binding’s in order, whole values', async (t) => {
  const { parsed, crate } = await build(t, {
    'holdfast.yaml': `vars: {b: fleet, c: fleet, d: fleet}
bindings:
  - match: {name: "*"}
    crates: [c]
    vars: {c: all, d: all, list: [1]}
  - match: {labels: {role: web}}
    vars: {d: web}
  - match: {name: "db*"}
    vars: {d: db}
`,
    'crates/c.yaml': 'vars: {a: crate, b: crate, c: crate, d: crate, list: [1, 2], n: 1}\nresources: []\n',
  });
  const varsOf = (name: string, labels = {}) => varsOfCrate(crate('c'), givenVars(parsed, node(name, labels)));
  assert.deepEqual(varsOf('x').vars, { a: 'crate', b: 'fleet', c: 'all', d: 'all', list: [1], n: 1 });
  assert.equal(varsOf('x', { role: 'web' }).vars['d'], 'web');
  assert.equal(varsOf('db1', { role: 'web' }).vars['d'], 'db', 'the later binding wins');
  assert.deepEqual(varsOf('x').wrong, []);
});

test('an input without a value, or a value of another type, is named', () => {
  const crate = { vars: { n: 1 }, inputs: { domain: 'text' } } as const;
  assert.deepEqual(varsOfCrate(crate, { n: 'x' }).wrong, ['n', 'domain']);
  assert.deepEqual(varsOfCrate(crate, { n: 2, domain: 'a', other: true }), { vars: { n: 2, domain: 'a' }, wrong: [] });
});

for (const [what, files, place, message] of [
  [
    'a var that no crate declares',
    { 'holdfast.yaml': `vars: {wrokers: 1}\n${everyNode}`, 'crates/c.yaml': 'vars: {workers: 2}\nresources: []\n' },
    'error holdfast.yaml:1:8 unknown_var',
    /Did you mean "workers"/,
  ],
  [
    'a var of another type',
    { 'holdfast.yaml': `vars: {n: "1"}\n${everyNode}`, 'crates/c.yaml': 'vars: {n: 2}\nresources: []\n' },
    'error holdfast.yaml:1:8 bad_value',
    /a number in crate "c", and here a text/,
  ],
  [
    'an input that nobody gives',
    { 'crates/c.yaml': 'inputs: {domain: text}\nresources: []\n' },
    'error holdfast.yaml:1:42 missing_var',
    /needs a value for "domain" \(text\)/,
  ],
  [
    'an input of no known type',
    { 'crates/c.yaml': 'inputs: {domain: txt}\nresources: []\n' },
    'error crates/c.yaml:1:18 bad_value',
    /Did you mean "text"/,
  ],
  [
    'a name that is none',
    { 'crates/c.yaml': 'vars: {my-var: 1}\nresources: []\n' },
    'error crates/c.yaml:1:8 bad_value',
    /not the name of a var/,
  ],
  [
    'a var without a value',
    { 'crates/c.yaml': 'vars: {a: }\nresources: []\n' },
    'error crates/c.yaml:1:11 bad_value',
    /without a value/,
  ],
] as const) {
  test(`${what} is an error at its place`, async (t) => {
    const found = await problems(t, files as unknown as { [path: string]: string });
    assert.equal(found.length, 1, found.join('\n'));
    assert.ok(found[0]?.startsWith(place), found[0]);
    assert.match(found[0] ?? '', message);
  });
}

test('an input that another binding of all these nodes gives is given', async (t) => {
  const holdfast = `bindings:
  - match: {labels: {role: web}}
    crates: [c]
  - match: {name: "*"}
    vars: {domain: example.org}
`;
  const crate = 'inputs: {domain: text}\nresources: []\n';
  assert.deepEqual(await problems(t, { 'holdfast.yaml': holdfast, 'crates/c.yaml': crate }), []);
});

const whens = (when: string) => ({
  'crates/c.yaml': `vars: {on: true, size: 3, names: [a]}\nresources:\n  - note: {name: a}\n    when: '${when}'\n`,
});
for (const when of [
  'facts.os.family == "debian"',
  'facts.os.family in ["debian", "rhel"] && facts.memory.bytes > 1024',
  '"a" in vars.names',
  'node.name.startsWith("web")',
  'has(node.labels.role) && node.labels.role == "web"',
  'facts.users.names.exists(name, name == "deploy")',
  'size(facts.disks.devices) > 1',
  'facts.cpu.count >= vars.size',
]) {
  test(`a sound condition has no problem: ${when}`, async (t) => {
    assert.deepEqual(await problems(t, whens(when)), []);
  });
}

for (const [when, code, message] of [
  ['facts.os.famly == "debian"', 'bad_expression', /Did you mean "facts.os.family"/],
  ['facts.so.family == "debian"', 'bad_expression', /no facts.so .*Did you mean "facts.os"/],
  ['vars.onn', 'bad_expression', /Did you mean "vars.on"/],
  ['facts.cpu.count > "4"', 'bad_expression', /no such overload/],
  ['vars.size', 'bad_expression', /gives int, not true or false/],
  ['facts.os.family ==', 'bad_expression', /EOF/],
  ['item.x == 1', 'bad_expression', /item/],
  ['process.exit(1)', 'bad_expression', /process/],
  ['facts.os.family == "debain"', 'impossible_when', /never "debain" .*Did you mean "debian"/],
  ['facts.os.family == "debian" && facts.os.family == "rhel"', 'impossible_when', /holds on no node/],
  ['facts.memory.bytes < 10 && facts.memory.bytes > 20', 'impossible_when', /holds on no node/],
  ['facts.cpu.count < 0', 'impossible_when', /holds on no node/],
  ['!vars.on', 'impossible_when', /holds on no node/],
  ['vars.size > 3', 'impossible_when', /holds on no node/],
  ['false', 'impossible_when', /holds on no node/],
  ['facts.kernel.release == "a" && facts.kernel.release != "a"', 'impossible_when', /holds on no node/],
  ['vars.on', 'needless_when', /holds on every node/],
  ['facts.os.family != "debian" || facts.os.family != "rhel"', 'needless_when', /holds on every node/],
] as const) {
  test(`a condition is refused or warned of: ${when}`, async (t) => {
    const found = await problems(t, whens(when));
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0] ?? '', new RegExp(`crates/c.yaml:4:11 ${code}`));
    assert.match(found[0] ?? '', message);
  });
}

test('a var that a binding changes makes a condition possible', async (t) => {
  const holdfast = `${everyNode}  - match: {labels: {a: b}}\n    vars: {size: 9}\n`.replace(
    /bindings: \[(.*)\]/,
    'bindings:\n  - $1',
  );
  assert.deepEqual(await problems(t, { 'holdfast.yaml': holdfast, ...whens('vars.size > 3') }), []);
});

const loop = (resource: string, vars = '[{name: ann, uid: 7}, {name: bob, uid: 8}]') => ({
  'crates/c.yaml': `vars: {prefix: u, users: ${vars}}\nresources:\n${resource}`,
});

test('foreach: one resource an item, texts filled in, a lone reference with its type', async (t) => {
  const { crate } = await build(
    t,
    loop(`  - note: {name: "{{ vars.prefix }}-{{ item.name }}", extra: {uid: "{{ item.uid }}", at: "{{ index }}"}}
    foreach: vars.users
    when: item.uid > 7
  - note: {name: last}
    requires: [note/u-ann]
`),
  );
  assert.deepEqual(
    crate('c').resources.map(({ id, desired, when, item }) => ({ id, extra: desired['extra'], when, item })),
    [
      { id: 'u-ann', extra: { uid: 7, at: 0 }, when: 'item.uid > 7', item: { name: 'ann', uid: 7 } },
      { id: 'u-bob', extra: { uid: 8, at: 1 }, when: 'item.uid > 7', item: { name: 'bob', uid: 8 } },
      { id: 'last', extra: undefined, when: undefined, item: undefined },
    ],
  );
});

test('foreach over a list written out, and over an empty one', async (t) => {
  const { crate } = await build(t, loop('  - note: {name: "{{ item }}"}\n    foreach: [x, y]\n'));
  assert.deepEqual(
    crate('c').resources.map(({ id }) => id),
    ['x', 'y'],
  );
  const { crate: empty } = await build(t, loop('  - note: {name: "{{ item }}"}\n    foreach: vars.users\n', '[]'));
  assert.deepEqual(empty('c').resources, []);
});

for (const [what, files, message] of [
  ['the same id twice', loop('  - note: {name: same}\n    foreach: vars.users\n'), /3:5 duplicate_resource/],
  [
    'an unknown member of the item',
    loop('  - note: {name: "{{ item.nmae }}"}\n    foreach: vars.users\n'),
    /3:18 bad_value: item 1 .*undefined variable/,
  ],
  ['an unknown list', loop('  - note: {name: x}\n    foreach: vars.user\n'), /4:14 unknown_var.*Did you mean "users"/],
  [
    'a list that is none',
    loop('  - note: {name: x}\n    foreach: vars.prefix\n'),
    /4:14 bad_value: "foreach" needs a list/,
  ],
  [
    'a list that a binding changes',
    {
      ...loop('  - note: {name: "{{ item }}"}\n    foreach: vars.users\n'),
      'holdfast.yaml': 'bindings: [{match: {name: "*"}, crates: [c], vars: {users: []}}]\n',
    },
    /4:14 bad_value: "users" has no one value/,
  ],
  [
    'facts, which are not known when it is built',
    loop('  - note: {name: "{{ facts.os.id }}"}\n    foreach: vars.users\n'),
    /undefined variable: facts/,
  ],
] as const) {
  test(`foreach with ${what} is an error, once`, async (t) => {
    const found = await problems(t, files);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0] ?? '', message);
  });
}

const templated = (template: string, more = '') => ({
  'crates/c/crate.yaml': `vars: {workers: 4}\nresources:\n  - file: {path: /etc/a, template: files/a.liquid${more}}\n`,
  'crates/c/files/a.liquid': template,
});

test('a template travels as a blob beside the resource, and its content is not there yet', async (t) => {
  const text = 'workers {{ vars.workers }}; # {{ facts.cpu.count }} {{ node.name | upcase }}\n';
  const { crate, blobs, parsed } = await build(t, templated(text));
  const [resource] = crate('c').resources;
  assert.deepEqual(resource?.desired, { path: '/etc/a' });
  assert.equal(fromUtf8(blobs.get(resource?.template?.sha256 ?? '') ?? new Uint8Array()), text);
  assert.deepEqual(parsed.crates[0]?.blobs, [resource?.template?.sha256]);
});

for (const [what, files, place] of [
  [
    'an unknown var',
    templated('ok\n{{ vars.wrokers }}'),
    /files\/a.liquid:2:4 bad_template.*Did you mean "vars.workers"/,
  ],
  ['an unknown fact', templated('{{ facts.os.nope }}'), /a.liquid:1:4 bad_template: there is no facts.os.nope/],
  ['an unknown root', templated('{{ env.HOME }}'), /a.liquid:1:4 bad_template: there is no env/],
  ['an unknown filter', templated('{{ vars.workers | nope }}'), /bad_template: undefined filter: nope/],
  ['a filter of the clock', templated('{{ "now" | date: "%s" }}'), /bad_template: undefined filter: date/],
  ['a filter of chance', templated('{{ vars.workers | sample }}'), /bad_template: undefined filter: sample/],
  ['a tag that reads files', templated('{% include "/etc/shadow" %}'), /bad_template: .*include/],
  ['a tag that renders files', templated('{% render "/etc/shadow" %}'), /bad_template: .*render/],
  ['an open tag', templated('{% if vars.workers %}'), /bad_template: .*not closed/],
  ['content beside it', templated('x', ', content: y'), /crate.yaml:3:52 bad_value: both "template" and "content"/],
] as const) {
  test(`a template with ${what} is an error in its own file`, async (t) => {
    const found = await problems(t, files);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0] ?? '', place);
  });
}

test('includes bring crates along, before the one that includes them, each once', async (t) => {
  const { parsed } = await build(t, {
    'crates/c.yaml': 'includes: [a, b]\n',
    'crates/a.yaml': 'includes: [base]\nresources: []\n',
    'crates/b.yaml': 'includes: [base]\nresources: []\n',
    'crates/base.yaml': 'resources: []\n',
  });
  assert.deepEqual(parsed.bindings[0]?.crates, ['base', 'a', 'b', 'c']);
});

test('controls: what a crate says it serves, sorted and each once; what is no control is an error with its place', async (t) => {
  const { crate } = await build(t, {
    'crates/c.yaml': 'controls: [cis-debian-12:5.2.1, cis-debian-12:1.1.1, cis-debian-12:5.2.1]\nresources: []\n',
  });
  assert.deepEqual(crate('c').controls, ['cis-debian-12:1.1.1', 'cis-debian-12:5.2.1']);
  const [problem, ...others] = await problems(t, { 'crates/c.yaml': 'controls: [1.1.1]\nresources: []\n' });
  assert.match(problem ?? '', /^error crates\/c.yaml:1:12 bad_value: "1.1.1" is not a control/);
  assert.deepEqual(others, []);
});

test('includes of an unknown crate, and in a circle, are errors', async (t) => {
  const found = await problems(t, {
    'crates/c.yaml': 'includes: [bsae, d]\n',
    'crates/d.yaml': 'includes: [c]\nresources: []\n',
    'crates/base.yaml': 'resources: []\n',
  });
  assert.match(found.join('\n'), /crates\/c.yaml:1:12 unknown_crate: .*Did you mean "base"/);
  assert.match(found.join('\n'), /crates\/d.yaml:1:12 cycle: crate "d" includes itself by way of "c"/);
});

test('a rollback restores vars too', async (t) => {
  const { parsed, digest } = await build(t, {
    'holdfast.yaml': `vars: {a: 2}\n${everyNode}`,
    'crates/c.yaml': 'vars: {a: 1}\nresources: []\n',
  });
  const place = { fleet: 'demo', number: 2, previous: digest, created: noon, expires: noon + day };
  assert.deepEqual(parseManifest(buildRollback({ to: parsed, ...place })).vars, { a: 2 });
});

import assert from 'node:assert/strict';
import { mkdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { policyError, temporaryDirectory, types, writeTree } from '../../test/fakes/policy.ts';
import { sha256Hex } from '../crypto/digest.ts';
import { loadPolicyDirectory } from './directory.ts';
import { PolicyError } from './errors.ts';
import { formatProblem, type Problem } from './problem.ts';

const bindings = 'bindings:\n  - match: {name: "*"}\n    crates: [motd]\n';
const crate = 'resources:\n  - file: {path: /etc/motd, content: hello}\n';
const shortly = (problems: readonly Problem[]) => problems.map((p) => `${p.file}:${p.line}:${p.column} ${p.code}`);

/** Loads a directory with these files and the usual holdfast.yaml. */
async function load(t: Parameters<typeof writeTree>[0], files: { readonly [path: string]: string | Uint8Array }) {
  return loadPolicyDirectory(
    await writeTree(t, { 'holdfast.yaml': bindings, 'crates/motd.yaml': crate, ...files }),
    types,
  );
}

test('both forms of crates are read, in the order of their names', async (t) => {
  const loaded = await load(t, {
    'crates/nginx/crate.yaml':
      'crate: nginx\nresources:\n  - file: {path: /a, source: files/sub/a.conf, mode: "0600"}\n    requires: [file//b]\n    notify: [exec/reload]\n    before: [exec/reload]\n',
    'crates/nginx/files/sub/a.conf': Uint8Array.of(0, 255, 10),
    'crates/.swp': 'x',
    'crates/x.yaml~': 'x',
    'README.md': 'x',
  });
  assert.deepEqual(loaded.problems, []);
  assert.deepEqual(
    loaded.crates.map((c) => c.name),
    ['motd', 'nginx'],
  );
  const resource = loaded.crates[1]?.resources[0];
  const sha256 = sha256Hex(Uint8Array.of(0, 255, 10));
  assert.deepEqual(resource?.desired, { path: '/a', mode: '0600', content: { sha256, bytes: 3 } });
  assert.deepEqual(
    [resource?.requires, resource?.notify, resource?.before],
    [['file//b'], ['exec/reload'], ['exec/reload']],
  );
  assert.deepEqual(loaded.crates[1]?.contents.get(sha256), Uint8Array.of(0, 255, 10));
});

test('a folder that is no policy directory gives one clear error', async (t) => {
  const empty = await temporaryDirectory(t);
  const file = await writeTree(t, { file: 'x' });
  for (const [path, message] of [
    [join(empty, 'missing'), /does not exist/],
    [empty, /is empty/],
    [join(file, 'file'), /is not a directory/],
    [file, /has no holdfast\.yaml/],
  ] as const) {
    const error = await loadPolicyDirectory(path, types).then(
      () => assert.fail('was loaded'),
      (e: unknown) => e,
    );
    assert.ok(error instanceof PolicyError && error.code === 'unreadable');
    assert.match(error.message, message);
    assert.match(error.hint ?? '', /holdfast\.yaml and a folder crates/);
  }
});

for (const [what, text, problem, hint] of [
  ['broken YAML', 'resources:\n  - file: {path: /a\n', 'crates/motd.yaml:3:1 syntax', /^$/],
  ['an unknown key', 'resource: []\nresources: []\n', 'crates/motd.yaml:1:1 unknown_key', /"resources"/],
  ['a key that is misspelt', 'var: {a: 1}\nresources: []\n', 'crates/motd.yaml:1:1 unknown_key', /"vars"/],
  ['another name', 'crate: other\nresources: []\n', 'crates/motd.yaml:1:8 bad_value', /Rename/],
  ['no resources', 'crate: motd\n', 'crates/motd.yaml:1:1 missing_key', /^$/],
  ['a resource that is text', 'resources: [file]\n', 'crates/motd.yaml:1:13 bad_value', /- file/],
  ['an unknown type', 'resources:\n  - fiel: {path: /a}\n', 'crates/motd.yaml:2:5 unknown_type', /"file"/],
  [
    'two types in one',
    'resources:\n  - file: {path: /a, content: x}\n    note: {name: b}\n',
    'crates/motd.yaml:3:5 bad_value',
    /"- "/,
  ],
  [
    'a key of a resource that is misspelt',
    'resources:\n  - note: {name: b}\n    whne: x\n',
    'crates/motd.yaml:3:5 unknown_key',
    /"when"/,
  ],
  [
    'a misspelt key',
    'resources:\n  - file: {pth: /a, path: /b, content: x}\n',
    'crates/motd.yaml:2:12 unknown_key',
    /"path"/,
  ],
  ['a missing key', 'resources:\n  - file: {content: x}\n', 'crates/motd.yaml:2:11 missing_key', /^$/],
  [
    'a mode without quotes',
    'resources:\n  - file: {path: /a, content: x, mode: 0644}\n',
    'crates/motd.yaml:2:40 bad_value',
    /"0644"/,
  ],
  [
    'content and source',
    'resources:\n  - file: {path: /a, content: x, source: files/x}\n',
    'crates/motd.yaml:2:34 bad_value',
    /one of them/,
  ],
  [
    'content that is a ready digest',
    'resources:\n  - file: {path: /a, content: {sha256: x, bytes: 1}}\n',
    'crates/motd.yaml:2:31 bad_value',
    /^$/,
  ],
  [
    'a source in a crate without folder',
    'resources:\n  - file: {path: /a, source: files/x}\n',
    'crates/motd.yaml:2:30 bad_path',
    /crates\/motd\/crate\.yaml/,
  ],
  ['an unguarded command', 'resources:\n  - exec: {name: reload}\n', 'crates/motd.yaml:2:11 missing_key', /^$/],
  [
    'a key without value',
    'resources:\n  - note: {name: a, extra: }\n',
    'crates/motd.yaml:2:28 bad_value',
    /remove the key/,
  ],
  ['a fraction', 'resources:\n  - note: {name: a, extra: 1.5}\n', 'crates/motd.yaml:2:28 bad_value', /"1.5"/],
  [
    'a number beyond 2^53',
    'resources:\n  - note: {name: a, extra: 9007199254740993}\n',
    'crates/motd.yaml:2:28 bad_value',
    /quotes/,
  ],
  ['an id of two lines', 'resources:\n  - note: {name: "a\\nb"}\n', 'crates/motd.yaml:2:11 bad_value', /one line/],
  [
    'a reference that is none',
    'resources:\n  - note: {name: a}\n    requires: [b]\n',
    'crates/motd.yaml:3:16 bad_value',
    /type\/name/,
  ],
  [
    'references that are no list',
    'resources:\n  - note: {name: a}\n    requires: note/b\n',
    'crates/motd.yaml:3:15 bad_value',
    /- /,
  ],
  [
    'a key __proto__',
    'resources:\n  - note: {name: a, extra: {__proto__: {x: 1}}}\n',
    'crates/motd.yaml:2:40 bad_value',
    /^$/,
  ],
] as const) {
  test(`a crate with ${what} is a problem with its place`, async (t) => {
    const { problems } = await load(t, { 'crates/motd.yaml': text });
    assert.deepEqual(shortly(problems), [problem], problems.map(formatProblem).join('\n'));
    assert.match(problems[0]?.hint ?? '', hint);
  });
}

test('all problems of all files are found in one go', async (t) => {
  const { problems } = await load(t, {
    'holdfast.yaml': `${bindings}releese: {}\n`,
    'crates/motd.yaml': 'resources:\n  - fiel: {}\n  - file: {path: etc, content: 1, modus: x}\n  - note: {}\n',
    'crates/other.yaml': 'resources: [\n',
  });
  assert.deepEqual(shortly(problems), [
    'holdfast.yaml:4:1 unknown_key',
    'crates/motd.yaml:2:5 unknown_type',
    'crates/motd.yaml:3:32 bad_value',
    'crates/motd.yaml:3:18 bad_value',
    'crates/motd.yaml:3:35 unknown_key',
    'crates/motd.yaml:4:11 missing_key',
    'crates/other.yaml:2:1 syntax',
  ]);
});

test('what can be no crate is told', async (t) => {
  const root = await writeTree(t, {
    'holdfast.yaml': bindings,
    'crates/motd.yaml': crate,
    'crates/b.yml': 'x',
    'crates/Big.yaml': crate,
    'crates/empty/x': '',
    'crates/motd/crate.yaml': crate,
    secret: crate,
  });
  await symlink(join(root, 'secret'), join(root, 'crates/link.yaml'));
  const { problems } = await loadPolicyDirectory(root, types);
  assert.deepEqual(problems.map((p) => `${p.severity} ${p.file} ${p.code}`).sort(), [
    'error crates/Big.yaml bad_value',
    'error crates/empty/crate.yaml unreadable_file',
    'error crates/link.yaml bad_path',
    'error crates/motd.yaml misplaced',
    'warning crates/b.yml misplaced',
  ]);
});

test('without crates, or with a link in their place, there is one problem', async (t) => {
  const root = await writeTree(t, { 'holdfast.yaml': bindings });
  assert.deepEqual(shortly((await loadPolicyDirectory(root, types)).problems), ['crates:1:1 unreadable_file']);
  await symlink(await writeTree(t, { 'motd.yaml': crate }), join(root, 'crates'));
  assert.deepEqual(shortly((await loadPolicyDirectory(root, types)).problems), ['crates:1:1 bad_path']);
});

test('a file of 10 MiB is taken, one above 16 MiB is refused', async (t) => {
  const root = await writeTree(t, {
    'holdfast.yaml': bindings,
    'crates/motd/crate.yaml': 'resources:\n  - file: {path: /a, source: files/a}\n',
  });
  await mkdir(join(root, 'crates/motd/files'));
  const ten = new Uint8Array(10 * 1024 * 1024).fill(7);
  await writeFile(join(root, 'crates/motd/files/a'), ten);
  const loaded = await loadPolicyDirectory(root, types);
  assert.deepEqual(loaded.problems, []);
  assert.deepEqual(loaded.crates[0]?.resources[0]?.desired['content'], { sha256: sha256Hex(ten), bytes: ten.length });
  await truncate(join(root, 'crates/motd/files/a'), 16 * 1024 * 1024 + 1);
  assert.deepEqual(shortly((await loadPolicyDirectory(root, types)).problems), [
    'crates/motd/crate.yaml:2:30 too_large',
  ]);
});

test('any crate file gives problems, and no other error', async (t) => {
  const root = await writeTree(t, { 'holdfast.yaml': bindings, 'crates/motd.yaml': crate });
  const words = fc.constantFrom(
    'resources:',
    '\n',
    '  - ',
    'file: ',
    '{',
    '}',
    'path: ',
    '/a',
    ', ',
    'content: ',
    'x',
    'requires: ',
    '[',
    ']',
    'crate: ',
    'motd',
    '&a ',
    '*a',
    '1.5',
    'null',
    '"\\ud800"',
    '__proto__: ',
    '\n    ',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(words, { maxLength: 30 }), async (parts) => {
      await writeFile(join(root, 'crates/motd.yaml'), parts.join(''));
      await loadPolicyDirectory(root, types).catch(policyError('unreadable'));
    }),
    { numRuns: 300 },
  );
});

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { types, writeTree } from '../../test/fakes/policy.ts';
import { loadPolicyDirectory } from './directory.ts';

const bindings = 'bindings:\n  - match: {name: "*"}\n    crates: [c]\n';
const secret = 'private key';

/** A crate `c` whose one file has this source, in a directory full of traps. */
async function loadSource(root: string, source: string) {
  await writeFile(
    join(root, 'policy/crates/c/crate.yaml'),
    `resources:\n  - file: {path: /a, source: ${JSON.stringify(source)}}\n`,
  );
  return loadPolicyDirectory(join(root, 'policy'), types);
}

async function trap(t: Parameters<typeof writeTree>[0]): Promise<string> {
  const root = await writeTree(t, {
    secret,
    'policy/secret': secret,
    'policy/holdfast.yaml': bindings,
    'policy/crates/secret': secret,
    'policy/crates/c/secret': secret,
    'policy/crates/c/other/secret': secret,
    'policy/crates/c/files/good': 'good',
    'policy/crates/c/files/..hidden': 'good',
    'policy/crates/c/files/dir/good': 'good',
  });
  const files = join(root, 'policy/crates/c/files');
  await symlink(join(root, 'secret'), join(files, 'link'));
  await symlink('../secret', join(files, 'relative'));
  await symlink(root, join(files, 'up'));
  await symlink('dir', join(files, 'inside'));
  await symlink('loop', join(files, 'loop'));
  return root;
}

for (const [source, code] of [
  ['files/good', undefined],
  ['files/dir/good', undefined],
  ['files/..hidden', undefined],
  ['secret', 'bad_path'],
  ['crate.yaml', 'bad_path'],
  ['other/secret', 'bad_path'],
  ['/etc/passwd', 'bad_path'],
  ['files', 'bad_path'],
  ['files/', 'bad_path'],
  ['files/dir', 'bad_path'],
  ['files/../secret', 'bad_path'],
  ['files/dir/../../secret', 'bad_path'],
  ['files/./good', 'bad_path'],
  ['files//good', 'bad_path'],
  ['./files/good', 'bad_path'],
  ['../c/files/good', 'bad_path'],
  ['files/link', 'bad_path'],
  ['files/relative', 'bad_path'],
  ['files/up/secret', 'bad_path'],
  ['files/inside/good', 'bad_path'],
  ['files/loop', 'bad_path'],
  ['files/good/x', 'bad_path'],
  ['files\\good', 'bad_path'],
  ['files/..\\..\\secret', 'bad_path'],
  ['files/C:secret', 'bad_path'],
  ['files/good\u0000.txt', 'bad_path'],
  [`files/${'a'.repeat(300)}`, 'bad_path'],
  [`files/${'a/'.repeat(600)}b`, 'bad_path'],
  ['files/missing', 'unreadable_file'],
] as const) {
  test(`incident 30 the source ${JSON.stringify(source.slice(0, 40))} is ${code ?? 'read'}`, async (t) => {
    const loaded = await loadSource(await trap(t), source);
    const problems = loaded.problems.filter((p) => p.file.startsWith('crates/c/'));
    assert.deepEqual(
      problems.map((p) => p.code),
      code === undefined ? [] : [code],
    );
    const contents = [...(loaded.crates.find((c) => c.name === 'c')?.contents.values() ?? [])];
    assert.deepEqual(
      contents.map((bytes) => Buffer.from(bytes).toString()),
      code === undefined ? ['good'] : [],
    );
  });
}

test('incident 30 no path out of the usual parts ever brings the secret along', async (t) => {
  const root = await trap(t);
  const part = fc.constantFrom(
    'files',
    'dir',
    'good',
    '..',
    '.',
    '',
    'link',
    'up',
    'inside',
    'relative',
    'secret',
    'policy',
    'crates',
    'c',
    '\\..',
    '~',
    '%2e%2e',
    '\u0000',
    'FILES',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 6 }), fc.boolean(), async (parts, rooted) => {
      const loaded = await loadSource(root, (rooted ? 'files/' : '') + parts.join('/'));
      for (const source of loaded.crates)
        for (const bytes of source.contents.values()) assert.equal(Buffer.from(bytes).toString(), 'good');
    }),
    { numRuns: 150 },
  );
});

test('a pipe in place of a file is refused, and not waited for', async (t) => {
  const root = await trap(t);
  try {
    execFileSync('mkfifo', [join(root, 'policy/crates/c/files/pipe')]);
  } catch {
    return t.skip('mkfifo is not installed: reading from a pipe was not tried');
  }
  const { problems } = await loadSource(root, 'files/pipe');
  assert.ok(problems.some((p) => p.code === 'bad_path' && /regular file/.test(p.message)));
});

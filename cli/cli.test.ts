/** The real command, spawned: exit codes, what goes to which stream, and one clear error with its remedy for each bad input. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const entries = {
  holdfast: fileURLToPath(new URL('./holdfast.mjs', import.meta.url)),
  'holdfast-agent': fileURLToPath(new URL('../agent/holdfast-agent.mjs', import.meta.url)),
} as const;

type Ran = { readonly code: number | null; readonly out: string; readonly err: string };

function run(program: keyof typeof entries, ...args: string[]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [entries[program], ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const ran = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (text) => {
      ran.out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      ran.err += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...ran }));
  });
}

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-cli-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function policy(directory: string, crate: string): Promise<string> {
  await mkdir(join(directory, 'crates'), { recursive: true });
  await writeFile(join(directory, 'holdfast.yaml'), 'bindings:\n  - match: { name: "*" }\n    crates: [base]\n');
  await writeFile(join(directory, 'crates', 'base.yaml'), crate);
  return directory;
}

const file = (name: string, more = '') => `  - file: { path: /srv/${name}, content: x }\n${more}`;

const badPolicies: { readonly [name: string]: readonly [crate: string, place: RegExp] } = {
  'broken YAML': ['crate: base\nresources: [', /crates\/base\.yaml:2:/],
  'unknown key': [
    'crate: base\nresources:\n  - file: { path: /srv/a, content: x, mod: "0644" }\n',
    /base\.yaml:3:.*mod/,
  ],
  cycle: [
    `crate: base\nresources:\n${file('a', '    requires: [file//srv/b]\n')}${file('b', '    requires: [file//srv/a]\n')}`,
    /base\.yaml:\d+:/,
  ],
  'huge file': [`crate: base\n# ${'x'.repeat(5 * 1024 * 1024)}\nresources: []\n`, /base\.yaml:1:/],
};

for (const [name, [crate, place]] of Object.entries(badPolicies))
  test(`policy check: ${name} is an error with its place`, async (t) => {
    const ran = await run('holdfast', 'policy', 'check', await policy(await scratch(t), crate));
    assert.equal(ran.code, 1, ran.err);
    assert.match(ran.out, place);
    assert.match(ran.err, /^error: /m);
    assert.match(ran.err, /^hint: /m);
  });

test('policy check: a good policy passes, and JSON is JSON', async (t) => {
  const directory = await policy(await scratch(t), `crate: base\nresources:\n${file('a')}`);
  const ran = await run('holdfast', 'policy', 'check', directory, '--json');
  assert.equal(ran.code, 0, ran.err);
  assert.deepEqual(JSON.parse(ran.out), []);
  assert.equal(ran.err, '');
});

test('bad input: one error with its remedy and the documented exit code, and nothing on standard output', async (t) => {
  const directory = await scratch(t);
  const missing = join(directory, 'nowhere');
  // `up` may make its state directory before it finds out: the others ask for one that stays missing.
  const made = join(directory, 'made');
  const key = join(directory, 'key');
  await writeFile(key, '-----BEGIN OPENSSH PRIVATE KEY-----\n');
  const pin = 'A'.repeat(43);
  const table: [number, RegExp, Ran][] = await Promise.all(
    (
      [
        [2, /unknown command/, ['holdfast', 'nod', 'list']],
        [2, /unknown option/, ['holdfast', 'node', 'list', '--frobnicate']],
        [2, /must be signed/, ['holdfast', 'policy', 'publish', missing]],
        [2, /private key/, ['holdfast', 'up', '--state', made, '--operator-key', key]],
        [1, /operator/, ['holdfast', 'up', '--state', made]],
        [4, /no server runs/, ['holdfast', 'status', '--state', missing]],
        [1, /no directory or file/, ['holdfast', 'audit', 'verify', missing]],
        [
          2,
          /cut off/,
          [
            'holdfast-agent',
            'join',
            '--server',
            'https://127.0.0.1:1',
            '--token',
            `hfe_${pin}`,
            '--state',
            join(directory, 'node'),
          ],
        ],
      ] as [number, RegExp, [keyof typeof entries, ...string[]]][]
    ).map(
      async ([code, message, [program, ...args]]) =>
        [code, message, await run(program, ...args)] as [number, RegExp, Ran],
    ),
  );
  for (const [code, message, ran] of table) {
    assert.equal(ran.code, code, ran.err);
    assert.match(ran.err, message);
    assert.match(ran.err, /^hint: /m);
    assert.equal(ran.out, '');
  }
});

test('help names every verb and the exit codes', async () => {
  const ran = await run('holdfast', '--help');
  assert.equal(ran.code, 0);
  for (const word of ['up', 'status', 'node', 'token', 'policy', 'audit', 'completion', 'Exit codes', 'Examples'])
    assert.ok(ran.out.includes(word), word);
});

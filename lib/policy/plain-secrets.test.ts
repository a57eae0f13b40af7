import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { types, writeTree } from '../../test/fakes/policy.ts';
import { checkPolicy } from './check.ts';
import { loadPolicyDirectory } from './directory.ts';
import { findPlainSecrets } from './plain-secrets.ts';

const find = (text: string) => findPlainSecrets(Buffer.from(text), 'f');
// Put together here, so that nobody's scanner takes this file for a leak.
const word = (length: number) => randomBytes(length).toString('hex').slice(0, length);
const join = (...parts: string[]) => parts.join('');

const certain: readonly (readonly [string, string])[] = [
  ['a private key', join('-----BEGIN OPENSSH ', 'PRIVATE KEY-----')],
  ['a private key', join('-----BEGIN ', 'PRIVATE KEY-----')],
  ['a private key', join('-----BEGIN RSA ', 'PRIVATE KEY-----')],
  ['an AWS access key', join('key = AKIA', 'Q3EGRIYSGZ7BLTWP')],
  ['a GitHub token', join('ghp', '_', 'a1B2'.repeat(9))],
  ['a GitHub token', join('github', '_pat_', 'a1B2'.repeat(12))],
  ['a GitLab token', join('glpat', '-', word(20))],
  ['a Slack token', join('xoxb', '-123456789012-', word(24))],
  ['a Stripe key', join('sk', '_live_', word(24))],
  ['a Google API key', join('AIza', word(35))],
  ['an npm token', join('npm', '_', word(36))],
  ['a SendGrid key', join('SG', '.', word(22), '.', word(43))],
  ['a Hashicorp Vault token', join('hvs', '.', word(24))],
  ['a JSON Web Token', join('eyJ', 'hbGciOiJIUzI1NiJ9', '.eyJ', 'zdWIiOiIxMjM0In0.', word(40))],
  ['an enrollment token of this product', join('hfe_', word(43), '.', word(43))],
  ['a password in a URL', 'postgres://app:hunter2!@db.internal/app'],
];
for (const [what, text] of certain) {
  test(`${what} is certain, wherever it stands, and is not repeated: ${text.slice(0, 12)}`, () => {
    const [found, second] = find(`# a comment\n  value: ${text}\n`);
    assert.deepEqual([found?.what, found?.isCertain, found?.place.line], [what, true, 2]);
    assert.equal(second, undefined);
    assert.ok(!JSON.stringify(found).includes(text.slice(-8)));
  });
}

for (const line of [
  'password: hunter2hunter2',
  'db_password = "correct-horse"',
  'API_KEY=abcdef123456',
  '  client_secret => zyxwvu987',
  "'token': 'abcdefgh'",
  `value: ${Buffer.from(randomBytes(48)).toString('base64').replaceAll('/', 'x').replaceAll('+', 'y')}A1b`,
]) {
  test(`what looks like one is a warning: ${line.slice(0, 30)}`, () => {
    assert.deepEqual(
      find(line).map(({ isCertain }) => isCertain),
      [false],
    );
  });
}

for (const line of [
  'password: secret:db/password',
  join('password: $', '{secret:db/password}'),
  'password: "{{ vars.password }}"',
  'token: <your token>',
  'token: $TOKEN',
  'token_file: /etc/app/token',
  'password: /run/secrets/db',
  'PasswordAuthentication no',
  'PermitRootLogin prohibit-password',
  'password_hash: $6$abc$abcdefghijklmnop',
  '# password: hunter2hunter2',
  'sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJbCDE1FGHijklMNOPqrstUVWXyz0123456789abcdEF ann@example.org',
  'SHA256:kuhb704JJ7El91POjQENYryohLNS3ZnizThBjXYcz7Q',
  'path: /usr/share/doc/some-Package-1/examples/with-A-long-Name-2024.conf',
  'uuid: 6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11',
  'https://user@example.org/path',
  'https://example.org:8443/a@b',
  'key: AKIAIOSFODNN7EXAMPLE',
  '-----BEGIN PUBLIC KEY-----',
]) {
  test(`nothing to see: ${line.slice(0, 50)}`, () => {
    assert.deepEqual(find(line), []);
  });
}

test('what is in a certificate is public', () => {
  const body = Buffer.from(randomBytes(400)).toString('base64').match(/.{64}/g)?.join('\n');
  const text = `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
  assert.deepEqual(find(text), []);
  assert.equal(find(`${text}password: hunter2hunter2\n`).length, 1);
});

test('data, huge files and endless lines cost nothing and find nothing uncertain', () => {
  assert.deepEqual(find(`\u0000${certain[0]?.[1]}`), []);
  assert.deepEqual(find('password: hunter2hunter2 '.repeat(100_000)), []);
  assert.deepEqual(find(`a: ${'x'.repeat(2_000_000)}`), []);
  assert.equal(find('password: hunter2hunter2\n'.repeat(1_000)).length, 20);
});

test('our own sources and examples have none that is certain, but where a test makes them', async () => {
  const folder = new URL('./', import.meta.url);
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.ts') || name.startsWith('plain-secrets')) continue;
    const found = findPlainSecrets(await readFile(new URL(name, folder)), name);
    assert.deepEqual(
      found.filter(({ isCertain }) => isCertain),
      [],
    );
  }
});

test('the check shows them with file, line and remedy, in YAML and in files, each file once', async (t) => {
  const root = await writeTree(t, {
    'holdfast.yaml': `vars: {note: ${certain[4]?.[1]}}\nbindings: [{match: {name: "*"}, crates: [c]}]\n`,
    'crates/c/crate.yaml':
      'vars: {note: x}\nresources:\n  - file: {path: "/etc/{{ item }}", source: files/key}\n    foreach: [a, b]\n',
    'crates/c/files/key': `first line\n${certain[0]?.[1]}\n`,
  });
  const problems = checkPolicy(await loadPolicyDirectory(root, types));
  assert.deepEqual(
    problems.map((p) => `${p.severity} ${p.file}:${p.line}:${p.column} ${p.code}`),
    ['error crates/c/files/key:2:1 plain_secret', 'error holdfast.yaml:1:14 plain_secret'],
  );
  assert.match(problems[0]?.hint ?? '', /secret:PATH/);
});

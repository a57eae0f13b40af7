import assert from 'node:assert/strict';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { executorConformance } from '../../test/conformance/executor.ts';
import { run, withDirectory } from '../../test/conformance/executor-fixture.ts';
import { makeMachine } from '../../test/fakes/machine.ts';
import { authorizedKey, editKeys } from './authorized-key.ts';

function publicKey(fill: number): string {
  const type = 'ssh-ed25519';
  const blob = Buffer.concat([
    Buffer.from([0, 0, 0, 11]),
    Buffer.from(type),
    Buffer.from([0, 0, 0, 32]),
    Buffer.alloc(32, fill),
  ]);
  return `${type} ${blob.toString('base64')}`;
}

const key = `${publicKey(1)} alice@laptop`;
const keys = (root: string) => join(root, 'home/alice/.ssh/authorized_keys');

executorConformance({
  type: 'authorized_key',
  hasPath: true,
  isSequence: true,
  cases: [
    {
      title: 'the first of a user',
      declare: (root) => ({ type: 'authorized_key', desired: { user: 'alice', key }, root }),
      prepare: makeMachine,
      first: 'created',
      drift: (root) => writeFile(keys(root), ''),
    },
    {
      title: 'with other options, beside others',
      declare: (root) => ({
        type: 'authorized_key',
        desired: { user: 'alice', key, options: 'restrict,command="echo hello world"' },
        root,
      }),
      async prepare(root) {
        await makeMachine(root);
        await mkdir(join(root, 'home/alice/.ssh'), { mode: 0o700 });
        await writeFile(keys(root), `# mine\n${publicKey(2)} bob\nno-pty ${publicKey(1)} old comment\n`, {
          mode: 0o600,
        });
      },
      first: 'updated',
      drift: async (root) => writeFile(keys(root), (await readFile(keys(root), 'utf8')).replace('restrict,', '')),
    },
    {
      title: 'absent',
      declare: (root) => ({ type: 'authorized_key', desired: { user: 'alice', key, state: 'absent' }, root }),
      async prepare(root) {
        await makeMachine(root);
        await mkdir(join(root, 'home/alice/.ssh'), { mode: 0o700 });
        await writeFile(keys(root), `${publicKey(2)} bob\n${key}\n`, { mode: 0o600 });
      },
      first: 'removed',
      drift: async (root) =>
        writeFile(keys(root), `${await readFile(keys(root), 'utf8')}from="10.0.0.1" ${publicKey(1)}\n`),
    },
  ],
});

test('a key is found by itself, whatever is around it, and only there', () => {
  const present = { key, state: 'present' as const };
  const absent = { key, state: 'absent' as const };
  assert.equal(editKeys(`# ${key}\n`, absent), `# ${key}\n`);
  const inCommand = `command="echo ${publicKey(1)}" ${publicKey(2)}\n`;
  assert.equal(editKeys(inCommand, absent), inCommand);
  assert.equal(editKeys(`${key}\n${key}`, present), `${key}\n`);
  assert.equal(editKeys(`${publicKey(2)}`, present), `${publicKey(2)}\n${key}\n`);
});

test('what is no public key, and options that would hide one, are refused', () => {
  const parse = (desired: object) => authorizedKey.schema.safeParse({ user: 'alice', key, ...desired }).success;
  assert.equal(parse({}), true);
  for (const bad of [
    'ssh-ed25519 AAAA',
    `${key}\n${key}`,
    publicKey(1).replace('ssh-ed25519', 'ssh-rsa'),
    `restrict ${key}`,
    publicKey(1).replace('ssh-ed25519 ', 'ssh-ed25519-cert-v01@openssh.com '),
  ]) {
    assert.equal(parse({ key: bad }), false, bad);
  }
  for (const bad of ['', ' restrict', 'restrict no-pty', 'command="a" b', 'command="a', `${publicKey(2)}\nx`]) {
    assert.equal(parse({ options: bad }), false, bad);
  }
});

test('the file and its directory are as sshd wants them', async () => {
  await withDirectory(async (root) => {
    await makeMachine(root);
    await run([{ type: 'authorized_key', desired: { user: 'alice', key }, root }]);
    assert.equal((await stat(join(root, 'home/alice/.ssh'))).mode & 0o7777, 0o700);
    assert.equal((await stat(keys(root))).mode & 0o7777, 0o600);
    const [unknown] = await run([{ type: 'authorized_key', desired: { user: 'nobody-here', key }, root }]);
    assert.match(unknown?.reason ?? '', /there is no user "nobody-here"/);
  });
});

/** The local provider: versions, what the disk holds, and a kill at every step of every change. */
import assert from 'node:assert/strict';
import { chmod, cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { secretsConformance } from '../../test/conformance/secrets.ts';
import { createMemorySecrets } from '../../test/fakes/secrets.ts';
import { Secret } from '../crypto/secret.ts';
import { type DataSealer, KeysError } from '../keys/port.ts';
import { createDataSealer } from '../keys/sealed-box.ts';
import { SecretsError, type SecretsErrorCode } from './errors.ts';
import { openLocalSecrets } from './local.ts';
import type { SecretsProvider } from './provider.ts';

const sealer = createDataSealer(new Uint8Array(32).fill(7));
const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const secret = (text: string) => new Secret(bytes(text));
const code = (wanted: SecretsErrorCode) => (error: unknown) => error instanceof SecretsError && error.code === wanted;

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'holdfast-secrets-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return join(path, 'secrets');
}

const open = (path: string, more: { sealer?: DataSealer; step?: (name: string) => void } = {}) =>
  openLocalSecrets({ directory: path, sealer, now: () => 1_900_000_000_000, ...more });

async function read(provider: SecretsProvider, path: string): Promise<string> {
  return Buffer.from((await provider.get(path)).value.reveal()).toString();
}

async function stored(path: string): Promise<{ name: string; content: Buffer }[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(files.map(async (name) => ({ name, content: await readFile(name) })));
}

secretsConformance('the local provider', async (t) => open(await directory(t)));
secretsConformance('the fake provider', async () => createMemorySecrets());

test('set, get, list, versions, delete: versions rise and are never given twice', async (t) => {
  const provider = await open(await directory(t));
  await assert.rejects(provider.get('db/password'), code('not_found'));
  assert.equal((await provider.set('db/password', secret('first value'))).version, 1);
  assert.equal((await provider.set('db/password', secret('second value'))).version, 2);
  assert.equal(await read(provider, 'db/password'), 'second value');
  assert.deepEqual(
    (await provider.versions('db/password')).map((each) => each.version),
    [2, 1],
  );
  assert.deepEqual(
    (await provider.list()).map(({ path, versions }) => [path, versions]),
    [['db/password', 2]],
  );
  assert.deepEqual([...(await provider.existing(['db/password', 'db/other', '../x']))], ['db/password']);
  await provider.delete('db/password');
  await assert.rejects(provider.get('db/password'), code('not_found'));
  await assert.rejects(provider.delete('db/password'), code('not_found'));
  assert.deepEqual(await provider.list(), []);
  assert.equal((await provider.set('db/password', secret('third value'))).version, 3);
  for (let i = 0; i < 12; i++) await provider.set('db/password', secret(`value ${i}`));
  assert.equal((await provider.versions('db/password')).length, 10);
});

test('sets at once each get a version of their own', async (t) => {
  const provider = await open(await directory(t));
  const made = await Promise.all(Array.from({ length: 8 }, (_, i) => provider.set('a', secret(`value ${i}`))));
  assert.deepEqual(
    made.map(({ version }) => version),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
});

test('paths and values outside the rules are refused', async (t) => {
  const provider = await open(await directory(t));
  for (const path of ['', '/a', 'a/', 'a//b', '../a', 'a/../b', 'A', 'a b', 'a\0', 'a+b', 'x'.repeat(300), '.hidden']) {
    await assert.rejects(provider.set(path, secret('a value')), code('bad_reference'), path);
  }
  await assert.rejects(provider.set('a', secret('abc')), code('bad_value'));
  await assert.rejects(provider.set('a', new Secret(new Uint8Array(65_537))), code('bad_value'));
  await provider.set('a', new Secret(new Uint8Array(65_536).fill(1)));
  assert.equal((await provider.get('a')).value.reveal().length, 65_536);
});

test('R10 the disk holds ciphertext only, bound to path and version', async (t) => {
  const path = await directory(t);
  const provider = await open(path);
  const value = 'CANARY-0d4f9b61-at-rest';
  await provider.set('one', secret(value));
  await provider.set('two', secret('another value'));
  await provider.set('one', secret(`${value}-2`));
  for (const { name, content } of await stored(path)) assert.equal(content.includes('CANARY'), false, name);
  const file = (folder: string, version: number) => join(path, 'values', folder, String(version).padStart(10, '0'));
  // Another secret's file, and an older version under a newer name.
  const original = await readFile(file('one', 2));
  await cp(file('two', 1), file('one', 2));
  await assert.rejects(provider.get('one'), code('not_authentic'));
  await cp(file('one', 1), file('one', 2));
  await assert.rejects(provider.get('one'), code('not_authentic'));
  for (const at of [0, 20, 40, original.length - 1]) {
    const changed = Buffer.from(original);
    changed[at] = (changed[at] ?? 0) ^ 1;
    await writeFile(file('one', 2), changed);
    await assert.rejects(provider.get('one'), code('not_authentic'), `byte ${at}`);
  }
  await writeFile(file('one', 2), original);
  assert.equal(await read(provider, 'one'), `${value}-2`);
});

test('another key store, or one that refuses, opens nothing and writes nothing', async (t) => {
  const path = await directory(t);
  await (await open(path)).set('a', secret('the value'));
  const other = await open(path, { sealer: createDataSealer(new Uint8Array(32).fill(8)) });
  await assert.rejects(other.get('a'), code('not_authentic'));
  const denied: DataSealer = {
    seal: () => Promise.reject(new KeysError('unavailable', 'denied')),
    open: () => Promise.reject(new KeysError('unavailable', 'denied')),
  };
  const before = (await stored(path)).map(({ name, content }) => [name, content.toString('hex')]);
  const refused = await open(path, { sealer: denied });
  await assert.rejects(refused.set('a', secret('newer value')), code('unavailable'));
  await assert.rejects(refused.rotateMasterKey(), code('unavailable'));
  assert.deepEqual(
    (await stored(path)).map(({ name, content }) => [name, content.toString('hex')]),
    before,
  );
});

test('files that others can read are refused', async (t) => {
  const path = await directory(t);
  await (await open(path)).set('a', secret('the value'));
  await chmod(join(path, 'values', 'a', '0000000001'), 0o644);
  await assert.rejects((await open(path)).get('a'), code('loose_permissions'));
  await chmod(path, 0o755);
  await assert.rejects(open(path), code('loose_permissions'));
});

test('a provider whose directory went away is unavailable', async (t) => {
  const path = await directory(t);
  const provider = await open(path);
  await provider.set('a', secret('the value'));
  await rename(join(path, 'values'), join(path, 'elsewhere'));
  await assert.rejects(provider.get('a'), code('unavailable'));
  await assert.rejects(provider.existing(['a']), code('unavailable'));
});

test('rotating the master key puts everything under a new key and removes the old one', async (t) => {
  const path = await directory(t);
  const provider = await open(path);
  for (const name of ['a', 'b/c', 'd']) for (const n of [1, 2]) await provider.set(name, secret(`CANARY ${name} ${n}`));
  const before = await readdir(join(path, 'keys'));
  const { key, secrets } = await provider.rotateMasterKey();
  assert.equal(secrets, 6);
  const after = await readdir(join(path, 'keys'));
  assert.deepEqual(after.sort(), [`${key}.key`, 'current'].sort());
  assert.equal(before.includes(`${key}.key`), false);
  for (const { name, content } of await stored(join(path, 'values'))) {
    assert.equal(content.subarray(0, 16).toString(), key, name);
    assert.equal(content.includes('CANARY'), false);
  }
  const again = await open(path);
  assert.equal(await read(again, 'b/c'), 'CANARY b/c 2');
});

class Killed extends Error {}

/** Runs `act` once for every step it takes, killed there, and looks at what a new process finds. */
async function killAtEachStep(
  t: TestContext,
  act: (provider: SecretsProvider) => Promise<unknown>,
  look: (provider: SecretsProvider, path: string, at: string) => Promise<void>,
): Promise<number> {
  const base = await directory(t);
  const first = await open(base);
  await first.set('a', secret('CANARY old a'));
  await first.set('b/c', secret('CANARY old b'));
  for (let killAt = 0; ; killAt++) {
    const path = `${base}-${killAt}`;
    await cp(base, path, { recursive: true });
    let taken = 0;
    let name = '';
    const step = (each: string) => {
      name = `step ${taken}: ${each}`;
      if (taken++ >= killAt) throw new Killed();
    };
    const ended = await act(await open(path, { step })).then(
      () => true,
      (error) => {
        if (error instanceof Killed) return false;
        throw error;
      },
    );
    await look(await open(path), path, name);
    for (const file of await stored(path))
      assert.equal(file.content.includes('CANARY'), false, `${name}: ${file.name}`);
    if (ended) return killAt;
  }
}

test('R36 a set that is killed at any step leaves the old value or the new, never neither, never plaintext', async (t) => {
  const seen = new Set<string>();
  const steps = await killAtEachStep(
    t,
    (provider) => provider.set('a', secret('CANARY new a')),
    async (provider, _path, at) => {
      const value = await read(provider, 'a');
      assert.ok(['CANARY old a', 'CANARY new a'].includes(value), at);
      seen.add(value);
      assert.equal(await read(provider, 'b/c'), 'CANARY old b', at);
      const next = await provider.set('a', secret('CANARY next'));
      assert.ok(next.version >= 2);
      assert.equal(await read(provider, 'a'), 'CANARY next', at);
    },
  );
  assert.ok(steps >= 5);
  assert.equal(seen.size, 2);
});

test('R36 a rotation of the master key that is killed at any step leaves every value readable, and can be run again', async (t) => {
  const steps = await killAtEachStep(
    t,
    (provider) => provider.rotateMasterKey(),
    async (provider, path, at) => {
      assert.equal(await read(provider, 'a'), 'CANARY old a', at);
      assert.equal(await read(provider, 'b/c'), 'CANARY old b', at);
      await provider.rotateMasterKey();
      assert.equal(await read(provider, 'a'), 'CANARY old a', at);
      assert.equal((await readdir(join(path, 'keys'))).length, 2, at);
    },
  );
  assert.ok(steps >= 20, `${steps} steps`);
});

test('a delete that is killed at any step leaves the value or nothing, and never an older one', async (t) => {
  const steps = await killAtEachStep(
    t,
    async (provider) => provider.delete('a'),
    async (provider, _path, at) => {
      const value = await read(provider, 'a').catch((error) => {
        assert.ok(code('not_found')(error), at);
        return undefined;
      });
      assert.ok(value === undefined || value === 'CANARY old a', at);
      await provider.set('a', secret('CANARY next'));
      assert.equal(await read(provider, 'a'), 'CANARY next');
      assert.equal((await provider.versions('a')).length <= 2, true);
    },
  );
  assert.ok(steps >= 5);
});

/** What every secrets provider must do, whatever it stands on: `make` gives an empty one. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { Secret } from '../../lib/crypto/secret.ts';
import { SecretsError, type SecretsErrorCode } from '../../lib/secrets/errors.ts';
import type { SecretsProvider } from '../../lib/secrets/provider.ts';

const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const secret = (text: string) => new Secret(bytes(text));
export const failsWith = (code: SecretsErrorCode) => (error: unknown) =>
  error instanceof SecretsError && error.code === code;

export async function readText(provider: SecretsProvider, path: string): Promise<string> {
  return Buffer.from((await provider.get(path)).value.reveal()).toString();
}

export function secretsConformance(name: string, make: (t: TestContext) => Promise<SecretsProvider>): void {
  describe(name, () => {
    test('set, get, list, versions, delete: versions rise and are never given twice', async (t) => {
      const provider = await make(t);
      await assert.rejects(provider.get('db/password'), failsWith('not_found'));
      await assert.rejects(provider.versions('db/password'), failsWith('not_found'));
      await assert.rejects(provider.delete('db/password'), failsWith('not_found'));
      assert.equal((await provider.set('db/password', secret('first value'))).version, 1);
      assert.equal((await provider.set('db/password', secret('second value'))).version, 2);
      await provider.set('a.b-c_d/0', secret('another value'));
      assert.equal(await readText(provider, 'db/password'), 'second value');
      assert.equal((await provider.get('db/password')).version, 2);
      assert.deepEqual(
        (await provider.versions('db/password')).map(({ version }) => version),
        [2, 1],
      );
      assert.deepEqual(
        (await provider.list()).map(({ path, versions, current }) => [path, versions, current.version]),
        [
          ['a.b-c_d/0', 1, 1],
          ['db/password', 2, 2],
        ],
      );
      const listed = async (range: Parameters<typeof provider.list>[0]) =>
        (await provider.list(range)).map(({ path }) => path);
      assert.deepEqual(await listed({ limit: 1 }), ['a.b-c_d/0']);
      assert.deepEqual(await listed({ after: 'a.b-c_d/0', limit: 1 }), ['db/password']);
      assert.deepEqual(await listed({ after: 'a.b-c_d/', limit: 5 }), ['a.b-c_d/0', 'db/password']);
      assert.deepEqual(await listed({ after: 'db/password' }), []);
      assert.deepEqual([...(await provider.existing(['db/password', 'db/other', '../x', 'db']))], ['db/password']);
      for (const last of [2, 3]) {
        await provider.delete('db/password');
        await assert.rejects(provider.get('db/password'), failsWith('not_found'));
        await assert.rejects(provider.delete('db/password'), failsWith('not_found'));
        assert.deepEqual([...(await provider.existing(['db/password']))], []);
        assert.deepEqual(
          (await provider.list()).map(({ path }) => path),
          ['a.b-c_d/0'],
        );
        assert.equal((await provider.set('db/password', secret(`value ${last}`))).version, last + 1);
        assert.equal(await readText(provider, 'db/password'), `value ${last}`);
      }
      assert.equal(await readText(provider, 'a.b-c_d/0'), 'another value');
    });

    test('sets at once each get a version of their own, and the newest is the current one', async (t) => {
      const provider = await make(t);
      for (const count of [4, 3]) {
        const before = (await provider.list())[0]?.current.version ?? 0;
        const made = await Promise.all(
          Array.from({ length: count }, (_, i) => provider.set('a', secret(`value ${i}`))),
        );
        const versions = made.map(({ version }) => version).sort((a, b) => a - b);
        assert.deepEqual(
          versions,
          Array.from({ length: count }, (_, i) => before + i + 1),
        );
        const current = await provider.get('a');
        assert.equal(current.version, before + count);
        const writer = made.findIndex(({ version }) => version === current.version);
        assert.equal(Buffer.from(current.value.reveal()).toString(), `value ${writer}`);
      }
    });

    test('values of any bytes from 4 to 64 KiB come back as they were, and no others are taken', async (t) => {
      const provider = await make(t);
      for (const value of [Buffer.of(0, 255, 10, 0), Buffer.alloc(65_536, 7), Buffer.from('{"json": "🔑"}')]) {
        const given = new Uint8Array(value);
        await provider.set('a', new Secret(given));
        assert.deepEqual(Buffer.from((await provider.get('a')).value.reveal()), Buffer.from(value));
      }
      await assert.rejects(provider.set('a', secret('abc')), failsWith('bad_value'));
      await assert.rejects(provider.set('a', new Secret(new Uint8Array(65_537))), failsWith('bad_value'));
      for (const path of ['', '/a', '../a', 'A', 'a b', 'a\0', '.hidden', 'x'.repeat(300)]) {
        await assert.rejects(provider.set(path, secret('a value')), failsWith('bad_reference'), path);
      }
    });
  });
}

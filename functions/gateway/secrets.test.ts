/** ResolveSecrets: who gets what, what is recorded, and what a refusal tells. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex } from '../../lib/crypto/encoding.ts';
import { CryptoError } from '../../lib/crypto/errors.ts';
import { nodeKey } from '../../lib/identity/nodes.ts';
import { openSecret } from '../../lib/secrets/seal.ts';
import { createSecretsWorld, type SecretsWorld } from '../../test/fakes/secrets-world.ts';
import { type RefusalCode, RequestRefused } from './refusals.ts';
import { resolveSecretsHandler } from './secrets.ts';

const refused = (code: RefusalCode) => (error: unknown) => error instanceof RequestRefused && error.code === code;

type Answer = Awaited<ReturnType<ReturnType<typeof resolveSecretsHandler>>>;

function openAll(world: SecretsWorld, answer: Answer, releaseDigest: string): Record<string, string> {
  const opened = (answer.secrets ?? []).map(({ path = '', result }) => {
    if (result?.case !== 'sealed') return [path, result?.value ?? ''];
    const { version = 0, enc = new Uint8Array(), ciphertext = new Uint8Array() } = result.value;
    const place = { uuid: world.uuid, path, version, releaseDigest };
    return [path, Buffer.from(openSecret(world.privateKey, place, { enc, ciphertext })).toString()];
  });
  return Object.fromEntries(opened);
}

test('R16 a node gets what its crates refer to, sealed to it, intended before and settled after', async () => {
  const world = await createSecretsWorld({ paths: ['a', 'b/c'] });
  const answer = await resolveSecretsHandler(world.deps)(world.verified, world.ask(['a', 'b/c']));
  assert.equal(answer.epoch, 7);
  const { digest } = world.current.release.ref;
  assert.deepEqual(openAll(world, answer, digest), { a: 'value of a', 'b/c': 'value of b/c' });
  assert.throws(() => openAll(world, answer, '00'.repeat(32)), CryptoError, 'under another release it does not open');
  assert.equal(
    JSON.stringify(answer, (_, v) => (v instanceof Uint8Array ? Buffer.from(v).toString('latin1') : v)).includes(
      'value of',
    ),
    false,
  );
  const recorded = JSON.stringify(world.audit.events);
  assert.ok(recorded.includes('a@1') && recorded.includes('b/c@1'));
  assert.equal(recorded.includes('value of'), false);
});

test('R16 whoever is not entitled gets one refusal, the same for what exists and what does not, before any read', async () => {
  const world = await createSecretsWorld({ paths: ['a'] });
  await world.provider.set('elsewhere', { reveal: () => new Uint8Array(8).fill(1) } as never);
  const resolve = resolveSecretsHandler(world.deps);
  const texts = new Set<string>();
  for (const paths of [['elsewhere'], ['absent'], ['a', 'absent'], ['a', 'elsewhere']]) {
    const before = world.audit.of('secret.refuse').length;
    await assert.rejects(resolve(world.verified, world.ask(paths)), (error) => {
      assert.ok(refused('PERMISSION_DENIED')(error));
      texts.add((error as Error).message);
      return true;
    });
    assert.equal(world.audit.of('secret.refuse').length, before + 1, 'one entry');
  }
  assert.equal(texts.size, 1);
  assert.deepEqual(world.provider.asked, []);
  assert.doesNotMatch(JSON.stringify(world.audit.of('secret.refuse')), /elsewhere|absent/);
  assert.equal(world.audit.of('secret.release').length, 0);
});

test('R16 another role, a quarantined node, an older release and a later one get nothing', async () => {
  const world = await createSecretsWorld({ paths: ['a'] });
  const resolve = resolveSecretsHandler(world.deps);
  const other = await world.addNode('db');
  await assert.rejects(resolve(other.verified, world.ask(['a'])), refused('PERMISSION_DENIED'));
  await assert.rejects(resolve(world.verified, world.ask(['a'], '11'.repeat(32))), refused('RELEASE_CHANGED'));
  const old = world.current.release.ref.digest;
  world.current.release = await world.release(['b'], 2);
  await assert.rejects(resolve(world.verified, world.ask(['a'], old)), refused('RELEASE_CHANGED'));
  await assert.rejects(resolve(world.verified, world.ask(['a'])), refused('PERMISSION_DENIED'));
  await world.store.transact([{ kind: 'update', key: nodeKey(world.uuid), set: { state: 'quarantined' } }]);
  await assert.rejects(resolve(world.verified, world.ask(['b'])), refused('QUARANTINED'));
  assert.deepEqual(world.provider.asked, []);
});

test('a node that was given another sealing key gets its values under that one, without anybody doing anything', async () => {
  const world = await createSecretsWorld({ paths: ['a'] });
  const resolve = resolveSecretsHandler(world.deps);
  const other = await world.addNode('web');
  const item = await world.store.get(nodeKey(other.uuid));
  await world.store.transact([
    { kind: 'update', key: nodeKey(world.uuid), set: { sealingKey: item?.['sealingKey'] as Uint8Array } },
  ]);
  const answer = await resolve(world.verified, world.ask(['a']));
  const { digest } = world.current.release.ref;
  assert.throws(() => openAll(world, answer, digest), CryptoError);
  assert.deepEqual(openAll({ ...world, privateKey: other.privateKey }, answer, digest), { a: 'value of a' });
});

test('nothing is released without its entry', async () => {
  const world = await createSecretsWorld({ paths: ['a'] });
  world.audit.failing = true;
  await assert.rejects(resolveSecretsHandler(world.deps)(world.verified, world.ask(['a'])), refused('UNAVAILABLE'));
  assert.deepEqual(world.provider.asked, []);
});

test('without a provider, or with one that does not answer, nothing is made up', async () => {
  const world = await createSecretsWorld({ paths: ['a', 'b'] });
  await assert.rejects(
    resolveSecretsHandler({ ...world.deps, source: undefined })(world.verified, world.ask(['a'])),
    refused('UNAVAILABLE'),
  );
  const resolve = resolveSecretsHandler(world.deps);
  await world.provider.delete('b');
  const answer = await resolve(world.verified, world.ask(['a', 'b']));
  assert.deepEqual(openAll(world, answer, world.current.release.ref.digest), { a: 'value of a', b: 'NOT_FOUND' });
  world.provider.reachable = false;
  const none = await resolve(world.verified, world.ask(['a', 'b']));
  assert.deepEqual(openAll(world, none, world.current.release.ref.digest), { a: 'UNAVAILABLE', b: 'UNAVAILABLE' });
});

test('malformed requests are refused: none, twice, no path, too many', async () => {
  const world = await createSecretsWorld({ paths: ['a'] });
  const resolve = resolveSecretsHandler(world.deps);
  for (const paths of [[], ['a', 'a'], ['../a'], ['A'], Array.from({ length: 1001 }, (_, i) => `a${i}`)]) {
    await assert.rejects(resolve(world.verified, world.ask(paths)), refused('INVALID_REQUEST'));
  }
  const asked = { ...world.ask(['a']), releaseDigest: fromHex('') as Uint8Array<ArrayBuffer> };
  await assert.rejects(resolve(world.verified, asked), refused('RELEASE_CHANGED'));
});

test('an answer stays within a message, and the rest can be asked for again', async () => {
  const paths = Array.from({ length: 80 }, (_, i) => `large/${i}`);
  const world = await createSecretsWorld({ paths });
  for (const path of paths) await world.provider.set(path, { reveal: () => new Uint8Array(65_536) } as never);
  const resolve = resolveSecretsHandler(world.deps);
  let left: readonly string[] = paths;
  let calls = 0;
  while (left.length > 0) {
    const answer = await resolve(world.verified, world.ask(left));
    const got = new Set((answer.secrets ?? []).map(({ path }) => path));
    assert.ok(got.size > 0);
    left = left.filter((path) => !got.has(path));
    calls += 1;
  }
  assert.equal(calls, 2);
});

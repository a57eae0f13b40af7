/** The sealing function's judgement: it believes the node's signature and the table, and no gateway. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../../lib/crypto/digest.ts';
import { type Ed25519KeyPair, generateEd25519, signEd25519 } from '../../lib/crypto/ed25519.ts';
import { CryptoError } from '../../lib/crypto/errors.ts';
import { nodeKey } from '../../lib/identity/nodes.ts';
import { formatProof, type ProofText, type RequestProof } from '../../lib/identity/proof.ts';
import { requestSigningInput } from '../../lib/identity/request.ts';
import { openSecret } from '../../lib/secrets/seal.ts';
import { encodeRequest, type RequestInit } from '../../lib/wire/messages.ts';
import { gatewayMethod } from '../../lib/wire/methods.ts';
import { createSecretsWorld, type SecretsWorld } from '../../test/fakes/secrets-world.ts';
import { formatAnswer, parseAnswer } from './answer.ts';
import { createSealing } from './seal.ts';

async function createWorld(paths: readonly string[]) {
  const world = await createSecretsWorld({ paths });
  const { ref, manifestBytes, signatures } = world.current.release;
  const publish = async () => {
    const { number, digest } = ref;
    const sk = String(number).padStart(10, '0');
    const item = { pk: 'release', sk, number, digest, manifest: manifestBytes, signatures: [...signatures] };
    await world.store.transact([
      { kind: 'put', item: { ...item, publishedAt: 0 } },
      { kind: 'put', item: { pk: 'release', sk: 'current', number, digest } },
    ]);
  };
  await publish();
  return { ...world, seal: createSealing({ ...world, audit: world.audit }) };
}

/** What an honest gateway relays for a node that asks for `paths`, before `change`. */
function proofOf(
  world: Pick<SecretsWorld, 'current'>,
  node: { readonly uuid: string; readonly identity: Ed25519KeyPair },
  paths: readonly string[],
  change: Partial<RequestProof> & { readonly request?: RequestInit['request'] } = {},
): ProofText {
  const { request, ...rest } = change;
  const releaseDigest = Buffer.from(world.current.release.ref.digest, 'hex');
  const value = { paths: [...paths], releaseDigest };
  const body = encodeRequest({ request: request ?? { case: 'resolveSecrets', value } });
  const method = gatewayMethod('session').path;
  const stream = { challenge: new Uint8Array(32).fill(1), certificateDigest: new Uint8Array(32).fill(2) };
  const signed = { method, ...stream, counter: 3, uuid: node.uuid, body, ...rest };
  const signature = signEd25519(
    node.identity.privateKey,
    requestSigningInput({ ...signed, bodyDigest: sha256(signed.body) }),
  );
  return formatProof({ ...signed, signature, ...rest });
}

test('R16 what the node signed for is sealed to the node, and recorded; the answer survives its way as JSON', async () => {
  const world = await createWorld(['a', 'b/c']);
  const answer = parseAnswer(
    JSON.parse(JSON.stringify(formatAnswer(await world.seal(proofOf(world, world, ['a', 'b/c']))))),
  );
  assert.ok('given' in answer);
  const { digest } = world.current.release.ref;
  const opened = answer.given.map((one) => {
    assert.ok('sealed' in one);
    const place = { uuid: world.uuid, path: one.path, version: one.sealed.version, releaseDigest: digest };
    return Buffer.from(openSecret(world.privateKey, place, one.sealed)).toString();
  });
  assert.deepEqual(opened, ['value of a', 'value of b/c']);
  const [entry] = world.audit.of('secret.release');
  assert.equal(entry?.actor.id, world.uuid);
  assert.deepEqual(entry?.detail?.['paths'], ['a@1', 'b/c@1']);
});

test('R16 a gateway that lies gains nothing: other paths, another node, another key, another kind of request', async () => {
  const world = await createWorld(['a']);
  const other = await world.addNode('db');
  const honest = proofOf(world, world, ['a']);
  const stranger = generateEd25519();
  const lies: { readonly [what: string]: unknown } = {
    'another body under the same signature': { ...honest, body: proofOf(world, world, ['b']).body },
    'another node': { ...honest, uuid: other.uuid },
    'no node': { ...honest, uuid: '00000000-0000-4000-8000-000000000000' },
    'a key of its own': proofOf(world, { uuid: world.uuid, identity: stranger }, ['a']),
    'another challenge': { ...honest, challenge: 'A'.repeat(43) },
    'another counter': { ...honest, counter: 4 },
    'another certificate': { ...honest, certificateDigest: 'A'.repeat(43) },
    'another method': proofOf(world, world, ['a'], { method: gatewayMethod('download').path }),
    'a request for something else': proofOf(world, world, ['a'], { request: { case: 'fetchRelease', value: {} } }),
    'no body': proofOf(world, world, ['a'], { body: new Uint8Array(0) }),
    'more than a proof': { ...honest, sealingKey: 'A'.repeat(43) },
    nothing: undefined,
  };
  for (const [what, lie] of Object.entries(lies)) {
    const before = world.audit.of('node.request.refuse').length;
    assert.deepEqual(await world.seal(lie), { refused: 'INVALID_REQUEST' }, what);
    assert.equal(world.audit.of('node.request.refuse').length, before + 1, what);
  }
  assert.deepEqual(world.provider.asked, []);
  assert.equal(world.audit.of('secret.release').length, 0);
});

test('R16 entitlement is judged here too: role, state, release; a refusal is one entry and reads nothing', async () => {
  const world = await createWorld(['a']);
  const other = await world.addNode('db');
  const refusedFor = async (node: typeof other, paths: readonly string[]) =>
    (await world.seal(proofOf(world, node, paths))) as { readonly refused: string };
  assert.deepEqual(await refusedFor(other, ['a']), { refused: 'PERMISSION_DENIED' });
  assert.deepEqual(await refusedFor(world, ['absent']), { refused: 'PERMISSION_DENIED' });
  assert.equal(world.audit.of('secret.refuse').length, 2);
  assert.doesNotMatch(JSON.stringify(world.audit.of('secret.refuse')), /absent/);
  assert.deepEqual(await refusedFor(world, ['a', 'a']), { refused: 'INVALID_REQUEST' });
  const value = { paths: ['a'], releaseDigest: new Uint8Array(32) };
  const stale = proofOf(world, world, [], { request: { case: 'resolveSecrets', value } });
  assert.deepEqual(await world.seal(stale), { refused: 'RELEASE_CHANGED' });
  for (const [state, refused] of [
    ['quarantined', 'QUARANTINED'],
    ['revoked', 'INVALID_REQUEST'],
  ] as const) {
    await world.store.transact([{ kind: 'update', key: nodeKey(world.uuid), set: { state } }]);
    assert.deepEqual(await refusedFor(world, ['a']), { refused });
  }
  assert.deepEqual(world.provider.asked, []);
});

test('a captured request that is relayed again opens on its own node alone', async () => {
  const world = await createWorld(['a']);
  const other = await world.addNode('web');
  const proof = proofOf(world, world, ['a']);
  await world.seal(proof);
  const answer = await world.seal(proof);
  assert.ok('given' in answer && answer.given[0] && 'sealed' in answer.given[0]);
  const { sealed } = answer.given[0];
  const place = { path: 'a', version: sealed.version, releaseDigest: world.current.release.ref.digest };
  assert.throws(() => openSecret(other.privateKey, { ...place, uuid: other.uuid }, sealed), CryptoError);
  assert.throws(() => openSecret(other.privateKey, { ...place, uuid: world.uuid }, sealed), CryptoError);
  assert.ok(openSecret(world.privateKey, { ...place, uuid: world.uuid }, sealed));
});

test('nothing is given without its entry', async () => {
  const world = await createWorld(['a']);
  world.audit.failing = true;
  await assert.rejects(world.seal(proofOf(world, world, ['a'])), { code: 'unavailable' });
  assert.deepEqual(world.provider.asked, []);
});

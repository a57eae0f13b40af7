/** A sealed value opens for one node, one reference, one version and one release. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { CryptoError } from '../crypto/errors.ts';
import { hpkeOpen } from '../crypto/hpke.ts';
import { openSecret, type SealingPlace, sealSecret } from './seal.ts';

const newKey = () => {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  return { raw: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)), privateKey };
};
const place: SealingPlace = {
  uuid: '6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11',
  path: 'db/password',
  version: 3,
  releaseDigest: 'ab'.repeat(32),
};
const notAuthentic = (error: unknown) => error instanceof CryptoError && error.code === 'not_authentic';

test('R16 another key, node, reference, version or release does not open it', () => {
  const [mine, other] = [newKey(), newKey()];
  const message = sealSecret(mine.raw, place, Buffer.from('value'));
  assert.equal(Buffer.from(openSecret(mine.privateKey, place, message)).toString(), 'value');
  assert.throws(() => openSecret(other.privateKey, place, message), notAuthentic);
  for (const change of [
    { uuid: '6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a12' },
    { path: 'db/passwor' },
    { path: 'db/passwords' },
    { version: 2 },
    { releaseDigest: 'ac'.repeat(32) },
  ]) {
    assert.throws(
      () => openSecret(mine.privateKey, { ...place, ...change }, message),
      notAuthentic,
      JSON.stringify(change),
    );
  }
});

test('the format is the documented one, byte for byte', () => {
  const { raw, privateKey } = newKey();
  const message = sealSecret(raw, place, Buffer.from('value'));
  const reference = Buffer.from('secret:db/password');
  const aad = Buffer.concat([
    Buffer.from('6b1f0a528f0e4c579d3c2f5f1f0c9a11', 'hex'),
    Buffer.of(0, reference.length),
    reference,
    Buffer.of(0, 0, 0, 3),
    Buffer.alloc(32, 0xab),
  ]);
  const opened = hpkeOpen({ privateKey, info: Buffer.from('holdfast/secret/v1'), aad, message });
  assert.equal(Buffer.from(opened).toString(), 'value');
});

test('the same value twice is not the same twice', () => {
  const { raw } = newKey();
  const [one, two] = [1, 2].map(() => sealSecret(raw, place, Buffer.from('value')));
  assert.notDeepEqual(one?.ciphertext, two?.ciphertext);
});

/** HPKE against RFC 9180's own vectors and against @hpke/core, and every change to what was sealed. */
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { utf8 } from './encoding.ts';
import { CryptoError } from './errors.ts';
import { hpkeOpen, hpkeSeal } from './hpke.ts';

const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));
const privateKeyOf = (raw: Uint8Array): KeyObject =>
  createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), raw]),
    format: 'der',
    type: 'pkcs8',
  });
const rawOf = (key: KeyObject) => new Uint8Array(key.export({ format: 'der', type: 'spki' }).subarray(-32));
const notAuthentic = (error: unknown) => error instanceof CryptoError && error.code === 'not_authentic';

/** RFC 9180, appendix A.1.1: base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, sequence number 0. */
const vector = {
  info: hex('4f6465206f6e2061204772656369616e2055726e'),
  skEm: hex('52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736'),
  pkRm: hex('3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d'),
  skRm: hex('4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8'),
  enc: hex('37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431'),
  pt: hex('4265617574792069732074727574682c20747275746820626561757479'),
  aad: hex('436f756e742d30'),
  ct: hex('f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a'),
};

test('RFC 9180 A.1.1 seals to the published bytes and opens them', () => {
  const privateKey = privateKeyOf(vector.skEm);
  const publicKey = rawOf(createPublicKey(privateKey));
  assert.deepEqual(publicKey, vector.enc);
  const { info, aad, pt: plaintext, pkRm: recipient } = vector;
  const sealed = hpkeSeal({
    recipient,
    info,
    aad,
    plaintext,
    aead: 'aes-128-gcm',
    ephemeral: { publicKey, privateKey },
  });
  assert.deepEqual(new Uint8Array(sealed.enc), vector.enc);
  assert.deepEqual(new Uint8Array(sealed.ciphertext), vector.ct);
  const message = { enc: vector.enc, ciphertext: vector.ct };
  const opened = hpkeOpen({ privateKey: privateKeyOf(vector.skRm), info, aad, message, aead: 'aes-128-gcm' });
  assert.deepEqual(new Uint8Array(opened), vector.pt);
});

test('what is sealed here @hpke/core opens, and the other way round, with AES-256-GCM', async () => {
  const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
  for (const length of [0, 1, 31, 32, 64, 5000]) {
    const { publicKey, privateKey } = generateKeyPairSync('x25519');
    const [recipient, plaintext] = [rawOf(publicKey), new Uint8Array(randomBytes(length))];
    const [info, aad] = [new Uint8Array(randomBytes(length % 40)), new Uint8Array(randomBytes(length % 50))];
    const jwk = privateKey.export({ format: 'jwk' });
    const recipientKey = await suite.kem.deserializePrivateKey(
      new Uint8Array(Buffer.from(String(jwk.d), 'base64url')).buffer,
    );
    const ours = hpkeSeal({ recipient, info, aad, plaintext });
    const theirs = await suite.open(
      { recipientKey, enc: new Uint8Array(ours.enc).buffer, info: info.buffer },
      new Uint8Array(ours.ciphertext).buffer,
      aad.buffer,
    );
    assert.deepEqual(new Uint8Array(theirs), plaintext);
    const recipientPublicKey = await suite.kem.deserializePublicKey(recipient.buffer);
    const sealed = await suite.seal({ recipientPublicKey, info: info.buffer }, plaintext.buffer, aad.buffer);
    const message = { enc: new Uint8Array(sealed.enc), ciphertext: new Uint8Array(sealed.ct) };
    assert.deepEqual(new Uint8Array(hpkeOpen({ privateKey, info, aad, message })), plaintext);
  }
});

test('another key, info, additional data or any changed byte does not open', () => {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const [info, aad] = [utf8('use'), utf8('place')];
  const message = hpkeSeal({ recipient: rawOf(publicKey), info, aad, plaintext: utf8('value') });
  assert.equal(Buffer.from(hpkeOpen({ privateKey, info, aad, message })).toString(), 'value');
  const other = generateKeyPairSync('x25519').privateKey;
  assert.throws(() => hpkeOpen({ privateKey: other, info, aad, message }), notAuthentic);
  assert.throws(() => hpkeOpen({ privateKey, info: utf8('other'), aad, message }), notAuthentic);
  assert.throws(() => hpkeOpen({ privateKey, info, aad: utf8('other'), message }), notAuthentic);
  for (const part of ['enc', 'ciphertext'] as const) {
    for (let at = 0; at < message[part].length; at++) {
      const changed = new Uint8Array(message[part]);
      // X25519 ignores the highest bit (RFC 7748 §5), but `enc` is part of what keys are made from.
      changed[at] = (changed[at] ?? 0) ^ 0x80;
      assert.throws(() => hpkeOpen({ privateKey, info, aad, message: { ...message, [part]: changed } }), CryptoError);
    }
  }
});

test('keys of small order and of a wrong length are refused', () => {
  const { privateKey } = generateKeyPairSync('x25519');
  const [info, aad] = [utf8('use'), utf8('place')];
  const zero = new Uint8Array(32);
  assert.throws(() => hpkeSeal({ recipient: zero, info, aad, plaintext: aad }), { code: 'weak_key' });
  assert.throws(() => hpkeSeal({ recipient: zero.subarray(1), info, aad, plaintext: aad }), { code: 'malformed' });
  const message = { enc: zero, ciphertext: new Uint8Array(16) };
  assert.throws(() => hpkeOpen({ privateKey, info, aad, message }), { code: 'weak_key' });
  const short = { enc: zero, ciphertext: new Uint8Array(15) };
  assert.throws(() => hpkeOpen({ privateKey, info, aad, message: short }), { code: 'malformed' });
});

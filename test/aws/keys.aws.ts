/** Keys in KMS: signatures that other verifiers accept, X.509 signed by KMS, sealed data bound to its context. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPublicKey, randomUUID, verify } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { ed25519FromSpki, verifyEd25519 } from '../../lib/crypto/ed25519.ts';
import { equalBytes, utf8 } from '../../lib/crypto/encoding.ts';
import {
  createAuthorityCertificate,
  createCsr,
  generateP256,
  issueNodeCertificate,
  parseNodeCertificate,
  pemEncode,
} from '../../lib/crypto/x509.ts';
import { openKmsKeys } from '../../lib/keys/kms.ts';
import { KeysError, type KeysErrorCode } from '../../lib/keys/port.ts';
import { createKeys, endpointOf, region } from './emulator.ts';

const client = new KMSClient({ region, endpoint: endpointOf('ministack') });
after(() => client.destroy());

const failsWith = (code: KeysErrorCode) => (error: unknown) => {
  assert(error instanceof KeysError, `${error}`);
  assert.equal(error.code, code, error.message);
  return true;
};

test('signatures are what the ports promise: ECDSA as DER over SHA-256, Ed25519 as RFC 8032', async () => {
  const keys = openKmsKeys(client, await createKeys(client));
  const ca = await keys.signer('fleet-ca');
  assert.equal(ca.algorithm, 'ecdsa-p256-sha256');
  const publicKey = createPublicKey({ key: Buffer.from(ca.publicKey), format: 'der', type: 'spki' });
  // Above 4096 bytes the adapter sends the digest.
  for (const length of [1, 312, 4096, 4097, 100_000]) {
    const message = new Uint8Array(length).fill(length % 251);
    assert(verify('sha256', message, publicKey, await ca.sign(message)), `${length} bytes`);
  }
  const log = await keys.signer('audit-log');
  const logKey = ed25519FromSpki(log.publicKey);
  for (const length of [1, 200, 4096]) {
    const message = new Uint8Array(length).fill(7);
    const signature = await log.sign(message);
    assert.equal(signature.length, 64);
    assert(verifyEd25519(logKey, message, signature));
  }
  await assert.rejects(log.sign(new Uint8Array(4097)), TypeError);
  assert.equal(await keys.signer('audit-log'), log);
});

test('a certificate that KMS signed chains to its authority, for us and for openssl', async (t) => {
  const signer = await openKmsKeys(client, await createKeys(client)).signer('fleet-ca');
  const now = Math.floor(Date.now() / 1000) * 1000;
  const dates = { notBefore: now - 60_000, notAfter: now + 3_600_000 };
  const authority = await createAuthorityCertificate({ fleet: 'prod', signer, ...dates });
  const uuid = randomUUID();
  const csr = await createCsr(generateP256());
  const leaf = await issueNodeCertificate({ authority, signer, fleet: 'prod', uuid, csr, ...dates });
  assert.equal(parseNodeCertificate(leaf, { fleet: 'prod', authority, now }).uuid, uuid);

  if (spawnSync('openssl', ['version']).status !== 0) {
    t.skip('openssl is not installed');
    return;
  }
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-kms-'));
  t.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'ca.pem'), pemEncode('CERTIFICATE', authority));
  writeFileSync(join(directory, 'node.pem'), pemEncode('CERTIFICATE', leaf));
  const check = ['verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', 'ca.pem', 'node.pem'];
  const { status, stdout, stderr } = spawnSync('openssl', check, { cwd: directory, encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}${stderr}`);
  assert.match(stdout, /node\.pem: OK/);
});

test('R10 sealed data opens with its context alone, and not after any change', async () => {
  const arns = await createKeys(client);
  const { sealer } = openKmsKeys(client, arns);
  for (const plaintext of [new Uint8Array(), utf8('secret'), new Uint8Array(100_000).fill(3)]) {
    const sealed = await sealer.seal(plaintext, 'users/alice');
    assert(equalBytes(await sealer.open(sealed, 'users/alice'), plaintext));
    assert(plaintext.length === 0 || Buffer.from(sealed).indexOf(plaintext) === -1, 'no plaintext inside');
    await assert.rejects(sealer.open(sealed, 'users/bob'), failsWith('not_authentic'));
  }
  const sealed = await sealer.seal(utf8('secret'), 'c');
  const length = ((sealed[0] ?? 0) << 8) | (sealed[1] ?? 0);
  for (const at of [2 + length + 5, sealed.length - 1]) {
    const altered = Uint8Array.from(sealed, (byte, index) => (index === at ? byte ^ 1 : byte));
    await assert.rejects(sealer.open(altered, 'c'), failsWith('not_authentic'));
  }
  for (const cut of [0, 1, 2, 1 + length, 2 + length]) {
    await assert.rejects(sealer.open(sealed.subarray(0, cut), 'c'), failsWith('malformed'));
  }
  // Another key of the same account: KMS is told which one, so it does not open with whatever fits.
  const { data } = await createKeys(client);
  await assert.rejects(openKmsKeys(client, { data }).sealer.open(sealed, 'c'), failsWith('not_authentic'));
});

test('a key of another kind, an unknown one and none at all are refused', async () => {
  const arns = await createKeys(client);
  await assert.rejects(
    openKmsKeys(client, { 'audit-log': arns['fleet-ca'] }).signer('audit-log'),
    failsWith('malformed'),
  );
  const unknown = arns['fleet-ca'].replace(/[^/]+$/, randomUUID());
  await assert.rejects(openKmsKeys(client, { 'fleet-ca': unknown }).signer('fleet-ca'), failsWith('missing'));
  await assert.rejects(openKmsKeys(client, {}).signer('fleet-ca'), failsWith('missing'));
  await assert.rejects(openKmsKeys(client, {}).sealer.seal(utf8('x'), 'c'), failsWith('missing'));
  const { KeyMetadata } = await client.send(new CreateKeyCommand({ KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' }));
  await assert.rejects(
    openKmsKeys(client, { 'fleet-ca': KeyMetadata!.Arn! }).signer('fleet-ca'),
    failsWith('malformed'),
  );
});

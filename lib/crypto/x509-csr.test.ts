import 'reflect-metadata';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { sign, webcrypto } from 'node:crypto';
import { describe, it } from 'node:test';
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import fc from 'fast-check';
import { concatBytes, equalBytes, fromHex, toHex, utf8 } from './encoding.ts';
import { CryptoError } from './errors.ts';
import { createCsr, generateP256, pemEncode } from './x509.ts';
import { verifyCsr } from './x509-csr.ts';

const noOpenssl = spawnSync('openssl', ['version']).error ? 'openssl is not installed' : false;
const keyPair = generateP256();
const csr = await createCsr(keyPair);
const foreign = await makeForeign();
const check = async (request: Uint8Array) => verifyCsr(request);
const hasCode = (code: string) => (error: unknown) => error instanceof CryptoError && error.code === code;

describe('certificate requests', () => {
  it('ask for nothing but their key, and prove that they hold it', async () => {
    assert.ok(csr.length < 256);
    assert.ok(equalBytes(await check(csr), keyPair.publicKeySpki));
  });

  it('with a bad signature are refused', async () => {
    const changed = Uint8Array.from(csr);
    changed[changed.length - 1] = (changed[changed.length - 1] as number) ^ 1;
    await assert.rejects(check(changed), CryptoError);
    // A good request by another key, with the victim's public key put into it.
    const other = Uint8Array.from(await createCsr(generateP256()));
    const at = Buffer.from(csr).indexOf(keyPair.publicKeySpki);
    other.set(keyPair.publicKeySpki, Buffer.from(other).indexOf(keyPair.publicKeySpki.subarray(0, 26)));
    assert.ok(at > 0);
    await assert.rejects(check(other), hasCode('not_authentic'));
  });

  it('for RSA, P-384 and Ed25519 keys are refused', async () => {
    for (const { csr: request } of foreign) await assert.rejects(check(request), hasCode('unsupported'));
  });

  it('that are too long, cut off, PEM or followed by something are refused', async () => {
    await assert.rejects(check(new Uint8Array(2049)), hasCode('malformed'));
    await assert.rejects(check(new Uint8Array(0)), hasCode('malformed'));
    await assert.rejects(check(csr.subarray(0, -1)), hasCode('malformed'));
    await assert.rejects(check(concatBytes(csr, Uint8Array.of(0))), hasCode('malformed'));
    await assert.rejects(check(utf8(pemEncode('CERTIFICATE REQUEST', csr))), hasCode('malformed'));
  });

  it('with another structure are refused, however well they are signed', async () => {
    const sequence = (...parts: Uint8Array[]) => {
      const content = concatBytes(...parts);
      assert.ok(content.length < 256);
      const head = content.length < 128 ? [0x30, content.length] : [0x30, 0x81, content.length];
      return concatBytes(Uint8Array.from(head), content);
    };
    const algorithm = fromHex('300a06082a8648ce3d040302');
    const seal = (info: Uint8Array, named = algorithm) => {
      const signature = sign('sha256', info, keyPair.privateKey);
      return sequence(info, named, Uint8Array.of(3, signature.length + 1, 0), signature);
    };
    const [version, subject, attributes] = [fromHex('020100'), fromHex('3000'), fromHex('a000')];
    const key = keyPair.publicKeySpki;
    await check(seal(sequence(version, subject, key, attributes)));
    for (const [info, code] of [
      [sequence(version, subject, key, attributes, fromHex('0500')), 'malformed'],
      [sequence(version, subject, key), 'malformed'],
      [sequence(version, subject, subject, key, attributes), 'malformed'],
      [sequence(fromHex('020101'), subject, key, attributes), 'unsupported'],
      [sequence(fromHex('02020000'), subject, key, attributes), 'unsupported'],
      [sequence(version, fromHex('308100'), key, attributes), 'malformed'],
      [sequence(version, fromHex('3080'), key, attributes), 'malformed'],
    ] as const) {
      await assert.rejects(check(seal(info)), hasCode(code), toHex(info.subarray(0, 12)));
    }
    const good = sequence(version, subject, key, attributes);
    for (const named of ['300a06082a8648ce3d040301', '300c06082a8648ce3d0403020500', '3000']) {
      await assert.rejects(check(seal(good, fromHex(named))), hasCode('unsupported'), named);
    }
  });

  it('made by openssl are accepted, whatever else they ask for', { skip: noOpenssl }, async () => {
    const args = [
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      '/dev/null',
    ];
    args.push('-subj', '/CN=root/O=evil', '-addext', 'subjectAltName=URI:spiffe://acme/gateway', '-outform', 'DER');
    assert.equal((await check(spawnSync('openssl', args).stdout)).length, 91);
  });

  it('any flipped bit, and arbitrary bytes: only CryptoError comes out', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(csr.length * 8 - 1), async (bit) => {
        const changed = Uint8Array.from(csr);
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
        await assert.rejects(check(changed), CryptoError);
      }),
      { numRuns: 300 },
    );
    await fc.assert(fc.asyncProperty(fc.uint8Array(), (bytes) => assert.rejects(check(bytes), CryptoError)));
  });
});

/** Public keys and good requests of kinds that are not in the profile. */
async function makeForeign(): Promise<{ publicKey: Uint8Array; csr: Uint8Array }[]> {
  const algorithms = [
    { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) },
    { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-256' },
    { name: 'Ed25519' },
  ];
  return Promise.all(
    algorithms.map(async (algorithm) => {
      const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
      const request = await Pkcs10CertificateRequestGenerator.create(
        { keys, signingAlgorithm: algorithm },
        webcrypto as webcrypto.Crypto,
      );
      const publicKey = new Uint8Array(await webcrypto.subtle.exportKey('spki', keys.publicKey));
      return { publicKey, csr: new Uint8Array(request.rawData) };
    }),
  );
}

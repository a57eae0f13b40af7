import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { generateEd25519, publicKeyOf } from './ed25519.ts';
import { concatBytes, fromBase64, toBase64, u32be } from './encoding.ts';
import { CryptoError } from './errors.ts';
import {
  formatSshPrivateKey,
  formatSshPublicKey,
  parseSshPrivateKey,
  parseSshPublicKey,
  sshFingerprint,
  sshPublicKeyOf,
} from './ssh-key.ts';
import { decodeSshKey } from './ssh-key-material.ts';
import { armor, dearmor, sshString } from './ssh-wire.ts';

/** Any UTF-16 code unit, lone surrogates included. */
const codeUnit = fc.nat(0xffff).map((unit) => String.fromCharCode(unit));

interface OpenSshVectors {
  readonly keys: readonly { readonly line: string; readonly fingerprint: string }[];
  readonly certificate: string;
  readonly privateKeys: { readonly ed25519: string; readonly encrypted: string; readonly ecdsa: string };
}

const vectors: OpenSshVectors = JSON.parse(
  readFileSync(new URL('../../test/vectors/sshsig/openssh.json', import.meta.url), 'utf8'),
);
const supported = vectors.keys.filter(({ line }) => !line.startsWith('ssh-rsa'));
const ED25519_LINE = vectors.keys[0]?.line as string;
const LABEL = 'OPENSSH PRIVATE KEY';
const noSshKeygen = spawnSync('ssh-keygen', ['-?']).error ? 'ssh-keygen is not installed' : false;

function assertCode(action: () => unknown, code: string): void {
  assert.throws(action, (error) => error instanceof CryptoError && error.code === code);
}

const line = (type: string, blob: Uint8Array) => `${type} ${toBase64(blob)}`;
const blobOf = (text: string) => fromBase64(text.split(' ')[1] as string);

describe('SSH public keys', () => {
  it('of OpenSSH come back as written, with the fingerprint that ssh-keygen prints', () => {
    assert.equal(supported.length, 4);
    for (const { line, fingerprint } of supported) {
      const key = parseSshPublicKey(line);
      assert.equal(formatSshPublicKey(key), line);
      assert.equal(sshFingerprint(key), fingerprint);
      assert.equal(key.comment, 'operator@example.com');
    }
  });

  it('have comments with spaces, or none, and may stand between white space', () => {
    const [type, blob] = ED25519_LINE.split(' ');
    assert.equal(parseSshPublicKey(`${type} ${blob}`).comment, undefined);
    assert.equal(parseSshPublicKey(` ${type}  ${blob}  a b \n`).comment, 'a b');
  });

  it('a security key shows its application', () => {
    const { publicKey } = generateEd25519();
    const type = 'sk-ssh-ed25519@openssh.com';
    const blob = concatBytes(sshString(type), sshString(publicKey), sshString('ssh:'));
    const key = parseSshPublicKey(line(type, blob));
    assert.deepEqual(decodeSshKey(key.blob), { type, key: publicKey, application: 'ssh:' });
    const web = concatBytes(sshString(type), sshString(publicKey), sshString('https://example.com'));
    assertCode(() => parseSshPublicKey(line(type, web)), 'unsupported');
    const cut = concatBytes(sshString(type), sshString(publicKey));
    assertCode(() => parseSshPublicKey(line(type, cut)), 'malformed');
  });

  it('certificates, RSA, DSA and ECDSA security keys are refused', () => {
    assertCode(() => parseSshPublicKey(vectors.certificate), 'unsupported');
    assertCode(() => parseSshPublicKey(vectors.keys.at(-1)?.line as string), 'unsupported');
    for (const type of ['ssh-dss', 'sk-ecdsa-sha2-nistp256@openssh.com', 'ssh-ed448', 'SSH-ED25519']) {
      assertCode(() => parseSshPublicKey(line(type, sshString(type))), 'unsupported');
    }
  });

  it('a line that lies about its type is refused', () => {
    for (const { line: text } of supported) {
      for (const { line: other } of supported) {
        const lie = line(text.split(' ')[0] as string, blobOf(other));
        if (text === other) parseSshPublicKey(lie);
        else assertCode(() => parseSshPublicKey(lie), 'malformed');
      }
    }
    const cert = line('ssh-ed25519', blobOf(vectors.certificate));
    assertCode(() => parseSshPublicKey(cert), 'unsupported');
  });

  for (const [why, text] of [
    ['nothing', ''],
    ['only a type', 'ssh-ed25519'],
    ['options before the key', `restrict ${ED25519_LINE}`],
    ['two lines', `${ED25519_LINE}\n${ED25519_LINE}`],
    ['a terminal escape in the comment', `${ED25519_LINE}\u001b[2J`],
    ['a right-to-left override in the comment', `${ED25519_LINE}\u202e`],
    ['a tab for a space', ED25519_LINE.replace(' ', '\t')],
    ['base64 without padding', ED25519_LINE.replace(/(AAAA\S+) .*/, '$1=')],
    ['an endless comment', `${ED25519_LINE}${'x'.repeat(5000)}`],
  ] as const) {
    it(`refuses ${why}`, () => assert.throws(() => parseSshPublicKey(text), CryptoError));
  }

  it('refuses trailing bytes, cut-off bytes and weak or off-curve points in every kind of key', () => {
    for (const { line: text } of supported) {
      const [type = ''] = text.split(' ');
      const blob = blobOf(text);
      assertCode(() => parseSshPublicKey(line(type, concatBytes(blob, Uint8Array.of(0)))), 'malformed');
      assertCode(() => parseSshPublicKey(line(type, blob.subarray(0, -1))), 'malformed');
      const broken = Uint8Array.from(blob);
      broken[broken.length - 1] = (broken[broken.length - 1] as number) ^ 1;
      if (type !== 'ssh-ed25519') assertCode(() => parseSshPublicKey(line(type, broken)), 'malformed');
    }
    const weak = concatBytes(sshString('ssh-ed25519'), sshString(new Uint8Array(32)));
    assertCode(() => parseSshPublicKey(line('ssh-ed25519', weak)), 'weak_key');
  });

  it('refuses compressed points and a curve that is not the type’s', () => {
    const ecdsa = supported.find(({ line }) => line.startsWith('ecdsa-sha2-nistp256'))?.line as string;
    const type = 'ecdsa-sha2-nistp256';
    const point = blobOf(ecdsa).subarray(-65);
    const compressed = concatBytes(Uint8Array.of(2 + ((point[64] as number) & 1)), point.subarray(1, 33));
    const head = concatBytes(sshString(type), sshString('nistp256'));
    assertCode(() => parseSshPublicKey(line(type, concatBytes(head, sshString(compressed)))), 'malformed');
    const otherCurve = concatBytes(sshString(type), sshString('nistp384'), sshString(point));
    assertCode(() => parseSshPublicKey(line(type, otherCurve)), 'malformed');
    parseSshPublicKey(line(type, concatBytes(head, sshString(point))));
  });

  it('arbitrary bytes let only CryptoError out', () => {
    const types = fc.constantFrom(...supported.map(({ line }) => line.split(' ')[0] as string));
    fc.assert(
      fc.property(types, fc.uint8Array({ maxLength: 200 }), fc.boolean(), (type, bytes, typed) => {
        const blob = typed ? concatBytes(sshString(type), bytes) : bytes;
        assert.throws(() => parseSshPublicKey(line(type, blob)), CryptoError);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: codeUnit }), (text) => assert.throws(() => parseSshPublicKey(text), CryptoError)),
    );
  });
});

describe('SSH private keys', () => {
  it('of OpenSSH are read, and belong to their public line', () => {
    const { publicKey, privateKey } = parseSshPrivateKey(vectors.privateKeys.ed25519);
    assert.equal(formatSshPublicKey(publicKey), ED25519_LINE);
    assert.deepEqual(sshPublicKeyOf(publicKeyOf(privateKey)).blob, publicKey.blob);
  });

  it('come back as they were formatted, whatever the comment', () => {
    const { privateKey, publicKey } = generateEd25519();
    fc.assert(
      fc.property(fc.string({ maxLength: 20 }), (comment) => {
        const pair = parseSshPrivateKey(formatSshPrivateKey({ privateKey, comment }));
        assert.deepEqual(publicKeyOf(pair.privateKey), publicKey);
        assert.equal(pair.publicKey.comment ?? '', comment);
      }),
      { numRuns: 30 },
    );
  });

  it('encrypted or of another type: refused with what to do', () => {
    assertCode(() => parseSshPrivateKey(vectors.privateKeys.encrypted), 'unsupported');
    assert.throws(() => parseSshPrivateKey(vectors.privateKeys.encrypted), /ssh-keygen -Y sign/);
    assertCode(() => parseSshPrivateKey(vectors.privateKeys.ecdsa), 'unsupported');
    assertCode(() => parseSshPrivateKey('-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n'), 'malformed');
  });

  it('no changed byte gives another key', () => {
    const blob = dearmor(LABEL, vectors.privateKeys.ed25519);
    const { publicKey } = parseSshPrivateKey(vectors.privateKeys.ed25519);
    fc.assert(
      fc.property(fc.nat(blob.length - 1), fc.integer({ min: 1, max: 255 }), (index, mask) => {
        const changed = Uint8Array.from(blob);
        changed[index] = (changed[index] as number) ^ mask;
        try {
          // Only the comment and the unused KDF options are not bound to the key.
          assert.deepEqual(parseSshPrivateKey(armor(LABEL, changed)).publicKey.blob, publicKey.blob);
        } catch (error) {
          assert.ok(error instanceof CryptoError);
        }
      }),
      { numRuns: 300 },
    );
    for (let length = 0; length < blob.length; length += 7) {
      assert.throws(() => parseSshPrivateKey(armor(LABEL, blob.subarray(0, length))), CryptoError);
    }
  });

  it('refuses another public half, more than one key, and trailing bytes', () => {
    const blob = dearmor(LABEL, vectors.privateKeys.ed25519);
    const other = sshPublicKeyOf(generateEd25519().publicKey).blob;
    const key = decodeSshKey(parseSshPublicKey(ED25519_LINE).blob).key as Uint8Array;
    const at = Buffer.from(blob).indexOf(key);
    const swapped = Uint8Array.from(blob);
    swapped.set(other.subarray(-32), at);
    assertCode(() => parseSshPrivateKey(armor(LABEL, swapped)), 'malformed');
    const count = Buffer.from(blob).indexOf(u32be(1), 30);
    const two = Uint8Array.from(blob);
    two.set(u32be(2), count);
    assertCode(() => parseSshPrivateKey(armor(LABEL, two)), 'unsupported');
    assertCode(() => parseSshPrivateKey(armor(LABEL, concatBytes(blob, Uint8Array.of(1)))), 'malformed');
  });

  it('that we write are read by ssh-keygen', { skip: noSshKeygen }, () => {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-ssh-'));
    try {
      const { privateKey, publicKey } = generateEd25519();
      const path = join(directory, 'key');
      for (const comment of ['', 'a', 'operator of the fleet']) {
        writeFileSync(path, formatSshPrivateKey({ privateKey, comment }), { mode: 0o600 });
        const shown = execFileSync('ssh-keygen', ['-y', '-f', path], { encoding: 'utf8' });
        assert.equal(shown.trim(), formatSshPublicKey(sshPublicKeyOf(publicKey, comment === '' ? undefined : comment)));
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

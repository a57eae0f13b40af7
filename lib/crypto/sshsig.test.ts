import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync, hash, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { sha256 } from './digest.ts';
import { generateEd25519, signEd25519 } from './ed25519.ts';
import { concatBytes, u32be, utf8 } from './encoding.ts';
import { CryptoError } from './errors.ts';
import { formatSshPublicKey, parseSshPrivateKey, parseSshPublicKey, sshPublicKeyOf } from './ssh-key.ts';
import { armor, dearmor, sshString } from './ssh-wire.ts';
import { signSshSignature, verifySshSignature } from './sshsig.ts';

/** Any UTF-16 code unit, lone surrogates included. */
const codeUnit = fc.nat(0xffff).map((unit) => String.fromCharCode(unit));

interface OpenSshVectors {
  readonly namespace: string;
  readonly message: string;
  readonly signatures: readonly { readonly key: string; readonly hash: string; readonly signature: string }[];
  readonly certificateSignature: string;
  readonly privateKeys: { readonly ed25519: string };
}

const vectors: OpenSshVectors = JSON.parse(
  readFileSync(new URL('../../test/vectors/sshsig/openssh.json', import.meta.url), 'utf8'),
);
const LABEL = 'SSH SIGNATURE';
const MESSAGE = utf8('a release');
const NAMESPACE = 'holdfast-release';
const noSshKeygen = spawnSync('ssh-keygen', ['-?']).error ? 'ssh-keygen is not installed' : false;

function assertCode(action: () => unknown, code: string): void {
  assert.throws(action, (error) => error instanceof CryptoError && error.code === code);
}

/** The fields of a signature, each of which a test may replace. */
interface Fields {
  readonly version?: number;
  readonly key: Uint8Array;
  readonly namespace?: string;
  readonly reserved?: string;
  readonly algorithm?: string;
  readonly signature: Uint8Array;
  readonly trailing?: Uint8Array;
}

function assemble(fields: Fields): string {
  return armor(
    LABEL,
    concatBytes(
      utf8('SSHSIG'),
      u32be(fields.version ?? 1),
      sshString(fields.key),
      sshString(fields.namespace ?? NAMESPACE),
      sshString(fields.reserved ?? ''),
      sshString(fields.algorithm ?? 'sha512'),
      sshString(fields.signature),
      fields.trailing ?? new Uint8Array(0),
    ),
  );
}

function signedData(namespace: string, algorithm: 'sha256' | 'sha512', reserved = ''): Uint8Array {
  const digest = hash(algorithm, MESSAGE, 'buffer');
  return concatBytes(utf8('SSHSIG'), ...[namespace, reserved, algorithm, digest].map(sshString));
}

const verify = (signature: string, message = MESSAGE, namespace = NAMESPACE) =>
  verifySshSignature({ message, signature, namespace });

describe('signatures made by ssh-keygen -Y sign', () => {
  const message = utf8(vectors.message);
  const supported = vectors.signatures.filter(({ key }) => !key.startsWith('ssh-rsa'));

  for (const { key, hash: algorithm, signature } of supported) {
    it(`${key.split(' ')[0]} with ${algorithm} verifies, and only as it is`, () => {
      const signer = verify(signature, message, vectors.namespace);
      const { type, blob } = parseSshPublicKey(key);
      assert.deepEqual(signer, { type, blob });
      assertCode(() => verify(signature, utf8(`${vectors.message} `), vectors.namespace), 'not_authentic');
      assertCode(() => verify(signature, message, 'file'), 'not_authentic');
      assert.deepEqual(verify(signature.replaceAll('\n', '\r\n'), message, vectors.namespace), signer);
      const bytes = dearmor(LABEL, signature);
      fc.assert(
        fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (index, mask) => {
          const changed = Uint8Array.from(bytes);
          changed[index] = (changed[index] as number) ^ mask;
          assert.throws(() => verify(armor(LABEL, changed), message, vectors.namespace), CryptoError);
        }),
        { numRuns: 120 },
      );
    });
  }

  it('there are eight of them: four keys, two hashes', () => assert.equal(supported.length, 8));

  it('by RSA, or by a certificate, are refused', () => {
    for (const { signature } of vectors.signatures.filter(({ key }) => key.startsWith('ssh-rsa'))) {
      assertCode(() => verify(signature, message, vectors.namespace), 'unsupported');
    }
    assertCode(() => verify(vectors.certificateSignature, message, vectors.namespace), 'unsupported');
  });

  it('ours by the same key and hash are the same bytes: Ed25519 is deterministic', () => {
    const pair = parseSshPrivateKey(vectors.privateKeys.ed25519);
    const theirs = vectors.signatures.find(({ key, hash }) => key.startsWith('ssh-ed25519') && hash === 'sha512');
    assert.equal(signSshSignature({ message, namespace: vectors.namespace, ...pair }), theirs?.signature);
  });
});

describe('the form of a signature', () => {
  const { publicKey, privateKey } = generateEd25519();
  const key = sshPublicKeyOf(publicKey).blob;
  const raw = signEd25519(privateKey, signedData(NAMESPACE, 'sha512'));
  const signature = concatBytes(sshString('ssh-ed25519'), sshString(raw));

  it('the helper of these tests makes a good one', () =>
    assert.deepEqual(verify(assemble({ key, signature })).blob, key));

  for (const [why, fields, code] of [
    ['another version', { version: 2 }, 'unsupported'],
    ['version 0', { version: 0 }, 'unsupported'],
    ['trailing bytes', { trailing: Uint8Array.of(0) }, 'malformed'],
    ['a hash that is not SHA-2', { algorithm: 'sha1' }, 'unsupported'],
    ['another hash than was signed', { algorithm: 'sha256' }, 'not_authentic'],
    ['SHA-384', { algorithm: 'sha384' }, 'unsupported'],
    ['another namespace', { namespace: 'file' }, 'not_authentic'],
    ['a namespace that begins alike', { namespace: `${NAMESPACE}2` }, 'not_authentic'],
    ['an empty namespace', { namespace: '' }, 'not_authentic'],
    ['a reserved field that was not signed', { reserved: 'x' }, 'unsupported'],
    ['bytes after the signature', { signature: concatBytes(signature, Uint8Array.of(0)) }, 'malformed'],
    ['a signature of another type', { signature: concatBytes(sshString('ssh-rsa'), sshString(raw)) }, 'malformed'],
    [
      'a signature that is too short',
      { signature: concatBytes(sshString('ssh-ed25519'), sshString(raw.subarray(1))) },
      'not_authentic',
    ],
    ['no signature', { signature: new Uint8Array(0) }, 'malformed'],
    ['a weak key', { key: concatBytes(sshString('ssh-ed25519'), sshString(new Uint8Array(32))) }, 'weak_key'],
    ['another key', { key: sshPublicKeyOf(generateEd25519().publicKey).blob }, 'not_authentic'],
  ] as const) {
    it(`refuses ${why}`, () => assertCode(() => verify(assemble({ key, signature, ...fields })), code));
  }

  it('refuses a reserved field even when it was signed', () => {
    const signed = signEd25519(privateKey, signedData(NAMESPACE, 'sha512', 'x'));
    const blob = concatBytes(sshString('ssh-ed25519'), sshString(signed));
    assertCode(() => verify(assemble({ key, signature: blob, reserved: 'x' })), 'unsupported');
  });

  it('refuses a signature over the message itself, without the envelope', () => {
    const bare = concatBytes(sshString('ssh-ed25519'), sshString(signEd25519(privateKey, MESSAGE)));
    assertCode(() => verify(assemble({ key, signature: bare })), 'not_authentic');
  });

  it('refuses other armor', () => {
    const good = assemble({ key, signature });
    assert.deepEqual(verify(` \n${good}\n`).blob, key);
    const bad = [
      '',
      'x',
      `x\n${good}`,
      `${good}x`,
      `${good}${good}`,
      good.replace('END', 'BEGIN'),
      good.replaceAll('SSH', 'PGP'),
    ];
    bad.push(good.replace('\nU1NI', '\nU1NI '), good.replace(/.(?=\n-----END)/, ''), 'x'.repeat(20_000));
    for (const text of bad) assertCode(() => verify(text), 'malformed');
  });

  it('an empty namespace is a bug of the caller, signing and verifying', () => {
    const good = assemble({ key, signature });
    assert.throws(() => verify(good, MESSAGE, ''), TypeError);
    const input = { message: MESSAGE, namespace: '', privateKey, publicKey: sshPublicKeyOf(publicKey) };
    assert.throws(() => signSshSignature(input), TypeError);
  });

  it('arbitrary bytes let only CryptoError out', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, headed) => {
        const blob = headed ? concatBytes(utf8('SSHSIG'), u32be(1), bytes) : bytes;
        assert.throws(() => verify(armor(LABEL, blob)), CryptoError);
      }),
    );
    fc.assert(fc.property(fc.string({ unit: codeUnit }), (text) => assert.throws(() => verify(text), CryptoError)));
  });
});

describe('security keys (sk-ssh-ed25519)', () => {
  const type = 'sk-ssh-ed25519@openssh.com';
  const { publicKey, privateKey } = generateEd25519();
  const keyFor = (application: string) => concatBytes(sshString(type), sshString(publicKey), sshString(application));

  /** What the device does: PROTOCOL.u2f, "SSH U2F signatures". */
  function device(flags: number, counter: number, application = 'ssh:', shown = flags): Uint8Array {
    const data = sha256(signedData(NAMESPACE, 'sha512'));
    const signed = concatBytes(sha256(application), Uint8Array.of(flags), u32be(counter), data);
    const raw = signEd25519(privateKey, signed);
    return concatBytes(sshString(type), sshString(raw), Uint8Array.of(shown), u32be(counter));
  }

  it('verify when touched, with and without a PIN', () => {
    for (const flags of [0x01, 0x05]) {
      const signer = verify(assemble({ key: keyFor('ssh:'), signature: device(flags, 7) }));
      assert.equal(signer.type, type);
    }
    verify(assemble({ key: keyFor('ssh:fleet'), signature: device(1, 0xffffffff, 'ssh:fleet') }));
  });

  it('are refused when nobody touched the key, also when the flag was added afterwards', () => {
    assertCode(() => verify(assemble({ key: keyFor('ssh:'), signature: device(0x00, 7) })), 'not_authentic');
    assertCode(() => verify(assemble({ key: keyFor('ssh:'), signature: device(0x04, 7) })), 'not_authentic');
    assertCode(
      () => verify(assemble({ key: keyFor('ssh:'), signature: device(0x00, 7, 'ssh:', 0x01) })),
      'not_authentic',
    );
  });

  it('are bound to application and counter', () => {
    assertCode(() => verify(assemble({ key: keyFor('ssh:b'), signature: device(1, 7, 'ssh:a') })), 'not_authentic');
    const signature = Uint8Array.from(device(1, 7));
    signature[signature.length - 1] = 8;
    assertCode(() => verify(assemble({ key: keyFor('ssh:'), signature })), 'not_authentic');
  });

  it('of web applications, cut off or too long, are refused', () => {
    const web = assemble({ key: keyFor('https://example.com'), signature: device(1, 7, 'https://example.com') });
    assertCode(() => verify(web), 'unsupported');
    const signature = device(1, 7);
    assertCode(() => verify(assemble({ key: keyFor('ssh:'), signature: signature.subarray(0, -1) })), 'malformed');
    const longer = concatBytes(signature, Uint8Array.of(0));
    assertCode(() => verify(assemble({ key: keyFor('ssh:'), signature: longer })), 'malformed');
  });
});

describe('ECDSA numbers are read strictly', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const type = 'ecdsa-sha2-nistp256';
  const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(-65);
  const key = concatBytes(sshString(type), sshString('nistp256'), sshString(point));
  const [r, s] = halves(privateKey);
  const pack = (a: Uint8Array, b: Uint8Array, ...more: Uint8Array[]) =>
    assemble({
      key,
      signature: concatBytes(sshString(type), sshString(concatBytes(sshString(a), sshString(b), ...more))),
    });

  it('a good one verifies', () => assert.equal(verify(pack(mpint(r), mpint(s))).type, type));

  for (const [why, a, b] of [
    ['a leading zero that is not needed', concatBytes(Uint8Array.of(0), mpint(r)), mpint(s)],
    ['a negative number', Uint8Array.of(0x80, 1), mpint(s)],
    ['an empty number', new Uint8Array(0), mpint(s)],
    ['zero', Uint8Array.of(0), mpint(s)],
    ['a number that is longer than the curve', mpint(r), concatBytes(Uint8Array.of(1), new Uint8Array(32))],
  ] as const) {
    it(`refuses ${why}`, () => assertCode(() => verify(pack(a, b)), 'malformed'));
  }

  it('refuses bytes after s, numbers of the group order and above, and swapped numbers', () => {
    assertCode(() => verify(pack(mpint(r), mpint(s), Uint8Array.of(0))), 'malformed');
    const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex');
    assertCode(() => verify(pack(mpint(r), mpint(order))), 'not_authentic');
    assertCode(() => verify(pack(mpint(s), mpint(r))), 'not_authentic');
  });

  /** A signature whose r has its top bit set, so that its mpint has the padding byte. */
  function halves(signer: KeyObject): [Uint8Array, Uint8Array] {
    for (;;) {
      const raw = sign('sha256', signedData(NAMESPACE, 'sha512'), { key: signer, dsaEncoding: 'ieee-p1363' });
      if ((raw[0] as number) >= 0x80) return [raw.subarray(0, 32), raw.subarray(32)];
    }
  }

  function mpint(magnitude: Uint8Array): Uint8Array {
    const from = magnitude.findIndex((byte) => byte !== 0);
    const trimmed = magnitude.subarray(from);
    return (trimmed[0] as number) >= 0x80 ? concatBytes(Uint8Array.of(0), trimmed) : trimmed;
  }
});

describe('with ssh-keygen itself', { skip: noSshKeygen }, () => {
  it('it accepts what we sign, and refuses it under another namespace', (t: TestContext) => {
    const directory = temporary(t);
    const { publicKey, privateKey } = generateEd25519();
    const key = sshPublicKeyOf(publicKey);
    const signature = signSshSignature({ message: MESSAGE, namespace: NAMESPACE, privateKey, publicKey: key });
    writeFileSync(join(directory, 'signature'), signature);
    writeFileSync(join(directory, 'signers'), `operator ${formatSshPublicKey(key)}\n`);
    const check = (namespace: string) =>
      spawnSync('ssh-keygen', ['-Y', 'verify', '-f', 'signers', '-I', 'operator', '-n', namespace, '-s', 'signature'], {
        cwd: directory,
        input: MESSAGE,
      }).status;
    assert.equal(check(NAMESPACE), 0);
    assert.notEqual(check('file'), 0);
  });

  for (const options of [['ed25519'], ['ecdsa', '-b', '256'], ['ecdsa', '-b', '384'], ['ecdsa', '-b', '521']]) {
    it(`we accept what it signs with a new key: ${options.join(' ')}`, (t: TestContext) => {
      const directory = temporary(t);
      const path = join(directory, 'key');
      execFileSync('ssh-keygen', ['-q', '-t', ...options, '-N', '', '-C', 'me', '-f', path]);
      const line = readFileSync(`${path}.pub`, 'utf8');
      for (const algorithm of ['sha256', 'sha512']) {
        const args = ['-Y', 'sign', '-f', path, '-n', NAMESPACE, '-O', `hashalg=${algorithm}`];
        const made = execFileSync('ssh-keygen', args, { input: MESSAGE, stdio: ['pipe', 'pipe', 'ignore'] });
        assert.deepEqual(verify(made.toString()).blob, parseSshPublicKey(line).blob);
      }
    });
  }

  function temporary(t: TestContext): string {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-sshsig-'));
    t.after(() => rmSync(directory, { recursive: true }));
    return directory;
  }
});

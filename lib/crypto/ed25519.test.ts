import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, hash, verify as nodeVerify, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { hashes, verify as nobleVerify, Point } from '@noble/ed25519';
import fc from 'fast-check';
import {
  ed25519FromSpki,
  ed25519ToSpki,
  generateEd25519,
  parseEd25519PublicKey,
  privateKeyFromPem,
  privateKeyToPem,
  publicKeyOf,
  signEd25519,
  verifyEd25519,
} from './ed25519.ts';
import { createNodeBackend, type Ed25519Backend, nodeBackend, sodiumBackend } from './ed25519-backends.ts';
import { concatBytes, fromHex, toHex, utf8 } from './encoding.ts';
import { CryptoError } from './errors.ts';
import { generateP256 } from './x509.ts';

hashes.sha512 = (message: Uint8Array) => new Uint8Array(hash('sha512', message, 'buffer'));

const VECTORS = new URL('../../test/vectors/', import.meta.url);
const SPKI_PREFIX = fromHex('302a300506032b6570032100');
const L = Point.CURVE().n;
/** A message that all generated cases share. */
const MESSAGE = utf8('edge cases');
/** Every encoding, canonical or not, of the eight points of small order: seven y-coordinates with both signs. */
const SMALL_ORDER_ENCODINGS = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].flatMap((y) => {
  const negative = fromHex(y);
  negative[31] = (negative[31] as number) | 0x80;
  return [fromHex(y), negative];
});

type Verdict = { readonly sodium: boolean; readonly node: boolean; readonly noble: boolean };

/** The three independent implementations, called raw: without our checks and without our key parser. */
function verdicts(key: Uint8Array, message: Uint8Array, signature: Uint8Array): Verdict {
  const spki = Buffer.from(concatBytes(SPKI_PREFIX, key));
  return {
    sodium: requireSodium().verify(key, message, signature),
    node: attempt(() =>
      nodeVerify(null, message, createPublicKey({ key: spki, format: 'der', type: 'spki' }), signature),
    ),
    noble: attempt(() => nobleVerify(signature, message, key, { zip215: false })),
  };
}

function attempt(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}

/** What our own verifier says of raw bytes: the key must parse first. */
function accepts(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  return attempt(() => verifyEd25519(parseEd25519PublicKey(key), message, signature));
}

function requireSodium(): Ed25519Backend {
  assert.ok(sodiumBackend);
  return sodiumBackend;
}

function readVectors<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(path, VECTORS), 'utf8'));
}

const NO_SODIUM = sodiumBackend === undefined ? 'sodium-native has no binary for this platform' : false;

describe('Ed25519 published vectors', () => {
  it('RFC 8032 §7.1: signs and verifies as printed', () => {
    const vectors =
      readVectors<Record<'name' | 'secretKey' | 'publicKey' | 'message' | 'signature', string>[]>(
        'rfc8032/ed25519.json',
      );
    assert.equal(vectors.length, 4);
    for (const vector of vectors) {
      const der = concatBytes(fromHex('302e020100300506032b657004220420'), fromHex(vector.secretKey));
      const privateKey = createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
      assert.equal(toHex(publicKeyOf(privateKey)), vector.publicKey, vector.name);
      assert.equal(toHex(signEd25519(privateKey, fromHex(vector.message))), vector.signature, vector.name);
      assert.ok(accepts(fromHex(vector.publicKey), fromHex(vector.message), fromHex(vector.signature)), vector.name);
    }
  });

  it('Wycheproof: every implementation and our verifier say what the set says', { skip: NO_SODIUM }, () => {
    const set = readVectors<{
      numberOfTests: number;
      testGroups: { publicKey: { pk: string }; tests: { tcId: number; msg: string; sig: string; result: string }[] }[];
    }>('wycheproof/ed25519_test.json');
    const differences: string[] = [];
    let count = 0;
    for (const group of set.testGroups) {
      for (const test of group.tests) {
        const [key, message, signature] = [fromHex(group.publicKey.pk), fromHex(test.msg), fromHex(test.sig)];
        const expected = test.result === 'valid';
        assert.equal(accepts(key, message, signature), expected, `tcId ${test.tcId}`);
        if (signature.length === 64) {
          assert.equal(nodeBackend.verify(key, message, signature), expected, `portable, tcId ${test.tcId}`);
          const says = verdicts(key, message, signature);
          if (says.sodium !== expected || says.node !== expected || says.noble !== expected) {
            differences.push(`${test.tcId}: ${JSON.stringify(says)}`);
          }
        }
        count += 1;
      }
    }
    assert.equal(count, set.numberOfTests);
    assert.deepEqual(differences, []);
  });
});

/**
 * "Taming the many EdDSAs", Table 5, in the order of the file: what the key and R are, and who accepts. Noble's strict
 * mode multiplies by the cofactor, so it accepts what differs from a valid signature by a point of small order.
 */
const SPECCHECK: readonly { readonly what: string; readonly key: 'prime' | 'weak'; readonly accepting: string }[] = [
  { what: '0: S = 0, small-order A and R', key: 'weak', accepting: '' },
  { what: '1: small-order A, mixed-order R', key: 'weak', accepting: '' },
  { what: '2: mixed-order A, small-order R', key: 'weak', accepting: 'noble' },
  { what: '3: mixed-order A and R, both equations hold', key: 'weak', accepting: 'sodium node noble' },
  { what: '4: mixed-order A and R, only the cofactored equation holds', key: 'weak', accepting: 'noble' },
  { what: '5: mixed-order A, prime-order R, only the cofactored equation holds', key: 'weak', accepting: 'noble' },
  { what: '6: S above L', key: 'prime', accepting: '' },
  { what: '7: S far above L', key: 'prime', accepting: '' },
  { what: '8: non-canonical small-order R, reduced before hashing', key: 'weak', accepting: '' },
  { what: '9: non-canonical small-order R, hashed as it is', key: 'weak', accepting: '' },
  { what: '10: non-canonical small-order A, reduced before hashing', key: 'weak', accepting: '' },
  { what: '11: non-canonical small-order A, hashed as it is', key: 'weak', accepting: '' },
];

describe('Ed25519 edge cases: where implementations differ, we accept only what all of them accept', () => {
  const cases = readVectors<{ message: string; pub_key: string; signature: string }[]>('ed25519-speccheck/cases.json');

  it('has a verdict for each published case', () => assert.equal(cases.length, SPECCHECK.length));

  for (const [index, expected] of SPECCHECK.entries()) {
    it(`speccheck ${expected.what}`, { skip: NO_SODIUM }, () => {
      const vector = cases[index];
      assert.ok(vector);
      const [key, message, signature] = [fromHex(vector.pub_key), fromHex(vector.message), fromHex(vector.signature)];
      const says = verdicts(key, message, signature);
      const accepting = Object.entries(says).flatMap(([name, yes]) => (yes ? [name] : []));
      assert.equal(accepting.join(' '), expected.accepting);
      assert.equal(nodeBackend.verify(key, message, signature), says.sodium && says.node && says.noble);
      assert.equal(accepts(key, message, signature), false, 'our verifier refuses every one of them');
      if (expected.key === 'weak') assertWeak(key);
      else parseEd25519PublicKey(key);
    });
  }

  it('small-order keys: the signature that verifies every message is refused, by the parser and by both engines', () => {
    for (const key of SMALL_ORDER_ENCODINGS) {
      assertWeak(key);
      for (const r of SMALL_ORDER_ENCODINGS) {
        const signature = concatBytes(r, new Uint8Array(32));
        assert.equal(nodeBackend.verify(key, MESSAGE, signature), false, toHex(key));
        assert.equal(sodiumBackend?.verify(key, MESSAGE, signature) ?? false, false, toHex(key));
      }
    }
  });

  it('small-order R under a good key: refused even where the equation holds', () => {
    const { scalar, point } = secretScalar(7n);
    for (const r of SMALL_ORDER_ENCODINGS) {
      const s = modL(challenge(r, point.toBytes()) * scalar);
      const signature = concatBytes(r, scalarBytes(s));
      assert.equal(nodeBackend.verify(point.toBytes(), MESSAGE, signature), false, toHex(r));
      assert.equal(accepts(point.toBytes(), MESSAGE, signature), false, toHex(r));
    }
  });

  it('a small-order part in A or R, all 64 combinations: accepted only without one', { skip: NO_SODIUM }, () => {
    const torsion = torsionPoints();
    const counts = { sodium: 0, node: 0, noble: 0, ours: 0 };
    for (const partOfA of torsion) {
      for (const partOfR of torsion) {
        const { scalar, point } = secretScalar(11n);
        const nonce = secretScalar(13n);
        const key = point.add(partOfA).toBytes();
        const r = nonce.point.add(partOfR).toBytes();
        const s = modL(nonce.scalar + challenge(r, key) * scalar);
        const signature = concatBytes(r, scalarBytes(s));
        const says = verdicts(key, MESSAGE, signature);
        const clean = partOfA.is0() && partOfR.is0();
        assert.equal(says.sodium, says.node, 'libsodium and OpenSSL use the same equation');
        assert.equal(nodeBackend.verify(key, MESSAGE, signature), says.sodium);
        assert.equal(accepts(key, MESSAGE, signature), clean);
        if (!partOfA.is0()) assertWeak(key);
        for (const name of ['sodium', 'node', 'noble'] as const) counts[name] += Number(says[name]);
        counts.ours += Number(accepts(key, MESSAGE, signature));
      }
    }
    assert.equal(counts.noble, 64, 'noble multiplies the small-order parts away');
    assert.equal(counts.sodium, counts.node);
    assert.equal(counts.ours, 1);
  });

  it('S + L and S + 2L are refused: one signature has one encoding', () => {
    const { publicKey, privateKey } = generateEd25519();
    const signature = signEd25519(privateKey, MESSAGE);
    const s = littleEndian(signature.subarray(32));
    for (const factor of [1n, 2n]) {
      const malleable = concatBytes(signature.subarray(0, 32), scalarBytes(s + factor * L));
      assert.equal(verifyEd25519(publicKey, MESSAGE, malleable), false);
      assert.equal(nodeBackend.verify(publicKey, MESSAGE, malleable), false);
    }
  });
});

describe('Ed25519 checks of our own, before a verifier that accepts everything', () => {
  const lenient = createNodeBackend(() => true);
  const good = generateEd25519().publicKey;
  const rAndS = (r: Uint8Array, s: bigint) => concatBytes(r, scalarBytes(s));

  it('S is accepted up to L − 1 and refused from L on', () => {
    for (const s of [0n, 1n, L - 1n]) assert.ok(lenient.verify(good, MESSAGE, rAndS(good, s)), String(s));
    for (const s of [L, L + 1n, 2n * L, 2n ** 253n, 2n ** 255n, 2n ** 256n - 1n]) {
      assert.equal(lenient.verify(good, MESSAGE, rAndS(good, s)), false, String(s));
    }
  });

  it('y-coordinates are accepted below p and refused from p on, with both signs', () => {
    const p = Point.CURVE().p;
    for (const sign of [0n, 2n ** 255n]) {
      // p − 1 and 1 are small-order points, refused for that.
      for (const y of [2n, p - 2n]) assert.ok(lenient.verify(scalarBytes(y + sign), MESSAGE, rAndS(good, 1n)));
      for (const y of [p, p + 1n, p + 2n, p + 18n]) {
        assert.equal(lenient.verify(scalarBytes(y + sign), MESSAGE, rAndS(good, 1n)), false, String(y));
        assert.equal(lenient.verify(good, MESSAGE, rAndS(scalarBytes(y + sign), 1n)), false, String(y));
      }
    }
  });

  it('all 14 encodings of small-order points are refused, as key and as R', () => {
    assert.equal(new Set(SMALL_ORDER_ENCODINGS.map(toHex)).size, 14);
    for (const point of SMALL_ORDER_ENCODINGS) {
      assert.equal(lenient.verify(point, MESSAGE, rAndS(good, 1n)), false, toHex(point));
      assert.equal(lenient.verify(good, MESSAGE, rAndS(point, 1n)), false, toHex(point));
    }
    const canonical = new Set(torsionPoints().map((point) => point.toHex()));
    assert.equal(canonical.size, 8);
    for (const hex of canonical)
      assert.ok(
        SMALL_ORDER_ENCODINGS.some((point) => toHex(point) === hex),
        hex,
      );
  });
});

describe('Ed25519 keys', () => {
  it('refuses keys of another length as malformed', () => {
    for (const length of [0, 31, 33, 64]) assertCode(() => parseEd25519PublicKey(new Uint8Array(length)), 'malformed');
  });

  it('refuses a y-coordinate that is on no point of the curve', () => {
    assertWeak(fromHex(`02${'00'.repeat(31)}`));
    assert.equal(nodeBackend.isPrimeOrderPoint(fromHex(`02${'00'.repeat(31)}`)), false);
  });

  it('both engines agree about arbitrary points, and about good ones', { skip: NO_SODIUM }, () => {
    const sodium = requireSodium();
    const arbitrary = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(arbitrary, (bytes) => sodium.isPrimeOrderPoint(bytes) === nodeBackend.isPrimeOrderPoint(bytes)),
      { numRuns: 60 },
    );
    const { publicKey } = generateEd25519();
    assert.ok(nodeBackend.isPrimeOrderPoint(publicKey) && sodium.isPrimeOrderPoint(publicKey));
    for (const point of SMALL_ORDER_ENCODINGS) {
      assert.ok(!nodeBackend.isPrimeOrderPoint(point) && !sodium.isPrimeOrderPoint(point), toHex(point));
    }
  });

  it('keeps its own copy of the bytes it parsed', () => {
    const bytes = Uint8Array.from(generateEd25519().publicKey);
    const key = parseEd25519PublicKey(bytes);
    const before = toHex(key);
    bytes.fill(0);
    assert.equal(toHex(key), before);
  });

  it('round-trips SubjectPublicKeyInfo and refuses every other one', () => {
    const { publicKey } = generateEd25519();
    const spki = ed25519ToSpki(publicKey);
    assert.deepEqual(ed25519FromSpki(spki), publicKey);
    assertCode(() => ed25519FromSpki(concatBytes(spki, Uint8Array.of(0))), 'malformed');
    assertCode(() => ed25519FromSpki(spki.subarray(1)), 'malformed');
    assertCode(() => ed25519FromSpki(generateP256().publicKeySpki), 'malformed');
    assertCode(() => ed25519FromSpki(concatBytes(SPKI_PREFIX, new Uint8Array(32))), 'weak_key');
  });

  it('round-trips PEM, refuses another kind of key and text that is none', () => {
    const { privateKey, publicKey } = generateEd25519();
    assert.deepEqual(publicKeyOf(privateKeyFromPem(privateKeyToPem(privateKey))), publicKey);
    const p256 = privateKeyToPem(generateP256().privateKey);
    assertCode(() => privateKeyFromPem(p256), 'unsupported');
    assert.equal(privateKeyFromPem(p256, 'p256').asymmetricKeyType, 'ec');
    assertCode(() => privateKeyFromPem('hello'), 'malformed');
    assertCode(() => privateKeyFromPem(privateKeyToPem(privateKey).slice(0, 60)), 'malformed');
  });

  it('signing with another kind of key is a bug of the caller', () => {
    assert.throws(() => signEd25519(generateP256().privateKey, MESSAGE), TypeError);
  });
});

describe('Ed25519 properties', () => {
  const { publicKey, privateKey } = generateEd25519();

  it('any flipped bit of key, message or signature fails, in both engines', () => {
    const signature = signEd25519(privateKey, MESSAGE);
    assert.ok(verifyEd25519(publicKey, MESSAGE, signature) && nodeBackend.verify(publicKey, MESSAGE, signature));
    const all = concatBytes(publicKey, signature, MESSAGE);
    fc.assert(
      fc.property(fc.nat(all.length * 8 - 1), (bit) => {
        const changed = Uint8Array.from(all);
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
        const [key, sig, message] = [changed.subarray(0, 32), changed.subarray(32, 96), changed.subarray(96)];
        assert.equal(accepts(key, message, sig), false);
        assert.equal(nodeBackend.verify(key, message, sig), false);
      }),
      { numRuns: 300 },
    );
  });

  it('arbitrary bytes never verify and never throw, whatever their length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 130 }), fc.uint8Array({ maxLength: 40 }), (signature, message) => {
        assert.equal(verifyEd25519(publicKey, message, signature), false);
      }),
    );
    const longer = concatBytes(signEd25519(privateKey, MESSAGE), Uint8Array.of(0));
    assert.equal(verifyEd25519(publicKey, MESSAGE, longer), false);
    assert.equal(verifyEd25519(publicKey, MESSAGE, longer.subarray(0, 63)), false);
  });

  it('verifies views into larger buffers and empty messages', () => {
    const message = concatBytes(utf8('pad'), MESSAGE).subarray(3);
    const signature = concatBytes(Uint8Array.of(1), sign(null, message, privateKey)).subarray(1);
    assert.ok(verifyEd25519(publicKey, message, signature));
    assert.ok(verifyEd25519(publicKey, new Uint8Array(0), signEd25519(privateKey, new Uint8Array(0))));
  });
});

function assertWeak(key: Uint8Array): void {
  assertCode(() => parseEd25519PublicKey(key), 'weak_key');
}

function assertCode(action: () => unknown, code: string): void {
  assert.throws(action, (error) => error instanceof CryptoError && error.code === code);
}

/** A key pair with a chosen scalar: signatures of any shape can be made with it. */
function secretScalar(scalar: bigint): { readonly scalar: bigint; readonly point: Point } {
  return { scalar, point: Point.BASE.multiply(scalar) };
}

/** k of RFC 8032 §5.1.7 step 2. */
function challenge(r: Uint8Array, key: Uint8Array): bigint {
  return littleEndian(hash('sha512', concatBytes(r, key, MESSAGE), 'buffer')) % L;
}

/** The eight points of small order: the multiples of one of order 8. */
function torsionPoints(): Point[] {
  const generator = Point.fromHex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05');
  const points = [Point.ZERO];
  while (points.length < 8) points.push((points.at(-1) as Point).add(generator));
  return points;
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(Uint8Array.from(bytes).reverse())}`);
}

function scalarBytes(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, '0')).reverse();
}

function modL(value: bigint): bigint {
  return value % L;
}

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { createOperator, day, manifestBytes, noon, policyError, temporaryDirectory } from '../../test/fakes/policy.ts';
import { sha256Hex } from '../crypto/digest.ts';
import { generateEd25519 } from '../crypto/ed25519.ts';
import { utf8 } from '../crypto/encoding.ts';
import { formatSshPublicKey, sshPublicKeyOf } from '../crypto/ssh-key.ts';
import { signRelease } from './sign.ts';
import { type VerifyInput, verifyBlob, verifyRelease } from './verify.ts';

const [alice, bob, mallory] = [createOperator(), createOperator(), createOperator()];
const bytes = manifestBytes({ number: 5, previous: 'a'.repeat(64) });
const trust = { fleet: 'demo', operators: { threshold: 2, keys: [alice.line, bob.line] } };
const good: VerifyInput = { manifest: bytes, signatures: [alice.sign(bytes), bob.sign(bytes)], trust, now: noon };
const withKeys = (threshold: number, keys: readonly string[]) => ({ ...trust, operators: { threshold, keys } });

/** The same release, signed by both, with another content. */
function signed(change: Parameters<typeof manifestBytes>[0]): VerifyInput {
  const manifest = manifestBytes({ number: 5, previous: 'a'.repeat(64), ...change });
  return { ...good, manifest, signatures: [alice.sign(manifest), bob.sign(manifest)] };
}

test('a release signed by enough operators is taken, with its signers', () => {
  const release = verifyRelease(good);
  assert.equal(release.manifest.number, 5);
  assert.equal(release.digest, sha256Hex(bytes));
  assert.equal(release.signers.length, 2);
});

test('signatures of strangers do not count, and are not kept', () => {
  const release = verifyRelease({ ...good, signatures: [mallory.sign(bytes), ...good.signatures] });
  assert.deepEqual(release.signatures, good.signatures);
});

test('the held release again, its successor, and one after a gap are taken', () => {
  for (const held of [
    { number: 5, digest: sha256Hex(bytes) },
    { number: 4, digest: 'a'.repeat(64) },
    { number: 2, digest: 'f'.repeat(64) },
  ]) {
    assert.equal(verifyRelease({ ...good, held }).manifest.number, 5);
  }
});

const edited = (text: string, from: string, to: string) => utf8(text.replace(from, to));
const text = Buffer.from(bytes).toString();
const refusals: readonly (readonly [string, Parameters<typeof policyError>[0], VerifyInput])[] = [
  ['no signature', 'unsigned', { ...good, signatures: [] }],
  ['one of two required signers', 'too_few_signers', { ...good, signatures: good.signatures.slice(0, 1) }],
  [
    'one signer twice (incident 43)',
    'too_few_signers',
    { ...good, signatures: [alice.sign(bytes), alice.sign(bytes)] },
  ],
  [
    'a stranger as the second signer',
    'too_few_signers',
    { ...good, signatures: [alice.sign(bytes), mallory.sign(bytes)] },
  ],
  ['only strangers', 'unknown_signer', { ...good, signatures: [mallory.sign(bytes)] }],
  ['a signature over other bytes', 'bad_signature', { ...good, signatures: [alice.sign(utf8('x')), bob.sign(bytes)] }],
  [
    'a broken signature beside enough good ones',
    'bad_signature',
    { ...good, signatures: [...good.signatures, 'nonsense'] },
  ],
  ['a signature for files', 'wrong_namespace', { ...good, signatures: [alice.sign(bytes, 'file'), bob.sign(bytes)] }],
  [
    'a signature for a similar namespace',
    'wrong_namespace',
    { ...good, signatures: [alice.sign(bytes, 'holdfast-release '), bob.sign(bytes)] },
  ],
  ['65 signatures', 'too_many_signatures', { ...good, signatures: Array(65).fill(good.signatures[0]) }],
  ['an endless signature', 'malformed', { ...good, signatures: ['x'.repeat(5000)] }],
  ['an altered manifest', 'bad_signature', { ...good, manifest: edited(text, '"number":5', '"number":6') }],
  ['a cut manifest', 'bad_signature', { ...good, manifest: bytes.subarray(0, -1) }],
  ['a huge manifest', 'malformed', { ...good, manifest: new Uint8Array(300 * 1024) }],
  ['another fleet', 'wrong_fleet', signed({ fleet: 'other' })],
  ['a lower number (incident 44)', 'rollback', { ...good, held: { number: 6, digest: 'b'.repeat(64) } }],
  ['the same number with other bytes', 'equivocation', { ...good, held: { number: 5, digest: 'b'.repeat(64) } }],
  ['the next number without the chain', 'broken_chain', { ...good, held: { number: 4, digest: 'b'.repeat(64) } }],
  ['an expired release', 'expired', { ...good, now: noon + 90 * day }],
  ['a release of the far future', 'not_yet_valid', { ...good, now: noon - 5 * 60_000 - 1 }],
  [
    'an older release that expired as well',
    'rollback',
    { ...good, now: noon + 91 * day, held: { number: 6, digest: 'b'.repeat(64) } },
  ],
  ['a threshold of 0 (incident 43)', 'bad_trust', { ...good, trust: withKeys(0, [alice.line, bob.line]) }],
  ['a threshold of -1', 'bad_trust', { ...good, trust: withKeys(-1, [alice.line]) }],
  ['a threshold of 1.5', 'bad_trust', { ...good, trust: withKeys(1.5, [alice.line, bob.line]) }],
  ['a threshold that is no number', 'bad_trust', { ...good, trust: withKeys(Number.NaN, [alice.line]) }],
  ['a threshold above the number of keys', 'bad_trust', { ...good, trust: withKeys(3, [alice.line, bob.line]) }],
  ['a key listed twice', 'bad_trust', { ...good, trust: withKeys(2, [alice.line, alice.line]) }],
  [
    'a key listed twice below a threshold of one',
    'bad_trust',
    { ...good, trust: withKeys(1, [alice.line, alice.line]) },
  ],
  ['no key (incident 46)', 'bad_trust', { ...good, trust: withKeys(1, []) }],
  ['a cut key (incident 46)', 'bad_trust', { ...good, trust: withKeys(2, [alice.line.slice(0, 40), bob.line]) }],
  ['a swapped key (incident 46)', 'too_few_signers', { ...good, trust: withKeys(2, [alice.line, mallory.line]) }],
  ['both keys swapped', 'unknown_signer', { ...good, trust: withKeys(1, [mallory.line]) }],
  ['no fleet to compare with', 'bad_trust', { ...good, trust: { ...trust, fleet: '' } }],
  ['a held number that was lost (incident 42)', 'bad_trust', { ...good, held: { number: 0, digest: 'a'.repeat(64) } }],
  ['a held number that is no number', 'bad_trust', { ...good, held: { number: Number.NaN, digest: 'a'.repeat(64) } }],
  ['a held digest that was lost', 'bad_trust', { ...good, held: { number: 4, digest: '' } }],
  ['a clock without time', 'bad_trust', { ...good, now: Number.NaN }],
];
for (const [what, code, input] of refusals) {
  test(`${what} is refused as ${code}`, () => {
    assert.throws(() => verifyRelease(input), policyError(code));
  });
}

test('signed bytes that are no manifest are refused as malformed', () => {
  for (const manifest of [
    utf8('{}'),
    utf8(text.replace('"v":1', '"v":2')),
    utf8(`${text} `),
    utf8(text.replace('"v":1', '"u":1,"v":1')),
  ]) {
    const signatures = [alice.sign(manifest), bob.sign(manifest)];
    assert.throws(() => verifyRelease({ ...good, manifest, signatures }), policyError('malformed'));
  }
});

test('the edges of its time: created exactly 5 minutes ahead is taken, the last millisecond too', () => {
  verifyRelease({ ...good, now: noon - 5 * 60_000 });
  verifyRelease({ ...good, now: noon + 90 * day - 1 });
});

test('changing any one byte of the manifest is refused', () => {
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (index, flip) => {
      const manifest = Uint8Array.from(bytes);
      manifest[index] = (manifest[index] as number) ^ flip;
      assert.throws(() => verifyRelease({ ...good, manifest }), policyError('bad_signature'));
    }),
    { numRuns: 200 },
  );
});

test('changing any one character of a signature leaves it out or refuses it', () => {
  const signature = good.signatures[0] as string;
  fc.assert(
    fc.property(fc.nat(signature.length - 1), fc.constantFrom(...'AZaz09+/=-\n '), (index, character) => {
      const changed = signature.slice(0, index) + character + signature.slice(index + 1);
      fc.pre(changed.replace(/\s/g, '') !== signature.replace(/\s/g, ''));
      assert.throws(() => verifyRelease({ ...good, signatures: [changed, good.signatures[1] as string] }), {
        name: 'PolicyError',
      });
    }),
    { numRuns: 300 },
  );
});

test('a blob is compared with the digest that names it', () => {
  verifyBlob(sha256Hex('content'), utf8('content'));
  assert.throws(() => verifyBlob(sha256Hex('content'), utf8('Content')), policyError('altered_blob'));
  assert.throws(() => verifyBlob(sha256Hex('content'), utf8('')), policyError('altered_blob'));
});

test('what signRelease signs verifies, and only manifests are signed', () => {
  const { publicKey, privateKey } = generateEd25519();
  const key = { privateKey, publicKey: sshPublicKeyOf(publicKey, 'x') };
  const trusted = withKeys(1, [formatSshPublicKey(key.publicKey)]);
  verifyRelease({ ...good, signatures: [signRelease(bytes, key)], trust: trusted });
  assert.throws(() => signRelease(utf8('{"v":1}'), key), policyError('malformed'));
});

type Vector = { key: string; fingerprint: string; namespace: string; signature: string };
const vectors: { manifest: string; signatures: Vector[] } = JSON.parse(
  readFileSync(new URL('./vectors/ssh-keygen-release.json', import.meta.url), 'utf8'),
);
for (const { key, fingerprint, namespace, signature } of vectors.signatures) {
  test(`ssh-keygen's signature by ${key.split(' ')[0]} for "${namespace}"`, () => {
    const input = { manifest: utf8(vectors.manifest), signatures: [signature], trust: withKeys(1, [key]), now: noon };
    if (namespace === 'holdfast-release') assert.deepEqual(verifyRelease(input).signers, [fingerprint]);
    else assert.throws(() => verifyRelease(input), policyError('wrong_namespace'));
  });
}

test('what an installed ssh-keygen signs verifies', async (t) => {
  if (spawnSync('ssh-keygen', ['-?']).error !== undefined)
    return t.skip('ssh-keygen is not installed: only the fixed vectors were checked');
  const root = await temporaryDirectory(t);
  const key = join(root, 'key');
  await writeFile(join(root, 'manifest.json'), bytes);
  assert.equal(spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]).status, 0);
  const sign = spawnSync('ssh-keygen', [
    '-Y',
    'sign',
    '-n',
    'holdfast-release',
    '-f',
    key,
    join(root, 'manifest.json'),
  ]);
  assert.equal(sign.status, 0, sign.stderr.toString());
  const signatures = [readFileSync(join(root, 'manifest.json.sig'), 'utf8')];
  verifyRelease({ ...good, signatures, trust: withKeys(1, [readFileSync(`${key}.pub`, 'utf8').trim()]) });
});

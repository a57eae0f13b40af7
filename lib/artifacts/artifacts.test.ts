/** Signed manifests: what they are to the byte, and everything that is refused about one. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { signByAll } from '../../build/manifest.ts';
import { createArtifactSigner } from '../../test/fakes/artifacts.ts';
import { privateKeyFromPem, publicKeyOf } from '../crypto/ed25519.ts';
import { parseNote } from '../crypto/note.ts';
import { ArtifactError } from './errors.ts';
import { type ArtifactKeys, formatKeys, parseKeys } from './keys.ts';
import { type ArtifactManifest, formatManifest, parseManifest } from './manifest.ts';
import { followKeys } from './rotation.ts';
import { verifyManifest } from './verify.ts';
import { compareVersions, parseVersion } from './version.ts';

const golden = JSON.parse(readFileSync(new URL('./golden.json', import.meta.url), 'utf8'));
const [a, b, c] = ['a', 'b', 'c'].map((name) => createArtifactSigner(name)) as [Signer, Signer, Signer];
type Signer = ReturnType<typeof createArtifactSigner>;

const manifest: ArtifactManifest = {
  kind: 'agent',
  name: 'holdfast-agent',
  version: parseVersion('1.4.0'),
  platform: 'linux-x64',
  notAfter: Date.parse('2031-05-01T00:00:00Z'),
  files: [
    { path: 'bin/holdfast-agent', size: 5, sha256: '11'.repeat(32) },
    { path: 'main.mjs', size: 7, sha256: '22'.repeat(32) },
  ],
};
const expected = { kind: 'agent', name: 'holdfast-agent', platform: 'linux-x64' } as const;
const now = Date.parse('2030-01-01T00:00:00Z');
const list = (threshold: number, ...signers: Signer[]): ArtifactKeys => ({
  number: 1,
  threshold,
  keys: signers.map(({ key }) => key),
});

const refused = (code: string) => (error: unknown) => error instanceof ArtifactError && error.code === code;

describe('an artifact manifest', () => {
  it('is, with its signature, the bytes of the golden file', async () => {
    const privateKey = privateKeyFromPem(golden.privateKey);
    const signer = createArtifactSigner('release-a', { privateKey, publicKey: publicKeyOf(privateKey) });
    assert.equal(formatKeys(list(1, signer)), golden.keys);
    assert.equal(await signByAll(formatManifest(manifest), [signer]), golden.manifest);
    assert.deepEqual(verifyManifest(golden.manifest, parseKeys(golden.keys), expected, now), manifest);
  });

  it('has one encoding: whatever parses, formats to the same text', () => {
    const text = formatManifest(manifest);
    fc.assert(
      fc.property(
        fc.nat(text.length - 1),
        fc.string({ minLength: 0, maxLength: 2, unit: 'binary-ascii' }),
        (at, put) => {
          const changed = text.slice(0, at) + put + text.slice(at + 1);
          try {
            assert.equal(formatManifest(parseManifest(changed)), changed);
          } catch (error) {
            assert.ok(refused('malformed')(error), String(error));
          }
        },
      ),
    );
  });

  const lines = formatManifest(manifest).split('\n');
  const variants: Record<string, string> = {
    'a line too few': lines.toSpliced(3, 1).join('\n'),
    'two lines swapped': lines.toSpliced(2, 2, lines[3]!, lines[2]!).join('\n'),
    'files out of order': lines.toSpliced(7, 2, lines[8]!, lines[7]!).join('\n'),
    'a file twice': lines.toSpliced(8, 1, lines[7]!).join('\n'),
    'a size that is not the sum': lines.join('\n').replace('size 12', 'size 13'),
    'a path that leads out': lines.join('\n').replace('main.mjs', '../main.mjs'),
    'an absolute path': lines.join('\n').replace('main.mjs', '/main.mjs'),
    'a path with a dot name': lines.join('\n').replace('main.mjs', 'x/./main.mjs'),
    'a backslash': lines.join('\n').replace('main.mjs', 'x\\main.mjs'),
    'a day that does not exist': lines.join('\n').replace('2031-05-01', '2031-02-30'),
    'another kind': lines.join('\n').replace('kind agent', 'kind demon'),
    'build metadata': lines.join('\n').replace('1.4.0', '1.4.0+7'),
    'no files': `${lines.slice(0, 6).join('\n')}\nsize 0\n`,
    'another format': lines.join('\n').replace('/v1', '/v2'),
    'no last line feed': lines.join('\n').slice(0, -1),
  };
  for (const [name, text] of Object.entries(variants)) {
    it(`with ${name} is malformed`, () => assert.throws(() => parseManifest(text), refused('malformed')));
  }
});

describe('R33 a signed manifest is refused', () => {
  const text = formatManifest(manifest);
  const verify = (
    note: string | undefined,
    keys: ArtifactKeys,
    at = now,
    what: Parameters<typeof verifyManifest>[2] = expected,
  ) => verifyManifest(note, keys, what, at);

  it('when it is absent, empty, cut at any byte or has any byte changed', async () => {
    const note = await signByAll(text, [a]);
    verify(note, list(1, a));
    assert.throws(() => verify(undefined, list(1, a)), refused('missing'));
    assert.throws(() => verify('', list(1, a)), refused('malformed'));
    const bytes = Buffer.from(note);
    for (let at = 0; at < bytes.length; at += 1) {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1;
      assert.throws(() => verifyManifest(flipped, list(1, a), expected, now), ArtifactError, `byte ${at}`);
      assert.throws(() => verifyManifest(bytes.subarray(0, at), list(1, a), expected, now), ArtifactError, `cut ${at}`);
    }
  });

  it('when another key signed it, also one with the same name', async () => {
    assert.throws(() => verify('holdfast\n\n', list(1, a)), refused('malformed'));
    const note = await signByAll(text, [b]);
    assert.throws(() => verify(note, list(1, a)), refused('wrong_key'));
    const same = await signByAll(text, [createArtifactSigner('a')]);
    assert.throws(() => verify(same, list(1, a)), refused('wrong_key'));
  });

  it('when the signature is of another text', async () => {
    const other = parseNote(await signByAll(text.replace('1.4.0', '1.3.0'), [a]));
    const note = `${text}\n${(await signByAll(text.replace('1.4.0', '1.3.0'), [a])).slice(other.text.length + 1)}`;
    assert.throws(() => verify(note, list(1, a)), refused('altered'));
  });

  it('when too few of the keys signed, and one key counts once', async () => {
    const two = list(2, a, b, c);
    verify(await signByAll(text, [a, c]), two);
    const one = await signByAll(text, [a]);
    assert.throws(() => verify(one, two), refused('too_few_signers'));
    const line = one.slice(text.length + 1);
    assert.throws(() => verify(`${one}${line}`, two), refused('too_few_signers'));
    // A second name for the same key makes no second key.
    const alias = a.key.replace('a+', 'z+');
    assert.throws(
      () => parseKeys(`holdfast-artifact-keys/v1\nnumber 1\nthreshold 2\nkey ${a.key}\nkey ${alias}\n`),
      refused('malformed'),
    );
    assert.throws(() => verify(one, { number: 1, threshold: 0, keys: [a.key] }), refused('malformed'));
    assert.throws(() => verify(one, { number: 1, threshold: 2, keys: [a.key] }), refused('malformed'));
    assert.throws(() => verify(one, { number: 1, threshold: 1, keys: [] }), refused('malformed'));
  });

  it('when it is of another thing, for another platform, or its day has come', async () => {
    const note = await signByAll(text, [a]);
    const keys = list(1, a);
    assert.throws(() => verify(note, keys, now, { ...expected, kind: 'server' }), refused('wrong_artifact'));
    assert.throws(() => verify(note, keys, now, { ...expected, name: 'other' }), refused('wrong_artifact'));
    assert.throws(() => verify(note, keys, now, { ...expected, platform: 'linux-arm64' }), refused('wrong_platform'));
    verify(note, keys, manifest.notAfter - 1);
    assert.throws(() => verify(note, keys, manifest.notAfter), refused('expired'));
    const any = await signByAll(formatManifest({ ...manifest, platform: 'any' }), [a]);
    verify(any, keys, now, { ...expected, platform: 'plan9-x64' });
  });
});

describe('a rotation of artifact keys', () => {
  const first = list(2, a, b);
  const next: ArtifactKeys = { number: 2, threshold: 1, keys: [c.key] };
  const text = formatKeys(next);

  it('is followed when the old threshold and the new one signed it', async () => {
    const note = await signByAll(text, [a, b, c]);
    assert.deepEqual(followKeys(first, [note]), next);
    assert.deepEqual(followKeys(next, [note]), next, 'history is skipped');
    const third: ArtifactKeys = { ...first, number: 3 };
    const back = await signByAll(formatKeys(third), [c, a, b]);
    assert.deepEqual(followKeys(first, [note, back]), third);
    assert.throws(() => followKeys(first, [back]), refused('not_next'));
  });

  it('is refused when either threshold is missing, or it was altered', async () => {
    for (const [signers, code] of [
      [[a, c], 'too_few_signers'],
      [[c], 'wrong_key'],
      [[a, b], 'wrong_key'],
    ] as const) {
      const note = await signByAll(text, signers);
      assert.throws(() => followKeys(first, [note]), refused(code));
    }
    const note = await signByAll(text, [a, b, c]);
    assert.throws(() => followKeys(first, [note.replace(c.key, createArtifactSigner('c').key)]), ArtifactError);
    assert.throws(() => followKeys(first, [note.slice(0, 40)]), refused('malformed'));
  });
});

describe('versions', () => {
  it('are ordered as semver.org §11 orders them', () => {
    const order =
      '0.9.0 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 1.2.0 1.11.0 2.0.0';
    const versions = order.split(' ').map(parseVersion);
    for (const [i, x] of versions.entries()) {
      for (const [j, y] of versions.entries())
        assert.equal(Math.sign(compareVersions(x, y)), Math.sign(i - j), `${x} ${y}`);
    }
  });

  it('are refused in any other form', () => {
    for (const text of [
      '',
      '1',
      '1.2',
      '01.2.3',
      '1.2.3.4',
      'v1.2.3',
      '1.2.3-',
      '1.2.3-01',
      '1.2.3-a..b',
      '1.2.3+x',
      ' 1.2.3',
      '1.2.3\n',
      '1.2.3-ä',
      `1.2.${'9'.repeat(20)}`,
    ]) {
      assert.throws(() => parseVersion(text), refused('malformed'), text);
    }
  });
});

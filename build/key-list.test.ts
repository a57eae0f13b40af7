/** Lists of artifact keys as the command makes them, and as whoever trusts the list before takes the next. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { localAdmin } from '../lib/access/principal.ts';
import { ArtifactError } from '../lib/artifacts/errors.ts';
import { parseKeys } from '../lib/artifacts/keys.ts';
import { followKeys } from '../lib/artifacts/rotation.ts';
import { trustKeys } from '../lib/artifacts/trusted-keys.ts';
import { ed25519ToSpki, generateEd25519, privateKeyToPem } from '../lib/crypto/ed25519.ts';
import { formatSshPrivateKey, formatSshPublicKey, sshPublicKeyOf } from '../lib/crypto/ssh-key.ts';
import { createMemoryStore } from '../lib/store/memory.ts';
import { createArtifactSigner } from '../test/fakes/artifacts.ts';
import { createFakeAudit } from '../test/fakes/audit.ts';
import { firstKeys, nextKeys } from './key-list.ts';
import { sourceRoot } from './programs.ts';

const [a, b, c] = ['release-a', 'release-b', 'release-c'].map((name) => createArtifactSigner(name)) as [
  ReturnType<typeof createArtifactSigner>,
  ReturnType<typeof createArtifactSigner>,
  ReturnType<typeof createArtifactSigner>,
];

describe('the next list of artifact keys', () => {
  const first = parseKeys(firstKeys({ threshold: 2, keys: [a, b] }));

  it('is followed from the one before, and is what a release compiles in', async () => {
    const { list, note } = await nextKeys(first, { threshold: 2, keys: [b, c] }, [a, b, c]);
    assert.deepEqual(followKeys(first, [note]), parseKeys(list));
    assert.equal(parseKeys(list).number, 2);
  });

  it('counts a key under whichever name each list has for it', async () => {
    const renamed = { ...b, name: 'release-b-2027' };
    const { list, note } = await nextKeys(first, { threshold: 1, keys: [renamed] }, [a, b]);
    assert.deepEqual(followKeys(first, [note]), parseKeys(list));
  });

  it('is not made when too few of either list sign, or a stranger does', async () => {
    const next = { threshold: 2, keys: [b, c] };
    for (const signers of [[a, b], [b, c], [c], [a]]) {
      await assert.rejects(nextKeys(first, next, signers), ArtifactError, signers.map(({ name }) => name).join());
    }
    await assert.rejects(nextKeys(first, next, []), /no key to sign with/);
    await assert.rejects(nextKeys(first, next, [a, b, c, createArtifactSigner('x')]), /not in the list/);
  });

  it('has a threshold that somebody can meet, and not anybody', async () => {
    for (const threshold of [0, 3, Number.NaN, 1.5]) {
      assert.throws(() => firstKeys({ threshold, keys: [a, b] }), ArtifactError, String(threshold));
      await assert.rejects(nextKeys(first, { threshold, keys: [a, b] }, [a, b]), ArtifactError, String(threshold));
    }
    assert.throws(() => firstKeys({ threshold: 1, keys: [a, { ...a, name: 'again' }] }), ArtifactError);
  });
});

describe('npm run release:keys', () => {
  it('writes a list from keys of every form, and the note that the control plane takes; neither a second time', async (t) => {
    const { path, run } = scratch(t);
    const [one, two, three] = [generateEd25519(), generateEd25519(), generateEd25519()];
    writeFileSync(path('one'), formatSshPrivateKey({ privateKey: one.privateKey }));
    writeFileSync(path('one.pub'), `${formatSshPublicKey(sshPublicKeyOf(one.publicKey))}\n`);
    writeFileSync(path('two'), privateKeyToPem(two.privateKey));
    const pem = `-----BEGIN PUBLIC KEY-----\n${Buffer.from(ed25519ToSpki(three.publicKey)).toString('base64')}\n-----END PUBLIC KEY-----\n`;
    writeFileSync(path('three.pem'), pem);
    writeFileSync(path('three'), privateKeyToPem(three.privateKey));
    const made = run('--out', path('keys'), '--signer', `a=${path('one.pub')}`, '--signer', `b=${path('two')}`);
    assert.equal(made.status, 0, made.stderr);
    const next = ['--after', path('keys'), '--out', path('keys-2'), '--threshold', '1'];
    const names = ['--signer', `b=${path('two')}`, '--signer', `c=${path('three.pem')}`];
    const few = run(...next, ...names, '--key', path('two'));
    assert.match(few.stderr, /^error: nothing was written: .*2 keys are needed/);
    const rotated = run(...next, ...names, '--key', path('one'), '--key', path('two'), '--key', path('three'));
    assert.equal(rotated.status, 0, rotated.stderr);
    const again = run(...next, ...names, '--key', path('one'), '--key', path('two'));
    assert.deepEqual([again.status, /is there already/.test(again.stderr)], [1, true]);

    const store = createMemoryStore();
    const deps = { store, audit: createFakeAudit(store) };
    const trust = (file: string) => trustKeys(deps, { list: readFileSync(path(file), 'utf8'), actor: localAdmin });
    await trust('keys');
    await assert.rejects(trust('keys-2'), { code: 'refused' });
    const { number, threshold, keys } = await trust('keys-2.note');
    assert.deepEqual([number, threshold, keys.length], [2, 1, 2]);
  });

  it('says what it takes', (t) => {
    const { run, path } = scratch(t);
    assert.match(run('--help').stdout, /^usage: npm run release:keys/);
    assert.equal(run('--out', path('keys')).status, 2);
    assert.match(run('--out', path('keys'), '--signer', 'nameless').stderr, /is not NAME=KEY/);
  });
});

function scratch(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-keys-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const script = join(sourceRoot, 'build/release-keys.ts');
  return {
    path: (name: string) => join(directory, name),
    run: (...args: string[]) => spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' }),
  };
}

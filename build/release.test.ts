/** The parts of a release: the same bytes wherever the sources lie, what is packed, listed and signed. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { formatKeys, parseKeys } from '../lib/artifacts/keys.ts';
import { generateEd25519, privateKeyToPem, verifyEd25519 } from '../lib/crypto/ed25519.ts';
import { formatVerifierKey } from '../lib/crypto/note.ts';
import { formatSshPrivateKey, formatSshPublicKey, sshPublicKeyOf } from '../lib/crypto/ssh-key.ts';
import { archiveOf } from './archive.ts';
import { copySources } from './copy-sources.ts';
import { sourceRoot, thisPlatform } from './programs.ts';
import { buildRelease, releasePlatforms } from './release-tree.ts';
import { sbomOf } from './sbom.ts';
import { fileSigner, named, sshAgentSigner } from './signers.ts';

function scratch(t: TestContext, parent = tmpdir()): string {
  mkdirSync(parent, { recursive: true });
  const directory = mkdtempSync(join(parent, 'holdfast-release-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

const key = generateEd25519();
const list = formatKeys({ number: 1, threshold: 1, keys: [formatVerifierKey('release-a', key.publicKey)] });

describe('a release', () => {
  it('R33 two builds of the same sources on different paths have the same digests', async (t) => {
    if (!releasePlatforms.some((platform) => platform === thisPlatform)) return t.skip('not a platform of releases');
    // Beside the packages, so that they can be linked.
    const elsewhere = scratch(t, join(sourceRoot, '.cache'));
    const first = scratch(t);
    const only = `holdfast-agent-${thisPlatform}`;
    const [version, notAfter] = ['9.9.9', Date.parse('2030-01-01T00:00:00Z')];
    const texts = await buildRelease(first, { version, notAfter, keys: list, only });
    copySources(elsewhere);
    const keysFile = join(first, 'keys');
    writeFileSync(keysFile, list);
    const out = join(elsewhere, 'out');
    const args = [join(elsewhere, 'build/release-tree.ts'), out, version, String(notAfter), keysFile, only];
    const build = () => spawnSync(process.execPath, args, { cwd: '/', encoding: 'utf8' });
    const { status, stderr } = build();
    assert.equal(status, 0, stderr);
    const textOf = () => JSON.parse(readFileSync(join(out, 'manifests.json'), 'utf8'))[only];
    assert.equal(textOf(), texts.get(only));
    // And the comparison can fail: other sources are another digest.
    const source = join(elsewhere, 'agent/main.ts');
    writeFileSync(source, `${readFileSync(source, 'utf8')}\nprocess.title = 'altered';\n`);
    rmSync(out, { recursive: true });
    assert.equal(build().status, 0);
    assert.notEqual(textOf(), texts.get(only));
    return undefined;
  });

  it('is packed the same each time, as tar reads it', (t) => {
    const directory = scratch(t);
    mkdirSync(join(directory, 'a'));
    writeFileSync(join(directory, 'a', 'x'), 'x'.repeat(513));
    writeFileSync(join(directory, 'b'), '', { mode: 0o755 });
    const packed = archiveOf(directory, 'name-1', ['b', 'a/x']);
    assert.deepEqual(packed, archiveOf(directory, 'name-1', ['a/x', 'b']));
    const listed = spawnSync('tar', ['-tvzf', '-'], {
      input: packed,
      encoding: 'utf8',
      env: { ...process.env, TZ: 'UTC' },
    });
    if (listed.error) return t.skip('there is no tar');
    assert.match(
      listed.stdout,
      /^-rw-r--r-- \S+\s+513 1970-01-01 00:00 name-1\/a\/x\n-rwxr-xr-x \S+\s+0 \S+ \S+ name-1\/b\n$/,
    );
    return undefined;
  });

  it('lists what it holds, with the digests of the lockfile, and nothing that only builds or tests', () => {
    const text = sbomOf(sourceRoot, '1.0.0');
    assert.equal(text, sbomOf(sourceRoot, '1.0.0'));
    const { components } = JSON.parse(text) as {
      components: { name: string; hashes?: { alg: string; content: string }[] }[];
    };
    const sodium = components.find(({ name }) => name === 'sodium-native');
    assert.match(sodium?.hashes?.[0]?.content ?? '', /^[0-9a-f]{128}$/);
    assert.equal(sodium?.hashes?.[0]?.alg, 'SHA-512');
    assert.ok(components.every(({ name }) => name !== 'esbuild' && name !== 'typescript'));
  });

  it('is signed by a key in a file of either form, and only by one that the list names', async (t) => {
    const directory = scratch(t);
    writeFileSync(join(directory, 'pem'), privateKeyToPem(key.privateKey));
    writeFileSync(join(directory, 'ssh'), formatSshPrivateKey({ privateKey: key.privateKey }));
    for (const name of ['pem', 'ssh']) {
      const [signer, ...more] = named(fileSigner(join(directory, name)), parseKeys(list));
      assert.deepEqual([signer?.name, more], ['release-a', []]);
      assert.ok(verifyEd25519(key.publicKey, Buffer.from('text'), await signer!.sign(Buffer.from('text'))));
    }
    writeFileSync(join(directory, 'other'), privateKeyToPem(generateEd25519().privateKey));
    assert.throws(() => named(fileSigner(join(directory, 'other')), parseKeys(list)), /not in the list/);
  });

  it('is not begun without the signatures that each list asks for', (t) => {
    const directory = scratch(t);
    const path = (name: string) => join(directory, name);
    const before = generateEd25519();
    writeFileSync(path('key'), privateKeyToPem(key.privateKey));
    writeFileSync(path('keys'), list);
    const keys = [formatVerifierKey('before', before.publicKey)];
    writeFileSync(path('keys-before'), formatKeys({ number: 1, threshold: 1, keys }));
    const release = (...args: string[]) => {
      const all = [join(sourceRoot, 'build/release.ts'), '--keys', path('keys'), '--out', path('out'), ...args];
      return spawnSync(process.execPath, all, { encoding: 'utf8' }).stderr;
    };
    assert.match(release(), /nothing was released: list 1 asks for 1 signatures, and 0 of its keys were given/);
    const previous = ['--previous-keys', path('keys-before')];
    assert.match(release('--key', path('key'), ...previous), /list 1 asks for 1 signatures, and 0 of its/);
    assert.throws(() => readFileSync(path('out')), { code: 'ENOENT' });
  });

  it('is signed by a key that an ssh-agent holds', async (t) => {
    const directory = scratch(t);
    const socket = join(directory, 'agent');
    const started = spawnSync('ssh-agent', ['-a', socket, '-s'], { encoding: 'utf8' });
    if (started.error) return t.skip('there is no ssh-agent');
    t.after(() => process.kill(Number(/SSH_AGENT_PID=(\d+)/.exec(started.stdout)?.[1])));
    const [secret, pub] = [join(directory, 'key'), join(directory, 'key.pub')];
    writeFileSync(secret, formatSshPrivateKey({ privateKey: key.privateKey }), { mode: 0o600 });
    writeFileSync(pub, formatSshPublicKey(sshPublicKeyOf(key.publicKey)));
    const signer = sshAgentSigner(pub, socket);
    await assert.rejects(signer.sign(Buffer.from('text')), /is the key loaded/);
    const added = spawnSync('ssh-add', ['-q', secret], {
      env: { ...process.env, SSH_AUTH_SOCK: socket },
      encoding: 'utf8',
    });
    assert.equal(added.status, 0, added.stderr);
    assert.ok(verifyEd25519(key.publicKey, Buffer.from('text'), await signer.sign(Buffer.from('text'))));
    assert.throws(() => sshAgentSigner(pub, undefined), /SSH_AUTH_SOCK/);
    return undefined;
  });
});

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { createAccessWorld, dumpStore } from '../../../test/fakes/access.ts';
import { startSigningHelper } from '../../../test/fakes/signing-helper.ts';
import { sha256 } from '../../crypto/digest.ts';
import { generateEd25519, signEd25519 } from '../../crypto/ed25519.ts';
import { concatBytes, toBase64, u32be, utf8 } from '../../crypto/encoding.ts';
import { formatSshPublicKey, sshPublicKeyOf } from '../../crypto/ssh-key.ts';
import { signSshSignature } from '../../crypto/sshsig.ts';
import { addKey, setState } from '../accounts.ts';
import { localAdminCaller } from '../caller.ts';
import { AccessError } from '../errors.ts';
import { createIsowebauthProvider } from './isowebauth.ts';

const run = promisify(execFile);
const site = 'cp.example.org';
const vectors = JSON.parse(
  await readFile(new URL('../../../test/vectors/sshsig/login.json', import.meta.url), 'utf8'),
) as {
  challenge: string;
  namespace: string;
  accepted: { name: string; key: string; signature: string }[];
  refused: { name: string; key: string; signature: string; reason: string }[];
};

const refusedFor = (reason: string) => (error: unknown) =>
  error instanceof AccessError &&
  error.code === 'refused' &&
  error.reason === reason &&
  error.message === 'the log-in was not accepted';

function newKey() {
  const { publicKey, privateKey } = generateEd25519();
  const key = sshPublicKeyOf(publicKey);
  const sign = (challenge: string, namespace = site) =>
    signSshSignature({ message: utf8(challenge), namespace, privateKey, publicKey: key });
  return { line: formatSshPublicKey(key), sign };
}

async function setUp(options: { readonly random?: (n: number) => Uint8Array } = {}) {
  const world = createAccessWorld();
  const provider = createIsowebauthProvider({ ...world.deps, site, ...options });
  const passwords = { set: assert.fail, remove: assert.fail, verify: assert.fail };
  const accounts = { ...world.deps, passwords };
  await world.user('alice', 'viewer');
  await world.user('bob', 'admin');
  const register = (name: string, line: string) => addKey(accounts, { name, caller: localAdminCaller, line });
  const begin = async () => {
    const { loginId = '', answer } = await provider.begin({});
    return { loginId, challenge: String(answer['challenge']) };
  };
  const finish = (loginId: string | undefined, signature: string, name = 'alice') =>
    provider.finish({ name, signature }, loginId);
  return { ...world, accounts, provider, register, begin, finish };
}

test('R18 isowebauth: signatures by the real ssh-keygen are accepted, each once', async () => {
  assert.equal(vectors.namespace, site);
  for (const { name, key, signature } of vectors.accepted) {
    const { register, begin, finish } = await setUp({ random: (n) => new Uint8Array(n).fill(7) });
    await register('alice', key);
    const { loginId, challenge } = await begin();
    assert.equal(challenge, vectors.challenge);
    const finished = await finish(loginId, signature);
    assert.ok(finished.kind === 'identified' && finished.user.name === 'alice', name);
    await assert.rejects(finish(loginId, signature), refusedFor('login_session_unknown'), name);
  }
});

test('R18 isowebauth: wrong namespace, other key, challenge and newline, RSA, certificate: refused', async () => {
  for (const { name, key, signature, reason } of vectors.refused) {
    const { register, begin, finish } = await setUp({ random: (n) => new Uint8Array(n).fill(7) });
    if (!key.startsWith('ssh-rsa')) await register('alice', key);
    const { loginId } = await begin();
    await assert.rejects(finish(loginId, signature), refusedFor(reason), name);
  }
});

test('R18 incident 16: the public key, an old signature, another user’s challenge or key prove nothing', async () => {
  const { register, begin, finish } = await setUp();
  const [alice, bob] = [newKey(), newKey()];
  await register('alice', alice.line);
  await register('bob', bob.line);
  const first = await begin();
  await assert.rejects(finish(first.loginId, alice.line), refusedFor('signature_malformed'));
  // Burned by the failed attempt.
  await assert.rejects(finish(first.loginId, alice.sign(first.challenge)), refusedFor('login_session_unknown'));
  const second = await begin();
  await assert.rejects(finish(second.loginId, alice.sign(first.challenge)), refusedFor('signature_not_authentic'));
  const [mine, his] = [await begin(), await begin()];
  await assert.rejects(finish(mine.loginId, alice.sign(his.challenge)), refusedFor('signature_not_authentic'));
  await assert.rejects(finish(his.loginId, bob.sign(his.challenge)), refusedFor('key_not_registered'));
  const last = await begin();
  await assert.rejects(finish(last.loginId, alice.sign(last.challenge), 'nobody'), refusedFor('unknown_user'));
  await assert.rejects(finish(undefined, alice.sign(last.challenge)), refusedFor('no_login_session'));
  await assert.rejects(finish('hfl_x', alice.sign(last.challenge)), refusedFor('no_login_session'));
});

test('R18 isowebauth: of two who send the same answer at once, one is logged in', async () => {
  const { register, begin, finish } = await setUp();
  const key = newKey();
  await register('alice', key.line);
  const { loginId, challenge } = await begin();
  const signature = key.sign(challenge);
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => finish(loginId, signature)));
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
});

test('R18 isowebauth: a challenge lives for 60 seconds; a disabled user is refused', async () => {
  const { register, begin, finish, clock, accounts } = await setUp();
  const key = newKey();
  await register('alice', key.line);
  const late = await begin();
  clock.time += 60_000;
  await assert.rejects(finish(late.loginId, key.sign(late.challenge)), refusedFor('login_session_expired'));
  const intime = await begin();
  clock.time += 59_999;
  assert.equal((await finish(intime.loginId, key.sign(intime.challenge))).kind, 'identified');
  await setState(accounts, { name: 'alice', caller: localAdminCaller, state: 'disabled' });
  const disabled = await begin();
  await assert.rejects(finish(disabled.loginId, key.sign(disabled.challenge)), refusedFor('user_disabled'));
});

test('R18 the challenge is 43 characters of base64url and is nowhere in the store', async () => {
  const { begin, store } = await setUp();
  const { loginId, challenge } = await begin();
  assert.match(challenge, /^[A-Za-z0-9_-]{43}$/);
  const dump = await dumpStore(
    store,
    [...'0123456789abcdef'].map((d) => `login#${d}`),
  );
  assert.match(dump, /isowebauth/);
  for (const secret of [challenge, loginId, loginId.slice(4), Buffer.from(challenge, 'base64url').toString('hex')])
    assert.equal(dump.includes(secret), false);
});

test('incident 19: a certificate, and a certificate authority’s line, can not be registered', async (t) => {
  const { register } = await setUp();
  const refused = vectors.refused.find(({ name }) => name.startsWith('certificate'));
  assert.ok(refused);
  await assert.rejects(register('alice', `cert-authority ${newKey().line}`), { name: 'CryptoError' });
  await assert.rejects(register('alice', newKey().line.replace('ssh-ed25519', 'ssh-ed25519-cert-v01@openssh.com')), {
    name: 'CryptoError',
  });
  t.diagnostic('its signature is among the refused vectors');
});

test('R18 isowebauth: a security key’s signature is accepted, and one without a touch is not', async () => {
  const { register, begin, finish } = await setUp();
  const type = 'sk-ssh-ed25519@openssh.com';
  const application = 'ssh:';
  const { publicKey, privateKey } = generateEd25519();
  const blob = concatBytes(text(type), bytes(publicKey), text(application));
  await register('alice', `${type} ${toBase64(blob)}`);
  const touch = (challenge: string, flags: number) => {
    const signed = concatBytes(utf8('SSHSIG'), text(site), text(''), text('sha256'), bytes(sha256(utf8(challenge))));
    const device = concatBytes(sha256(application), Uint8Array.of(flags), u32be(5), sha256(signed));
    const signature = concatBytes(text(type), bytes(signEd25519(privateKey, device)), Uint8Array.of(flags), u32be(5));
    const all = concatBytes(
      utf8('SSHSIG'),
      u32be(1),
      bytes(blob),
      text(site),
      text(''),
      text('sha256'),
      bytes(signature),
    );
    const lines = toBase64(all).match(/.{1,70}/g) ?? [];
    return ['-----BEGIN SSH SIGNATURE-----', ...lines, '-----END SSH SIGNATURE-----', ''].join('\n');
  };
  const touched = await begin();
  assert.equal((await finish(touched.loginId, touch(touched.challenge, 1))).kind, 'identified');
  const untouched = await begin();
  await assert.rejects(finish(untouched.loginId, touch(untouched.challenge, 0)), refusedFor('signature_not_authentic'));
});

test('R18 isowebauth works with the ssh-keygen of this machine', async (t) => {
  if (!(await hasSshKeygen())) return t.skip('not installed: ssh-keygen');
  const directory = await scratch(t);
  for (const type of [['ed25519'], ['ecdsa', '-b', '256']]) {
    const { register, begin, finish } = await setUp();
    const keyFile = join(directory, type[0] ?? '');
    await run('ssh-keygen', ['-q', '-t', ...type, '-N', '', '-f', keyFile]);
    await register('alice', (await readFile(`${keyFile}.pub`, 'utf8')).trim());
    const { loginId, challenge } = await begin();
    const signature = await signWithKeygen(directory, keyFile, challenge);
    assert.equal((await finish(loginId, signature)).kind, 'identified');
    const again = await begin();
    await assert.rejects(finish(again.loginId, signature), refusedFor('signature_not_authentic'));
  }
});

test('R18 isowebauth works through a signing helper that follows the real one’s wire protocol', async (t) => {
  const { register, provider, begin, finish } = await setUp();
  const key = newKey();
  await register('alice', key.line);
  const helper = await startSigningHelper({ origin: 'https://cp.test', sign: key.sign });
  t.after(() => helper.close());
  const { loginId, challenge } = await begin();
  const response = await fetch(helper.url, {
    method: 'POST',
    headers: { origin: 'https://cp.test', 'content-type': 'application/json' },
    body: JSON.stringify({ challenge, namespace: provider.facts['namespace'] }),
  });
  const answer = (await response.json()) as { ok: boolean; signature: string };
  assert.equal(answer.ok, true);
  assert.equal((await finish(loginId, answer.signature)).kind, 'identified');
});

function bytes(value: Uint8Array): Uint8Array {
  return concatBytes(u32be(value.length), value);
}

function text(value: string): Uint8Array {
  return bytes(utf8(value));
}

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-login-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function signWithKeygen(directory: string, keyFile: string, challenge: string): Promise<string> {
  const path = join(directory, 'challenge');
  await rm(`${path}.sig`, { force: true });
  await writeFile(path, challenge);
  await run('ssh-keygen', ['-q', '-Y', 'sign', '-f', keyFile, '-n', site, path]);
  return readFile(`${path}.sig`, 'utf8');
}

async function hasSshKeygen(): Promise<boolean> {
  const error = await run('ssh-keygen', ['-?']).catch((failure: NodeJS.ErrnoException) => failure);
  return !('code' in error && error.code === 'ENOENT');
}

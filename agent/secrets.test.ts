/** Secrets on the node: one call, opened for this node and release alone, zeroed after, and a gateway that lies gains nothing. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { type SealingPlace, sealSecret } from '../lib/secrets/seal.ts';
import { createRedaction } from './redaction.ts';
import { openRunSecrets, SecretUnavailable } from './secrets.ts';
import type { ResolvedSecrets } from './session.ts';

const uuid = '6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11';
const releaseDigest = 'ab'.repeat(32);
const { publicKey, privateKey } = generateKeyPairSync('x25519');
const raw = (key: typeof publicKey) => new Uint8Array(key.export({ format: 'der', type: 'spki' }).subarray(-32));

function sealed(path: string, value: string, change: Partial<SealingPlace> = {}, key = raw(publicKey)) {
  const place = { uuid, path, version: 1, releaseDigest, ...change };
  return { path, sealed: { version: place.version, ...sealSecret(key, place, Buffer.from(value)) } };
}

function setUp(answer: (paths: readonly string[]) => ResolvedSecrets, paths = ['a', 'b']) {
  const redaction = createRedaction();
  const calls: (readonly string[])[] = [];
  const session = {
    async resolveSecrets(asked: { readonly paths: readonly string[] }) {
      calls.push(asked.paths);
      return answer(asked.paths);
    },
  };
  const deps = { uuid, session: () => session, sealingKey: async () => privateKey, redaction };
  return { run: openRunSecrets(deps, { releaseDigest, paths }), redaction, calls };
}

const fileOf = (path: string) => ({ path: '/x', content: { $secret: { path } } });
const unavailable = (pattern: RegExp) => (error: unknown) =>
  error instanceof SecretUnavailable && pattern.test(error.message);

test('all that a run needs is asked for in one call, when the first resource needs it', async () => {
  const { run, calls } = setUp((paths) => ({
    epoch: 4,
    secrets: paths.map((path) => sealed(path, `value of ${path}`)),
  }));
  assert.deepEqual(calls, []);
  const [one, two] = await Promise.all([run.open('file', fileOf('a')), run.open('file', fileOf('b'))]);
  assert.deepEqual(calls, [['a', 'b']]);
  const { sha256 } = one['content'] as { sha256: string };
  assert.equal(Buffer.from(run.blob(sha256) ?? []).toString(), 'value of a');
  assert.notDeepEqual(one, two);
  assert.deepEqual(run.resolved(), {
    epoch: 4,
    versions: new Map([
      ['a', 1],
      ['b', 1],
    ]),
  });
  assert.deepEqual(await run.open('line', { line: { $join: ['p=', { $secret: { path: 'b' } }] } }), {
    line: 'p=value of b',
  });
});

test('what did not fit into an answer is asked for again, and nothing else', async () => {
  const { run, calls } = setUp((paths) => ({
    epoch: 1,
    secrets: paths.slice(0, 1).map((path) => sealed(path, 'some value')),
  }));
  await run.open('file', fileOf('b'));
  assert.deepEqual(calls, [['a', 'b'], ['b']]);
});

test('R16 what is sealed for another node, key, reference, version or release is not opened, and not asked for again', async () => {
  const other = raw(generateKeyPairSync('x25519').publicKey);
  for (const lie of [
    sealed('a', 'a lie', { uuid: uuid.replace('6', '7') }),
    sealed('a', 'a lie', { releaseDigest: 'ac'.repeat(32) }),
    sealed('a', 'a lie', {}, other),
    { ...sealed('b', 'a lie'), path: 'a' },
    { path: 'a', sealed: { ...sealed('a', 'a lie').sealed, version: 2 } },
    { path: 'a', sealed: { version: 1, enc: new Uint8Array(32), ciphertext: new Uint8Array(40) } },
    { path: 'a', sealed: { version: 1, enc: new Uint8Array(3), ciphertext: new Uint8Array(3) } },
  ]) {
    const { run, calls } = setUp(() => ({ epoch: 1, secrets: [lie, sealed('b', 'good value')] }));
    await assert.rejects(
      run.open('file', fileOf('a')),
      unavailable(/secret:a: what the control plane sent is not sealed/),
    );
    await run.open('file', fileOf('b'));
    assert.equal(calls.length, 1);
  }
});

test('a value that was not asked for is not taken', async () => {
  const { run } = setUp(
    (paths) => ({ epoch: 1, secrets: [...paths, 'c'].map((path) => sealed(path, 'some value')) }),
    ['a'],
  );
  await run.open('file', fileOf('a'));
  await assert.rejects(run.open('file', fileOf('c')), unavailable(/was not asked for/));
});

test('a missing secret, a gateway that leaves one out, and no session each fail what needs it', async () => {
  const missing = setUp(() => ({ epoch: 1, secrets: [{ path: 'a', reason: 'NOT_FOUND' }, sealed('b', 'good value')] }));
  await assert.rejects(missing.run.open('file', fileOf('a')), unavailable(/there is no such secret/));
  await missing.run.open('file', fileOf('b'));
  const silent = setUp(() => ({ epoch: 1, secrets: [] }));
  await assert.rejects(silent.run.open('file', fileOf('a')), unavailable(/left it out/));
  const deps = { uuid, session: () => undefined, sealingKey: async () => privateKey, redaction: createRedaction() };
  const offline = openRunSecrets(deps, { releaseDigest, paths: ['a'] });
  await assert.rejects(offline.open('file', fileOf('a')), unavailable(/not reachable/));
});

test('R15 values are redacted from before the first resource sees them, and zeroed when the run is over', async () => {
  const { run, redaction } = setUp((paths) => ({
    epoch: 1,
    secrets: paths.map((path) => sealed(path, `value-of-${path}-9f2c`)),
  }));
  const opened = await run.open('file', fileOf('a'));
  assert.equal(redaction.text('x value-of-a-9f2c y'), 'x [redacted] y');
  const bytes = run.blob((opened['content'] as { sha256: string }).sha256) as Uint8Array;
  run.close();
  assert.deepEqual([...new Set(bytes)], [0]);
  assert.equal(run.blob((opened['content'] as { sha256: string }).sha256), undefined);
  await assert.rejects(run.open('file', fileOf('a')), unavailable(/the run is over/));
});

test('a value that is no text is refused where text is needed, without saying where it is none', async () => {
  const { run } = setUp(
    () => ({
      epoch: 1,
      secrets: [
        {
          path: 'a',
          sealed: {
            version: 1,
            ...sealSecret(raw(publicKey), { uuid, path: 'a', version: 1, releaseDigest }, Buffer.of(1, 2, 255, 254)),
          },
        },
      ],
    }),
    ['a'],
  );
  await assert.rejects(run.open('line', { line: { $secret: { path: 'a' } } }), unavailable(/is not text/));
});

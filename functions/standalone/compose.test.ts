import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { formatSshPublicKey, sshPublicKeyOf } from '../../lib/crypto/ssh-key.ts';
import { type StandaloneOptions, startStandalone } from './compose.ts';
import { parseConfig } from './config.ts';
import { StandaloneError, type StandaloneErrorCode } from './errors.ts';

const operatorKey = () => formatSshPublicKey(sshPublicKeyOf(generateEd25519().publicKey));
const founding = (keys: readonly string[] = [operatorKey()], threshold = 1) => ({
  name: 'test',
  operatorKeys: keys,
  threshold,
});

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-standalone-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'state');
}

function start(stateDirectory: string, options: Partial<StandaloneOptions> = {}) {
  return startStandalone({ stateDirectory, version: '0.0.0', logger: pino({ level: 'silent' }), ...options });
}

const failsWith =
  (code: StandaloneErrorCode, message = /./) =>
  (error: unknown) => {
    assert.ok(error instanceof StandaloneError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.ok(error.hint.length > 0, 'it says what to do');
    return true;
  };

test('a second start goes on: same fleet, same ports, a new token, and both boots in the log', async (t) => {
  const state = await scratch(t);
  const first = await start(state, { founding: founding() });
  const token = await readFile(join(state, 'run', 'local-admin.token'), 'utf8');
  assert.equal(first.founded, true);
  await first.close();
  assert.equal((await readdir(join(state, 'run'))).includes('local-admin.token'), false);

  const second = await start(state);
  assert.equal(second.founded, false);
  assert.deepEqual([second.url, second.gateway], [first.url, first.gateway]);
  assert.deepEqual(second.fleet.bytes, first.fleet.bytes);
  assert.notEqual(await readFile(join(state, 'run', 'local-admin.token'), 'utf8'), token);
  await second.close();
  const log = await readFile(join(state, 'log', 'tile', 'entries', '000.p', await logSize(state)), 'latin1');
  assert.equal(log.split('"type":"server.start"').length - 1, 2);
  assert.equal(log.split('"type":"server.stop"').length - 1, 2);
  assert.equal(log.split('"type":"fleet.create"').length - 1, 1);
});

test('R10 the state directory is closed to others, and no private key lies in it in the clear', async (t) => {
  const state = await scratch(t);
  const server = await start(state, { founding: founding() });
  assert.equal((await stat(state)).mode & 0o777, 0o700);
  await server.close();
  for (const name of await readdir(join(state, 'keys')))
    assert.equal((await readFile(join(state, 'keys', name), 'latin1')).includes('PRIVATE KEY'), false, name);
});

test('two servers can not run on one state directory', async (t) => {
  const state = await scratch(t);
  const server = await start(state, { founding: founding() });
  await assert.rejects(start(state), failsWith('locked'));
  await server.close();
  await (await start(state)).close();
});

test('a port that is taken is said, with the file to change, and nothing is left running', async (t) => {
  const state = await scratch(t);
  await (await start(state, { founding: founding() })).close();
  const config = JSON.parse(await readFile(join(state, 'config.json'), 'utf8'));
  const squatter = createServer();
  await new Promise<void>((resolve) => squatter.listen(config.ports.api, '127.0.0.1', resolve));
  await assert.rejects(start(state), failsWith('port_taken', new RegExp(String(config.ports.api))));
  await new Promise((resolve) => squatter.close(resolve));
  await (await start(state)).close();
});

test('a fleet needs operators, each once, and a threshold that they can meet', async (t) => {
  const key = operatorKey();
  const cases: [ReturnType<typeof founding>, StandaloneErrorCode, RegExp][] = [
    [founding([]), 'no_operator_keys', /public key/],
    [founding([key, key]), 'bad_fleet', /twice/],
    [founding([key], 2), 'bad_fleet', /threshold/],
    [founding([key], 0), 'bad_fleet', /threshold/],
    [founding(['ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==']), 'bad_fleet', /public key/],
    [{ ...founding([key]), name: 'Not A Name' }, 'bad_fleet', /./],
  ];
  for (const [given, code, message] of cases)
    await assert.rejects(start(await scratch(t), { founding: given }), failsWith(code, message));
});

test('R54 a fleet descriptor that was swapped, damaged or removed stops the start', async (t) => {
  const state = await scratch(t);
  await (await start(state, { founding: founding() })).close();
  const other = await scratch(t);
  await (await start(other, { founding: founding() })).close();

  const own = await readFile(join(state, 'fleet.json'));
  await writeFile(join(state, 'fleet.json'), await readFile(join(other, 'fleet.json')));
  await assert.rejects(start(state));
  await writeFile(join(state, 'fleet.json'), own.subarray(0, own.length - 5));
  await assert.rejects(start(state), failsWith('fleet_altered'));
  await rm(join(state, 'fleet.json'));
  await assert.rejects(start(state, { founding: founding() }), failsWith('fleet_altered'));
  await writeFile(join(state, 'fleet.json'), own);
  await (await start(state)).close();
});

test('R01 the configuration has no key that could weaken anything, and unknown keys are errors', async () => {
  const good = {
    v: 1,
    listen: '127.0.0.1',
    names: [],
    ports: { api: 0, gateway: 0 },
    auth: { method: 'isowebauth' },
  };
  const parse = (value: unknown) => parseConfig(Buffer.from(JSON.stringify(value)), 'config.json');
  assert.deepEqual(Object.keys(parse(good)), ['v', 'listen', 'names', 'ports', 'auth']);
  for (const extra of ['tls', 'authentication', 'audit', 'insecure', 'mtls', 'skipVerify', '__proto__x'])
    assert.throws(() => parse({ ...good, [extra]: false }), failsWith('bad_config', new RegExp(extra)));
  for (const bad of [
    { ...good, listen: 'localhost; rm' },
    { ...good, names: ['A B'] },
    { ...good, ports: { api: 70_000, gateway: 0 } },
    { ...good, v: 2 },
    [],
  ])
    assert.throws(() => parse(bad), failsWith('bad_config'));
});

test('R18 R19 an unknown or missing log-in method, or an unsafe one, and the server does not start', async (t) => {
  const state = await scratch(t);
  await (await start(state, { founding: founding() })).close();
  const path = join(state, 'config.json');
  const held = JSON.parse(await readFile(path, 'utf8')) as { auth: unknown };
  assert.deepEqual(held.auth, { method: 'isowebauth' });
  const { auth: _auth, ...without } = held;
  const oidc = {
    method: 'oidc',
    issuer: 'https://id.example.org',
    clientId: 'holdfast',
    redirectUri: 'https://cp.example.org/v1/login/callback',
    roles: { viewer: ['staff'] },
  };
  for (const config of [
    without,
    ...[
      undefined,
      null,
      'none',
      {},
      { method: 'none' },
      { method: '' },
      { method: 'Basic' },
      { method: 'basic', enabled: false },
      { method: 'isowebauth', site: 'a b' },
      { ...oidc, issuer: 'http://id.example.org' },
      { ...oidc, redirectUri: 'https://cp.example.org/elsewhere' },
      { ...oidc, algorithm: 'none' },
      { ...oidc, algorithm: 'HS256' },
      { ...oidc, roles: { root: ['x'] } },
      { ...oidc, skipIssuerCheck: true },
    ].map((auth) => ({ ...held, auth })),
  ]) {
    await writeFile(path, JSON.stringify(config));
    await assert.rejects(start(state), failsWith('bad_config', /auth/), JSON.stringify(config));
  }
  for (const auth of [{ method: 'basic' }, { method: 'isowebauth', site: 'cp.example.org' }, oidc]) {
    await writeFile(path, JSON.stringify({ ...held, auth }));
    await (await start(state)).close();
  }
});

test('a file in the place of the state directory is said', async (t) => {
  const state = await scratch(t);
  await mkdir(join(state, '..'), { recursive: true });
  await writeFile(state, '');
  await assert.rejects(start(state, { founding: founding() }), failsWith('state_unusable'));
});

async function logSize(state: string): Promise<string> {
  return (await readFile(join(state, 'log', 'checkpoint'), 'utf8')).split('\n')[1] ?? '';
}

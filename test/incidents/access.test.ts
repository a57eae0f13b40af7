/** Incidents of the operators' door: log-in, sessions, roles. A whole control plane, attacked over its HTTPS edge. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openPaths } from '../../functions/admin/open-route.ts';
import { grantOf, type Permission } from '../../lib/access/permissions.ts';
import type { Role } from '../../lib/access/principal.ts';
import { utf8 } from '../../lib/crypto/encoding.ts';
import { parseSshPrivateKey } from '../../lib/crypto/ssh-key.ts';
import { signSshSignature } from '../../lib/crypto/sshsig.ts';
import { type Edge, startEdge } from './edge.ts';

const stop: (() => unknown)[] = [];
let edge: Edge;

before(async () => {
  edge = await startEdge({ after: (step) => stop.push(step) });
});
after(async () => {
  for (const step of stop) await step();
});

type Challenge = { readonly login: string; readonly challenge: string; readonly namespace: string };

const begin = async (): Promise<Challenge> =>
  (await edge.call('POST', '/v1/login/begin', { body: { transport: 'bearer', input: {} } })).json();
const finish = ({ login }: Challenge, name: string, signature: string) =>
  edge.call('POST', '/v1/login/finish', { body: { transport: 'bearer', login, input: { name, signature } } });
const signed = async (keyFile: string, { challenge, namespace }: Challenge): Promise<string> =>
  signSshSignature({
    message: utf8(challenge),
    namespace,
    ...parseSshPrivateKey(await readFile(keyFile, 'utf8')),
  });

/** A user with a key of their own, and a session. */
async function person(name: string, role: 'admin' | 'viewer' | 'compliance') {
  const key = await edge.key(name);
  const line = (await readFile(`${key}.pub`, 'utf8')).trim();
  await edge.asAdmin('POST', '/v1/users', { name, role });
  await edge.asAdmin('POST', `/v1/users/${name}/keys`, { key: line });
  const challenge = await begin();
  const reply = await finish(challenge, name, await signed(key, challenge));
  assert.equal(reply.status, 200, reply.text);
  return { key, line, token: (reply.json() as { session: string }).session };
}

const minted = async (token: string, body: object): Promise<string> => {
  const reply = await edge.call('POST', '/v1/api-tokens', { token, body });
  assert.equal(reply.status, 200, reply.text);
  return (reply.json() as { token: string }).token;
};

/** Every operation that the API describes, with something in each place of its path. */
async function operations() {
  const { paths } = (await edge.asAdmin('GET', '/v1/openapi.json')) as {
    paths: { [path: string]: { [method: string]: { 'x-permission'?: string } } };
  };
  return Object.entries(paths).flatMap(([template, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${template}`,
      method: method.toUpperCase(),
      path: template.replace('/audit/{path}', '/audit/tile/0/000').replaceAll(/\{[a-z0-9A-Z]+\}/g, '0123456789abcdef'),
      permission: operation['x-permission'],
    })),
  );
}

test('incident 13: Salt CVE-2020-11651: every route of the API says who may use it, and answers 401 to a stranger', async () => {
  const all = await operations();
  assert.ok(all.length > 40, String(all.length));
  const open = openPaths.map((line) => line.replace(/:(\w+)/, '{$1}'));
  for (const { name, method, path, permission } of all) {
    assert.equal(permission === undefined, open.includes(name), name);
    if (permission !== undefined) assert.equal((await edge.call(method, path)).status, 401, name);
  }
});

test('incident 16: Salt CVE-2024-38825: a public key, an old signature and somebody else’s challenge are no log-in', async () => {
  const alice = await person('alice16', 'viewer');
  const mallory = await edge.key('mallory16');
  const first = await begin();
  const proof = await signed(alice.key, first);
  assert.equal((await finish(first, 'alice16', alice.line)).status, 401, 'the public key');
  assert.equal((await finish(first, 'alice16', proof)).status, 401, 'burned by the attempt before');
  assert.equal((await finish(await begin(), 'alice16', proof)).status, 401, 'an old signature');
  const second = await begin();
  assert.equal((await finish(second, 'alice16', await signed(mallory, second))).status, 401, 'another key');
  const third = await begin();
  const text = await signed(alice.key, { ...third, namespace: 'git' });
  assert.equal((await finish(third, 'alice16', text)).status, 401, 'signed for something else');
  const last = await begin();
  const good = await signed(alice.key, last);
  assert.equal((await finish(last, 'alice16', good)).status, 200);
  assert.equal((await finish(last, 'alice16', good)).status, 401, 'used');
});

test('incident 19: Teleport CVE-2025-49825: SSH certificates, and keys that sign them, are refused where keys are asked for', async (t) => {
  await edge.asAdmin('POST', '/v1/users', { name: 'carol19', role: 'viewer' });
  const key = await edge.key('carol19');
  const authority = await edge.key('authority19');
  try {
    execFileSync('ssh-keygen', ['-q', '-s', authority, '-I', 'carol', '-n', 'carol19', `${key}.pub`]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return t.skip('NOT TESTED: ssh-keygen is not installed');
    throw error;
  }
  const certificate = (await readFile(`${key}-cert.pub`, 'utf8')).trim();
  const line = (await readFile(`${authority}.pub`, 'utf8')).trim();
  for (const wrong of [certificate, `cert-authority ${line}`, `@cert-authority * ${line}`, `${certificate}\n${line}`]) {
    const reply = await edge.call('POST', '/v1/users/carol19/keys', { token: edge.localAdmin, body: { key: wrong } });
    assert.equal(reply.status, 400, reply.text);
  }
  // The key is registered; a signature that brings its certificate along is still no signature of that key.
  await edge.asAdmin('POST', '/v1/users/carol19/keys', { key: (await readFile(`${key}.pub`, 'utf8')).trim() });
  const challenge = await begin();
  const message = join(edge.directory, 'challenge19');
  execFileSync('sh', ['-c', 'printf %s "$1" > "$2"', 'sh', challenge.challenge, message]);
  execFileSync('ssh-keygen', ['-q', '-Y', 'sign', '-f', `${key}-cert.pub`, '-n', challenge.namespace, message], {
    stdio: 'ignore',
  });
  const withCertificate = await readFile(`${message}.sig`, 'utf8');
  assert.equal((await finish(challenge, 'carol19', withCertificate)).status, 401);
});

test('incident 23: Vault CVE-2025-5999 and its like: nobody raises themselves, by any route', async () => {
  const people = { viewer: await person('viewer23', 'viewer'), compliance: await person('compliance23', 'compliance') };
  for (const [role, { token }] of Object.entries(people)) {
    const name = `${role}23`;
    for (const { name: what, method, path, permission } of await operations()) {
      if (permission === undefined || what === 'POST /v1/session/end' || what === 'GET /v1/events') continue;
      const isGranted = grantOf({ role: role as Role }, permission as Permission) !== 'none';
      if (!isGranted) assert.equal((await edge.call(method, path, { token })).status, 403, `${role} ${what}`);
    }
    const tries: readonly [string, string, object][] = [
      ['PUT', `/v1/users/${name}`, { role: 'admin' }],
      ['POST', '/v1/users', { name: 'helper', role: 'admin' }],
      ['POST', '/v1/users/viewer23/keys', { key: people.viewer.line }],
      ['POST', '/v1/api-tokens', { name: 'x', owner: 'admin23' }],
      ['POST', '/v1/api-tokens', { name: 'x', scope: ['users.write'] }],
      ['POST', '/v1/api-tokens', { name: 'x', role: 'admin' }],
      ['POST', '/v1/releases', { manifest: '', signatures: [] }],
    ];
    for (const [method, path, body] of tries) {
      const reply = await edge.call(method, path, { token, body, headers: { 'if-match': '"1"' } });
      assert.ok([400, 403].includes(reply.status), `${role} ${method} ${path}: ${reply.status}`);
    }
  }
  // A token that is narrower than its owner stays narrow, also when it mints another.
  const { token: admin } = await person('admin23', 'admin');
  const narrow = await minted(admin, { name: 'narrow', scope: ['tokens.write', 'fleet.read'] });
  const wider = await edge.call('POST', '/v1/api-tokens', { token: narrow, body: { name: 'wide' } });
  if (wider.status === 200) {
    const { token } = wider.json() as { token: string };
    assert.equal((await edge.call('GET', '/v1/users', { token })).status, 403, 'no wider than what made it');
  } else assert.equal(wider.status, 403, wider.text);
  const asked = await edge.call('POST', '/v1/api-tokens', {
    token: narrow,
    body: { name: 'x', scope: ['users.write'] },
  });
  assert.equal(asked.status, 403, asked.text);
});

test('incident 25: Salt CVE-2022-22967: a disabled user’s session and API token fail on the next call', async () => {
  const { token, key } = await person('dave25', 'viewer');
  const api = await minted(token, { name: 'nightly' });
  for (const each of [token, api]) assert.equal((await edge.call('GET', '/v1/nodes', { token: each })).status, 200);
  const shown = await edge.call('GET', '/v1/users/dave25', { token: edge.localAdmin });
  const change = { token: edge.localAdmin, body: { state: 'disabled' } };
  const etag = { 'if-match': shown.headers.get('etag') ?? '' };
  assert.equal((await edge.call('PUT', '/v1/users/dave25', { ...change, headers: etag })).status, 200);
  for (const each of [token, api]) assert.equal((await edge.call('GET', '/v1/nodes', { token: each })).status, 401);
  const challenge = await begin();
  assert.equal((await finish(challenge, 'dave25', await signed(key, challenge))).status, 401);
});

test('incident 27: Wazuh CVE-2026-25771: a flood of bad tokens costs no work behind the cheap checks, and no good call', async () => {
  const { token } = await person('erin27', 'viewer');
  const bad = Array.from({ length: 300 }, (_, i) => `vgot_${'A'.repeat(43)}${String(i).padStart(6, '0')}`);
  const replies = await Promise.all(bad.map((each) => edge.call('GET', '/v1/nodes', { token: each })));
  assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([401]));
  assert.equal(new Set(replies.map(({ text }) => text)).size, 1);
  assert.equal((await edge.call('GET', '/v1/nodes', { token })).status, 200);
});

/** Incidents of log-in by a password and by an identity provider: whole control planes, attacked over their HTTPS edge. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createLoopbackTls } from '../fakes/loopback-tls.ts';
import { type MakeToken, startRogueProvider } from '../fakes/rogue-provider.ts';
import { type Edge, type Reply, startEdge } from './edge.ts';

const tls = await createLoopbackTls();
const provider = await startRogueProvider(tls);
const directory = await mkdtemp(join(tmpdir(), 'holdfast-incidents-'));
after(async () => {
  await provider.close();
  await rm(directory, { recursive: true, force: true });
});

/** A control plane that logs in at the rogue provider, and one log-in there, with the ID token that `make` makes. */
async function oidcEdge(t: Parameters<typeof startEdge>[0]) {
  const caFile = join(directory, 'idp.pem');
  await writeFile(caFile, tls.ca);
  const edge = await startEdge(t, {
    method: 'oidc',
    issuer: provider.issuer,
    clientId: 'holdfast',
    redirectUri: 'https://127.0.0.1:1/v1/login/callback',
    scopes: ['openid'],
    algorithm: 'ES256',
    claim: 'groups',
    roles: { admin: ['admins'], viewer: ['staff'] },
    caFile,
  });
  const redirectUri = 'http://127.0.0.1:2/callback';
  const begin = async () => {
    const reply = await edge.call('POST', '/v1/login/begin', {
      body: { transport: 'bearer', input: { flow: 'code', redirectUri } },
    });
    const { url, login } = reply.json() as { url: string; login: string };
    return { login, asked: new URL(url).searchParams };
  };
  const finish = (login: string, input: object): Promise<Reply> =>
    edge.call('POST', '/v1/login/finish', { body: { transport: 'bearer', login, input } });
  const logIn = async (make: MakeToken, claims: object = {}, change: object = {}) => {
    const { login, asked } = await begin();
    const now = Math.floor(Date.now() / 1000);
    provider.state.make = make;
    provider.state.claims = {
      iss: provider.issuer,
      aud: 'holdfast',
      sub: 'sub-1',
      iat: now,
      exp: now + 60,
      nonce: asked.get('nonce'),
      groups: ['staff'],
      ...claims,
    };
    return finish(login, { code: 'c', state: asked.get('state'), ...change });
  };
  return { edge, begin, finish, logIn };
}

test('incident 8: Fleet GHSA-63m5-974w-448v: a token that no key signed, or not for us, logs nobody in', async (t) => {
  const { logIn } = await oidcEdge(t);
  const past = Math.floor(Date.now() / 1000) - 3600;
  const unsigned: MakeToken = async (good) => `${(await provider.sign(good)).split('.').slice(0, 2).join('.')}.`;
  for (const make of [provider.unsigned, provider.confused, provider.signWithOtherKey, provider.signWithUnknownKey])
    assert.equal((await logIn(make)).status, 401, make.name);
  assert.equal((await logIn(unsigned)).status, 401);
  for (const claims of [{ aud: 'other' }, { iss: 'https://evil.test' }, { exp: past, iat: past - 60 }])
    assert.equal((await logIn(provider.sign, claims)).status, 401, JSON.stringify(claims));
  assert.equal((await logIn(provider.sign)).status, 200);
});

test('incident 24: Fleet CVE-2025-27509: no role unless the claim gives one, no admin by a claim, no mixed-up log-in', async (t) => {
  const { edge, begin, finish, logIn } = await oidcEdge(t);
  for (const groups of [[], ['guests'], { admin: true }, 'admin', ['admins'], ['staff', 'admins'], undefined]) {
    const reply = await logIn(provider.sign, { groups, sub: `sub-${JSON.stringify(groups)}` });
    const role = reply.status === 200 ? (reply.json() as { role: string }).role : 'none';
    assert.notEqual(role, 'admin', JSON.stringify(groups));
    if (JSON.stringify(groups) !== '["staff","admins"]') assert.equal(role, 'none', JSON.stringify(groups));
  }
  const { items } = (await edge.asAdmin('GET', '/v1/users')) as { items: { role: string }[] };
  assert.ok(items.every(({ role }) => role === 'viewer'));
  for (const claims of [{ nonce: 'x'.repeat(43) }, { aud: ['holdfast', 'x'] }, { azp: 'other' }])
    assert.equal((await logIn(provider.sign, claims)).status, 401, JSON.stringify(claims));
  for (const change of [{ state: 'x'.repeat(43) }, { iss: 'https://evil.test' }])
    assert.equal((await logIn(provider.sign, {}, change)).status, 401, JSON.stringify(change));
  // A code of my log-in, brought to the end of somebody else's; and a log-in that nobody began.
  const [mine, his] = [await begin(), await begin()];
  assert.equal((await finish(his.login, { code: 'c', state: mine.asked.get('state') })).status, 401);
  assert.equal((await finish('hfl_x', { code: 'c', state: mine.asked.get('state') })).status, 401);
  // PKCE: only a hash of the verifier left the server.
  assert.equal(mine.asked.get('code_challenge_method'), 'S256');
});

test('incident 22: Vault CVE-2025-6004 and its set: spellings of one name share one lockout, and nothing tells who exists', async (t) => {
  const edge = await startEdge(t, { method: 'basic' });
  const password = 'correct horse battery staple';
  for (const name of ['alice', 'bob']) {
    await edge.asAdmin('POST', '/v1/users', { name, role: 'viewer' });
    await edge.asAdmin('POST', `/v1/users/${name}/password`, { password });
  }
  const attempt = (name: string, typed: string) => logInAs(edge, name, typed);
  const unknown = await attempt('nobody', password);
  const wrong = await attempt('bob', 'a wrong password');
  const withSpaces = await attempt('bob', `${password} `);
  for (const reply of [unknown, wrong, withSpaces]) assert.equal(reply.status, 401);
  assert.equal(unknown.text, wrong.text);
  assert.deepEqual(namesOf(unknown.headers), namesOf(wrong.headers));
  // Spaces around a name, its case and its form are the same name, and count against it together.
  const spellings = ['alice', 'ALICE', ' alice ', 'ａlice', 'Alice\t'];
  for (const name of spellings) assert.equal((await attempt(name, 'a wrong password')).status, 401, name);
  for (const name of ['alice', ...spellings]) {
    const reply = await attempt(name, password);
    assert.equal(reply.status, 429, `${JSON.stringify(name)}: locked out, also with the right password`);
    assert.match(reply.headers.get('retry-after') ?? '', /^[1-9][0-9]*$/);
  }
  // A name that nobody has is locked out just the same.
  for (let round = 0; round < 5; round++) await attempt('nobody', password);
  assert.equal((await attempt('nobody', password)).status, 429);
  assert.equal((await attempt('bob', password)).status, 200, 'another name is not');
});

function logInAs(edge: Edge, name: string, password: string): Promise<Reply> {
  return edge.call('POST', '/v1/login/finish', { body: { transport: 'bearer', input: { name, password } } });
}

function namesOf(headers: Headers): string[] {
  return [...headers.keys()].sort();
}

import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { createHttpsFetch } from '../../../functions/standalone/https-fetch.ts';
import { createAccessWorld } from '../../../test/fakes/access.ts';
import { createLoopbackTls } from '../../../test/fakes/loopback-tls.ts';
import { type Claims, type MakeToken, startRogueProvider } from '../../../test/fakes/rogue-provider.ts';
import { AccessError } from '../errors.ts';
import { roleAtLogin, rolesOf } from '../role-claims.ts';
import { createOidcProvider, type OidcConfig } from './oidc.ts';

const tls = await createLoopbackTls();
const rogue = await startRogueProvider(tls);
after(() => rogue.close());
beforeEach(() => {
  rogue.state.discoveryIssuer = rogue.issuer;
});

const config: OidcConfig = {
  issuer: rogue.issuer,
  clientId: 'holdfast',
  redirectUri: 'https://cp.test/v1/login/callback',
  scopes: ['openid'],
  algorithm: 'ES256',
  claim: 'groups',
  roles: { viewer: ['staff'] },
};

/** Logs in with the ID token that `make` makes of the claims of an honest one. */
async function logInWith(make: MakeToken) {
  const { deps } = createAccessWorld();
  const provider = createOidcProvider({ ...deps, config, fetch: createHttpsFetch(tls.ca) });
  const { loginId, answer } = await provider.begin({});
  const asked = new URL(String(answer['url'])).searchParams;
  const now = Math.floor(Date.now() / 1000);
  rogue.state.make = make;
  rogue.state.claims = {
    iss: rogue.issuer,
    aud: 'holdfast',
    sub: 'sub-1',
    iat: now,
    exp: now + 60,
    nonce: asked.get('nonce'),
    groups: ['staff'],
  };
  return provider.finish({ code: 'c', state: asked.get('state') }, loginId);
}

const having =
  (change: Claims): MakeToken =>
  (good) =>
    rogue.sign({ ...good, ...change });
const without =
  (name: string): MakeToken =>
  (good) =>
    rogue.sign(Object.fromEntries(Object.entries(good).filter(([key]) => key !== name)));
const past = Math.floor(Date.now() / 1000) - 3600;

test('R18 oidc: an honest ID token logs in', async () => {
  const finished = await logInWith(rogue.sign);
  assert.ok(finished.kind === 'identified' && finished.user.role === 'viewer');
});

const refused: [string, MakeToken][] = [
  ['alg none', rogue.unsigned],
  ['key confusion: HS256 with the public key', rogue.confused],
  ['another key under the same kid', rogue.signWithOtherKey],
  ['a key that is not published', rogue.signWithUnknownKey],
  ['another issuer', having({ iss: 'https://evil.test' })],
  ['issuer with a slash more', having({ iss: `${rogue.issuer}/` })],
  ['no issuer', without('iss')],
  ['another audience', having({ aud: 'other' })],
  ['an audience that begins alike', having({ aud: 'holdfast2' })],
  ['no audience', without('aud')],
  ['several audiences and no azp', having({ aud: ['holdfast', 'other'] })],
  ['several audiences, azp of another', having({ aud: ['holdfast', 'other'], azp: 'other' })],
  ['azp of another', having({ azp: 'other' })],
  ['expired', having({ exp: past, iat: past - 60 })],
  ['no expiry', without('exp')],
  ['not valid yet', having({ nbf: past + 7200 })],
  ['nonce of another log-in', having({ nonce: 'x'.repeat(43) })],
  ['no nonce', without('nonce')],
  ['no subject', without('sub')],
  ['an empty subject', having({ sub: '' })],
  ['no role', having({ groups: ['guests'] })],
  ['no claim of roles', without('groups')],
  ['a signature cut off', async (good) => (await rogue.sign(good)).slice(0, -10)],
  [
    'claims changed after signing',
    async (good) => {
      const [header, , signature] = (await rogue.sign(good)).split('.');
      return `${header}.${Buffer.from(JSON.stringify({ ...good, sub: 'other' })).toString('base64url')}.${signature}`;
    },
  ],
  ['no JWT', async () => 'x'],
];

for (const [what, make] of refused) {
  test(`R18 incident 8 oidc refuses: ${what}`, async () => {
    await assert.rejects(logInWith(make), (error) => {
      assert.ok(error instanceof AccessError && error.code === 'refused', String(error));
      assert.equal(error.message, 'the log-in was not accepted');
      return true;
    });
  });
}

test('R18 oidc: discovery that names another issuer is no provider', async () => {
  rogue.state.discoveryIssuer = 'https://evil.test';
  const { deps } = createAccessWorld();
  const provider = createOidcProvider({ ...deps, config, fetch: createHttpsFetch(tls.ca) });
  await assert.rejects(provider.begin({}), (error) => error instanceof AccessError && error.code === 'unavailable');
});

test('R44 oidc: a provider whose certificate is of another CA is not spoken to', async () => {
  const { deps } = createAccessWorld();
  const before = rogue.state.requests.length;
  const provider = createOidcProvider({ ...deps, config, fetch: createHttpsFetch() });
  await assert.rejects(provider.begin({}), (error) => error instanceof AccessError && error.code === 'unavailable');
  await assert.rejects(createHttpsFetch(tls.ca)('http://127.0.0.1:1/', { method: 'GET', headers: {} }), TypeError);
  assert.equal(rogue.state.requests.length, before);
});

test('R18 roles by claim: exact values of the claim alone, never more than an admin gave', () => {
  const map = { claim: 'groups', roles: { admin: ['a'], viewer: ['v', 'w'], compliance: ['c'] } };
  for (const [claims, expected] of [
    [{}, []],
    [{ groups: 'v' }, ['viewer']],
    [{ groups: ['x', 'w', 'c'] }, ['viewer', 'compliance']],
    [{ groups: ['V', 'v ', 'vv'] }, []],
    [{ groups: [['v']] }, []],
    [{ groups: { v: true } }, []],
    [{ Groups: ['v'] }, []],
    [{ groups: null }, []],
  ] as const)
    assert.deepEqual([...rolesOf(map, claims)], expected, JSON.stringify(claims));
  assert.deepEqual([...rolesOf({ claim: 'constructor', roles: { viewer: ['v'] } }, {})], []);
  const set = (...roles: ('admin' | 'viewer' | 'compliance')[]) => new Set(roles);
  assert.equal(roleAtLogin(set('admin'), undefined), undefined);
  assert.equal(roleAtLogin(set('admin'), 'viewer'), undefined);
  assert.equal(roleAtLogin(set('admin', 'viewer'), undefined), 'viewer');
  assert.equal(roleAtLogin(set('admin', 'viewer'), 'viewer'), 'viewer');
  assert.equal(roleAtLogin(set('admin'), 'admin'), 'admin');
  assert.equal(roleAtLogin(set('viewer'), 'admin'), 'viewer');
  assert.equal(roleAtLogin(set('compliance'), 'viewer'), 'compliance');
  assert.equal(roleAtLogin(set(), 'admin'), undefined);
});

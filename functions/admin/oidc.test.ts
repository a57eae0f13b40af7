/** The provider `oidc` end to end against a real, certified provider, through the routes that a browser and the CLI use. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { addAccount } from '../../lib/access/accounts.ts';
import { localAdminCaller } from '../../lib/access/caller.ts';
import { createOidcProvider, type OidcConfig } from '../../lib/access/providers/oidc.ts';
import { dumpStore } from '../../test/fakes/access.ts';
import { bearerHeaders, createAdminWorld, pageHeaders, testSite } from '../../test/fakes/admin.ts';
import { createLoopbackTls } from '../../test/fakes/loopback-tls.ts';
import { startOidcProvider, testClientId, visitAs } from '../../test/fakes/oidc-provider.ts';

const redirectUri = `${testSite}/v1/login/callback`;
const server = await startOidcProvider(await createLoopbackTls(), {
  accounts: {
    'sub-vera': { groups: ['staff'], preferred_username: 'Vera' },
    'sub-cora': { groups: ['auditors', 'other'], preferred_username: 'cora' },
    'sub-adam': { groups: ['admins'], preferred_username: 'adam' },
    'sub-nobody': { groups: ['guests'], preferred_username: 'nobody' },
    'sub-odd': { groups: { admin: true }, preferred_username: 'odd' },
    'sub-thief': { groups: ['staff'], preferred_username: 'vera' },
  },
  redirectUris: [redirectUri, 'http://127.0.0.1/callback'],
});
after(() => server.close());

const config: OidcConfig = {
  issuer: server.issuer,
  clientId: testClientId,
  redirectUri,
  scopes: ['openid', 'profile', 'groups'],
  algorithm: 'ES256',
  claim: 'groups',
  roles: { admin: ['admins'], viewer: ['staff'], compliance: ['auditors'] },
};

async function setUp() {
  const world = await createAdminWorld({
    provider: (deps) => createOidcProvider({ ...deps, config, fetch: server.fetch }),
  });
  const { app, deps, passwords } = world;
  const post = (path: string, body: object, headers: Record<string, string> = { origin: testSite }) =>
    app.request(`${testSite}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  const begin = async () => {
    const response = await post('/v1/login/begin', { input: {} });
    const { url } = (await response.json()) as { url: string };
    return { url, cookie: cookieOf(response, '__Host-holdfast-login') };
  };
  const callback = (url: URL | string, cookie: string) =>
    app.request(String(url), { headers: { cookie: `__Host-holdfast-login=${cookie}` } });
  const logIn = async (account: string) => {
    const { url, cookie } = await begin();
    return callback(await visitAs(server.fetch, server.issuer, url, account), cookie);
  };
  const accounts = { ...deps, passwords, issuer: server.issuer };
  const reasons = () => world.audit.of('session.refuse').map(({ detail }) => detail?.['reason']);
  return { ...world, accounts, post, begin, callback, logIn, reasons };
}

const cookieOf = (response: Response, name: string) =>
  new RegExp(`${name}=([^;]+);`).exec(response.headers.getSetCookie().join('\n'))?.[1] ?? '';

async function whoIs({ app }: Pick<Awaited<ReturnType<typeof setUp>>, 'app'>, response: Response) {
  assert.equal(response.status, 303, await response.clone().text());
  assert.equal(response.headers.get('location'), '/');
  const headers = pageHeaders(cookieOf(response, '__Host-holdfast'));
  const { id, role, auth } = (await (await app.request(`${testSite}/v1/whoami`, { headers })).json()) as Record<
    string,
    string
  >;
  return { id, role, auth };
}

test('R18 oidc end to end: code, PKCE, state and nonce; the role comes by the claim', async () => {
  const world = await setUp();
  const { url } = await world.begin();
  const asked = new URL(url).searchParams;
  assert.equal(asked.get('response_type'), 'code');
  assert.equal(asked.get('code_challenge_method'), 'S256');
  for (const name of ['state', 'nonce', 'code_challenge']) assert.match(asked.get(name) ?? '', /^[A-Za-z0-9_-]{43}$/);
  assert.deepEqual(await whoIs(world, await world.logIn('sub-vera')), { id: 'vera', role: 'viewer', auth: 'oidc' });
  assert.deepEqual(await whoIs(world, await world.logIn('sub-cora')), { id: 'cora', role: 'compliance', auth: 'oidc' });
  assert.deepEqual(await whoIs(world, await world.logIn('sub-vera')), { id: 'vera', role: 'viewer', auth: 'oidc' });
  assert.equal(world.audit.of('user.create').length, 2);
});

test('R18 incident 24: no role by the claim is no access, and no admin is made just in time', async () => {
  const world = await setUp();
  for (const account of ['sub-nobody', 'sub-odd', 'sub-adam']) {
    const response = await world.logIn(account);
    assert.equal(response.status, 401, account);
    assert.equal(cookieOf(response, '__Host-holdfast'), '');
  }
  assert.deepEqual(world.reasons(), ['oidc_no_role', 'oidc_no_role', 'oidc_no_new_admin']);
  assert.equal(world.audit.of('user.create').length, 0);
  await addAccount(world.accounts, { name: 'adam', role: 'admin', subject: 'sub-adam', caller: localAdminCaller });
  assert.deepEqual(await whoIs(world, await world.logIn('sub-adam')), { id: 'adam', role: 'admin', auth: 'oidc' });
});

test('R18 an account is its subject: the name of somebody else in a claim gives nothing of theirs', async () => {
  const world = await setUp();
  await addAccount(world.accounts, {
    name: 'vera',
    role: 'admin',
    subject: 'another-subject',
    caller: localAdminCaller,
  });
  const who = await whoIs(world, await world.logIn('sub-thief'));
  assert.match(who.id ?? '', /^oidc-[0-9a-f]{16}$/);
  assert.equal(who.role, 'viewer');
});

test('R20 an admin whose claim is gone is moved down, and a disabled account stays out', async () => {
  const world = await setUp();
  await addAccount(world.accounts, { name: 'vera', role: 'admin', subject: 'sub-vera', caller: localAdminCaller });
  assert.equal((await whoIs(world, await world.logIn('sub-vera'))).role, 'viewer');
  assert.deepEqual(world.audit.of('user.role')[0]?.detail, { role: 'viewer', previous: 'admin' });
  const { setState } = await import('../../lib/access/accounts.ts');
  await setState(world.accounts, { name: 'vera', caller: localAdminCaller, state: 'disabled' });
  assert.equal((await world.logIn('sub-vera')).status, 401);
  assert.deepEqual(world.reasons(), ['user_disabled']);
});

test('R18 oidc: wrong state, no cookie, another client’s cookie, replayed code, mixed-up issuer, an error: refused', async () => {
  const world = await setUp();
  const visit = (url: string) => visitAs(server.fetch, server.issuer, url, 'sub-vera');
  const changed = (url: URL, name: string, value: string | undefined) => {
    const copy = new URL(url);
    if (value === undefined) copy.searchParams.delete(name);
    else copy.searchParams.set(name, value);
    return copy;
  };
  const cases: [string, (back: URL, cookie: string, other: string) => Response | Promise<Response>][] = [
    ['state of another', (back, cookie) => world.callback(changed(back, 'state', 'x'.repeat(43)), cookie)],
    ['no state', (back, cookie) => world.callback(changed(back, 'state', undefined), cookie)],
    ['no cookie', (back) => world.app.request(back.href)],
    ['a made-up cookie', (back) => world.callback(back, `hfl_${'A'.repeat(43)}`)],
    ['another browser’s cookie', (back, _cookie, other) => world.callback(back, other)],
    ['mixed-up issuer', (back, cookie) => world.callback(changed(back, 'iss', 'https://evil.test'), cookie)],
    ['no issuer', (back, cookie) => world.callback(changed(back, 'iss', undefined), cookie)],
    ['another code', (back, cookie) => world.callback(changed(back, 'code', 'A'.repeat(43)), cookie)],
    ['no code', (back, cookie) => world.callback(changed(back, 'code', undefined), cookie)],
    ['an error', (back, cookie) => world.callback(changed(back, 'error', 'access_denied'), cookie)],
    ['a parameter twice', (back, cookie) => world.callback(`${back.href}&state=x`, cookie)],
    ['a device code by redirect', (back, cookie) => world.callback(changed(back, 'deviceCode', 'x'), cookie)],
  ];
  for (const [what, attempt] of cases) {
    const { url, cookie } = await world.begin();
    const response = await attempt(await visit(url), cookie, (await world.begin()).cookie);
    assert.ok(response.status === 401 || response.status === 400, `${what}: ${response.status}`);
    assert.equal(cookieOf(response, '__Host-holdfast'), '', what);
  }
  const { url, cookie } = await world.begin();
  const back = await visit(url);
  assert.equal((await world.callback(back, cookie)).status, 303);
  assert.equal((await world.callback(back, cookie)).status, 401, 'the same answer again');
  const second = await world.begin();
  const reused = changed(await visit(second.url), 'code', back.searchParams.get('code') ?? '');
  assert.equal((await world.callback(reused, second.cookie)).status, 401, 'a used code in a new log-in');
});

test('R18 oidc: a person who is refused sees the page say so; the log-in can not be repeated', async () => {
  const world = await setUp();
  const { url, cookie } = await world.begin();
  const back = await visitAs(server.fetch, server.issuer, url, 'sub-nobody');
  const headers = { cookie: `__Host-holdfast-login=${cookie}`, accept: 'text/html,*/*' };
  const response = await world.app.request(back.href, { headers });
  assert.equal(response.status, 303);
  assert.equal(response.headers.get('location'), '/#refused');
});

test('R18 oidc on a machine of one’s own: redirect to loopback, on any port, and to nowhere else', async () => {
  const world = await setUp();
  const begin = (redirect: string) =>
    world.post('/v1/login/begin', { transport: 'bearer', input: { redirectUri: redirect } }, {});
  for (const bad of [
    'http://127.0.0.1/callback',
    'http://localhost:8000/callback',
    'https://evil.test/callback',
    'http://127.0.0.1:80/callback?x',
    'http://127.0.0.1:80@evil.test/callback',
  ])
    assert.equal((await begin(bad)).status, 400, bad);
  const { url, login } = (await (await begin('http://127.0.0.1:49152/callback')).json()) as {
    url: string;
    login: string;
  };
  const back = await visitAs(server.fetch, server.issuer, url, 'sub-vera');
  assert.equal(back.origin, 'http://127.0.0.1:49152');
  const input = Object.fromEntries(back.searchParams);
  const finished = await world.post('/v1/login/finish', { transport: 'bearer', login, input }, {});
  assert.equal(finished.status, 200);
  const { session } = (await finished.json()) as { session: string };
  assert.equal((await world.app.request(`${testSite}/v1/whoami`, { headers: bearerHeaders(session) })).status, 200);
});

test('R18 oidc by the device flow: pending until the person agrees, then a session', async () => {
  const world = await setUp();
  const begun = (await (
    await world.post('/v1/login/begin', { transport: 'bearer', input: { flow: 'device' } }, {})
  ).json()) as Record<string, string>;
  const finish = async () => {
    const response = await world.post(
      '/v1/login/finish',
      { transport: 'bearer', input: { deviceCode: begun['deviceCode'] } },
      {},
    );
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  assert.deepEqual(await finish(), { status: 200, body: { pending: true, retryAfterMs: 5000 } });
  await visitAs(server.fetch, server.issuer, begun['verificationUriComplete'] ?? '', 'sub-cora');
  const done = await finish();
  assert.equal(done.status, 200, JSON.stringify(done.body));
  assert.equal(done.body['user'], 'cora');
  assert.equal((await finish()).status, 401);
});

test('a dump of the store holds no state, nonce, verifier or log-in id', async () => {
  const { begin, store } = await setUp();
  const { url, cookie } = await begin();
  const asked = new URL(url).searchParams;
  const dump = await dumpStore(
    store,
    [...'0123456789abcdef'].map((d) => `login#${d}`),
  );
  assert.match(dump, /oidc/);
  for (const secret of [cookie, cookie.slice(4), asked.get('state') ?? '?', asked.get('nonce') ?? '?'])
    assert.equal(dump.includes(secret), false);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csrfHeader } from '../../lib/access/csrf.ts';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { formatSshPublicKey, sshPublicKeyOf } from '../../lib/crypto/ssh-key.ts';
import { dumpStore } from '../../test/fakes/access.ts';
import {
  type AdminWorld,
  bearerHeaders,
  createAdminWorld,
  pageHeaders,
  testLocalAdminToken,
  testSite,
} from '../../test/fakes/admin.ts';
import type { LoginAnswer } from './routes/login.ts';
import type { SessionView } from './routes/session.ts';
import type { UserView } from './routes/users.ts';

const admin = bearerHeaders(testLocalAdminToken);
const hex = [...'0123456789abcdef'];
const password = 'correct horse battery staple';

function client({ app }: Pick<AdminWorld, 'app'>) {
  return async <T = Record<string, unknown>>(
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: unknown,
  ) => {
    const response = await app.request(`${testSite}${path}`, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as T & { reason?: string; detail?: string },
    };
  };
}

async function setUp() {
  const world = await createAdminWorld();
  const call = client(world);
  await call('POST', '/v1/users', admin, { name: 'alice', role: 'viewer' });
  assert.equal((await call('POST', '/v1/users/alice/password', admin, { password })).status, 200);
  const logIn = (name = 'alice', secret = password) =>
    call<LoginAnswer>('POST', '/v1/login/finish', { origin: testSite }, { input: { name, password: secret } });
  return { ...world, call, logIn };
}

const cookieOf = (headers: Headers) => /__Host-holdfast=(hfs_[^;]+)/.exec(headers.getSetCookie().join('\n'))?.[1] ?? '';

test('R20 the session cookie is bound to the host, secure, out of reach of scripts and of other sites', async () => {
  const { logIn } = await setUp();
  const { status, headers, body } = await logIn();
  assert.equal(status, 200);
  const [session, login] = headers.getSetCookie();
  assert.match(
    session ?? '',
    /^__Host-holdfast=hfs_[A-Za-z0-9_-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200$/,
  );
  assert.match(login ?? '', /^__Host-holdfast-login=; .*Max-Age=0$/);
  assert.equal(JSON.stringify(body).includes('hfs_'), false);
});

test('R20 CSRF: a mutation under a cookie needs our origin, our page and our token', async () => {
  const { call, logIn, audit } = await setUp();
  const session = cookieOf((await logIn()).headers);
  const good = pageHeaders(session);
  const { body } = await call<SessionView>('GET', '/v1/session', good);
  assert.equal(body.csrf, good[csrfHeader]);
  const { origin: _o, ...noOrigin } = good;
  const { [csrfHeader]: _t, ...noToken } = good;
  const bad: Record<string, string>[] = [
    noOrigin,
    noToken,
    { ...good, origin: 'https://evil.test' },
    { ...good, origin: 'null' },
    { ...good, origin: `${testSite}.evil.test` },
    { ...good, origin: 'http://cp.test' },
    { ...good, 'sec-fetch-site': 'cross-site' },
    { ...good, 'sec-fetch-site': 'same-site' },
    { ...good, 'sec-fetch-site': 'none' },
    { ...good, [csrfHeader]: '' },
    { ...good, [csrfHeader]: 'x'.repeat(43) },
    { ...good, [csrfHeader]: session },
  ];
  for (const headers of bad) {
    const answer = await call('POST', '/v1/session/end', headers, {});
    assert.equal(answer.status, 403, JSON.stringify(headers));
    assert.equal(answer.body.reason, 'csrf');
  }
  assert.equal(audit.of('access.refuse').filter(({ detail }) => detail?.['reason'] === 'csrf').length, bad.length);
  assert.equal((await call('POST', '/v1/session/end', good, {})).status, 200);
});

test('R20 another site can not log its visitor in: a cookie is set for our own page alone', async () => {
  const { call } = await setUp();
  const input = { name: 'alice', password };
  for (const headers of [
    {},
    { origin: 'https://evil.test' },
    { origin: testSite, 'sec-fetch-site': 'cross-site' },
  ] as Record<string, string>[]) {
    assert.equal((await call('POST', '/v1/login/finish', headers, { input })).status, 403);
    assert.equal((await call('POST', '/v1/login/begin', headers, { input: {} })).status, 403);
  }
});

test('R20 R22 log-out, role change, disabling, deletion, revocation: dead on the next request, in every process', async () => {
  const world = await setUp();
  const { call, logIn } = world;
  const elsewhere = client({ app: world.makeApp() });
  const statusOf = async (headers: Record<string, string>) => (await elsewhere('GET', '/v1/whoami', headers)).status;
  const edit = async (name: string, change: object) => {
    const { headers } = await call('GET', `/v1/users/${name}`, admin);
    const answer = await call('PUT', `/v1/users/${name}`, { ...admin, 'if-match': headers.get('etag') ?? '' }, change);
    assert.equal(answer.status, 200, answer.body.detail);
  };
  const open = async () => pageHeaders(cookieOf((await logIn()).headers));

  const out = await open();
  assert.equal(await statusOf(out), 200);
  await call('POST', '/v1/session/end', out, {});
  assert.equal(await statusOf(out), 401);

  const moved = await open();
  const minted = await call<{ token: string; id: string }>('POST', '/v1/api-tokens', moved, { name: 'ci' });
  const token = bearerHeaders(minted.body.token);
  await edit('alice', { role: 'compliance' });
  assert.equal(await statusOf(moved), 401);
  assert.equal((await elsewhere('GET', '/v1/nodes', token)).status, 403);

  const disabled = await open();
  await edit('alice', { state: 'disabled' });
  assert.equal(await statusOf(disabled), 401);
  assert.equal(await statusOf(token), 401);
  assert.equal((await logIn()).status, 401);
  await edit('alice', { state: 'active' });
  assert.equal(await statusOf(disabled), 401);
  assert.equal(await statusOf(token), 200);
  await call('POST', `/v1/api-tokens/${minted.body.id}/revoke`, admin, {});
  assert.equal(await statusOf(token), 401);

  const changed = await open();
  await call('POST', '/v1/users/alice/password', admin, { password: `${password}!` });
  assert.equal(await statusOf(changed), 401);
  assert.equal((await logIn()).status, 401);
});

test('R24 incident 23: matrix of who may grant which role to whom', async () => {
  const { call, user, ...world } = await setUp();
  const boss = await user('boss', 'admin');
  const scope = ['users.write'] as never[];
  const narrow = bearerHeaders((await world.apiToken(boss, { scope })).token);
  const key = formatSshPublicKey(sshPublicKeyOf(generateEd25519().publicKey));
  const refused = async (path: string, body: object, headers: Record<string, string> = {}, method = 'POST') => {
    const answer = await call(method, path, { ...narrow, ...headers }, body);
    assert.equal(answer.status, 403, `${path} ${JSON.stringify(answer.body)}`);
    assert.equal(answer.body.reason, 'not_permitted');
  };
  for (const role of ['admin', 'viewer', 'compliance']) await refused('/v1/users', { name: 'mallory', role });
  await refused('/v1/users/boss/password', { password: 'a password of mine' });
  await refused('/v1/users/boss/keys', { key });
  await refused('/v1/users/boss/sessions/end', {});
  await refused('/v1/users/alice', { role: 'admin' }, { 'if-match': '"2"' }, 'PUT');
  // Viewers and compliance reach no write of users or of others' tokens by any route.
  const alice = pageHeaders(cookieOf((await world.logIn()).headers));
  for (const [path, body] of [
    ['/v1/users', { name: 'm', role: 'admin' }],
    ['/v1/users/alice/password', { password }],
    ['/v1/api-tokens', { name: 'x', owner: 'boss' }],
  ] as const)
    assert.equal((await call('POST', path, alice, body)).status, 403);
  const { body } = await call<{ items: unknown[] }>('GET', '/v1/api-tokens', alice);
  assert.deepEqual(body.items, []);
});

test('R27 local-admin owns no API token and no user can take its name', async () => {
  const { call } = await setUp();
  const answer = await call('POST', '/v1/api-tokens', admin, { name: 'x' });
  assert.equal(answer.status, 400);
  assert.match(answer.body.detail ?? '', /local-admin/);
  assert.equal((await call('POST', '/v1/api-tokens', admin, { name: 'x', owner: 'local-admin' })).status, 400);
  for (const name of ['local-admin', ' LOCAL-admin', 'ｌocal-admin'])
    assert.equal((await call('POST', '/v1/users', admin, { name, role: 'viewer' })).status, 400, name);
});

test('ETags: of two who edit at once, one is told', async () => {
  const { call } = await setUp();
  const { headers } = await call('GET', '/v1/users/alice', admin);
  const etag = headers.get('etag') ?? '';
  assert.match(etag, /^"[0-9]+"$/);
  const put = (match: Record<string, string>) =>
    call('PUT', '/v1/users/alice', { ...admin, ...match }, { role: 'compliance' });
  assert.equal((await put({})).status, 428);
  assert.equal((await put({ 'if-match': '*' })).status, 400);
  assert.equal((await put({ 'if-match': 'W/"2"' })).status, 400);
  const answers = await Promise.all([put({ 'if-match': etag }), put({ 'if-match': etag })]);
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 412]);
  assert.equal((await call('DELETE', '/v1/users/alice', { ...admin, 'if-match': etag })).status, 412);
});

test('idempotency: a repeated mutation is done once and answered the same, and another request under its key is refused', async () => {
  const { call, store } = await setUp();
  const key = { ...admin, 'idempotency-key': 'once-only-0001' };
  const body = { name: 'ci', owner: 'alice' };
  const first = await call<{ token: string }>('POST', '/v1/api-tokens', key, body);
  const second = await call<{ token: string }>('POST', '/v1/api-tokens', key, body);
  assert.equal(first.status, 200);
  assert.deepEqual(second.body, first.body);
  assert.equal((await call<{ items: unknown[] }>('GET', '/v1/api-tokens', admin)).body.items.length, 1);
  const other = await call('POST', '/v1/api-tokens', key, { ...body, name: 'other' });
  assert.equal(other.status, 422);
  assert.equal(other.body.reason, 'key_reused');
  for (const bad of ['short', 'x'.repeat(129)])
    assert.equal((await call('POST', '/v1/api-tokens', { ...admin, 'idempotency-key': bad }, body)).status, 400);
  // A refusal frees the key.
  const retry = { ...admin, 'idempotency-key': 'once-only-0002' };
  assert.equal((await call('POST', '/v1/users', retry, { name: 'alice', role: 'viewer' })).status, 409);
  assert.equal((await call('POST', '/v1/users', retry, { name: 'bob', role: 'viewer' })).status, 200);
  // Also an answer that carries a revision.
  const guarded = { ...admin, 'idempotency-key': 'once-only-0003', 'if-match': '"1"' };
  const [disabled, repeated] = [
    await call('PUT', '/v1/users/bob', guarded, { state: 'disabled' }),
    await call('PUT', '/v1/users/bob', guarded, { state: 'disabled' }),
  ];
  assert.equal(disabled.status, 200);
  assert.deepEqual(repeated.body, disabled.body);
  assert.equal(repeated.headers.get('etag'), disabled.headers.get('etag'));
  const dump = await dumpStore(
    store,
    hex.map((d) => `idempotency#${d}`),
  );
  assert.equal(dump.includes(first.body.token.slice(5, 30)), false);
});

test('a dump of the store holds no password, session id, API token or challenge in a usable form', async () => {
  const { call, store, logIn } = await setUp();
  const session = cookieOf((await logIn()).headers);
  const minted = await call<{ token: string }>('POST', '/v1/api-tokens', admin, { name: 'ci', owner: 'alice' });
  await logIn('alice', 'a wrong password that somebody typed');
  await logIn('a password in the name field', 'x');
  const kinds = ['session', 'api-token', 'login', 'lockout', 'idempotency'].flatMap((kind) =>
    hex.map((d) => `${kind}#${d}`),
  );
  const dump = await dumpStore(store, [...kinds, 'user', 'credential', 'oidc-account']);
  assert.match(dump, /password#/);
  for (const secret of [
    password,
    'a wrong password',
    'name field',
    session.slice(4),
    minted.body.token.slice(5, 48),
    'argon2id',
  ]) {
    for (const form of [
      secret,
      Buffer.from(secret).toString('hex'),
      Buffer.from(secret).toString('base64').replace(/=+$/, ''),
    ])
      assert.equal(dump.includes(form), false, secret);
  }
});

test('incident 34: no secret in audit entries, nor what was typed into the wrong field', async () => {
  const { call, audit, logIn } = await setUp();
  const session = cookieOf((await logIn()).headers);
  await logIn('alice', 'canary-wrong-password');
  await logIn('canary-in-name-field', 'x');
  await call('POST', '/v1/users/alice/password', admin, { password: 'canary-new-password' });
  const text = JSON.stringify(audit.events);
  for (const secret of ['canary', password, session]) assert.equal(text.includes(secret), false, secret);
  assert.deepEqual(
    audit.of('session.refuse').map(({ object, detail }) => [object.id, detail?.['reason']]),
    [
      ['alice', 'wrong_password'],
      ['unknown', 'unknown_user'],
    ],
  );
});

test('every change of a user leaves exactly one entry, and none happens without it', async () => {
  const { call, audit } = await setUp();
  const before = audit.events.length;
  await call('POST', '/v1/users', admin, { name: 'bob', role: 'viewer' });
  await call('POST', '/v1/users/bob/sessions/end', admin, {});
  await call('POST', '/v1/users/bob/unlock', admin, {});
  assert.deepEqual(
    audit.events.slice(before).map(({ type }) => type),
    ['user.create', 'user.sessions.end', 'user.unlock'],
  );
  audit.failing = true;
  const answer = await call('POST', '/v1/users', admin, { name: 'carol', role: 'viewer' });
  assert.equal(answer.status, 503);
  audit.failing = false;
  assert.equal((await call('GET', '/v1/users/carol', admin)).status, 404);
  const { body } = await call<{ items: UserView[] }>('GET', '/v1/users', admin);
  assert.deepEqual(
    body.items.map(({ name }) => name),
    ['alice', 'bob'],
  );
});

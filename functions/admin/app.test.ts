import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { z } from 'zod';
import type { Authenticate } from '../../lib/access/authenticate.ts';
import { mintLocalAdmin, readLocalAdminToken } from '../../lib/access/local-admin.ts';
import { grantOf } from '../../lib/access/permissions.ts';
import { localAdmin, type Principal, type Role } from '../../lib/access/principal.ts';
import type { parseDescriptor } from '../../lib/identity/descriptor.ts';
import { createMemoryBlobs } from '../../lib/store/blobs-memory.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { createFakeSealer } from '../../test/fakes/access.ts';
import { createFakeAudit } from '../../test/fakes/audit.ts';
import { createAdminApp } from './app.ts';
import { bearerToken } from './bearer.ts';
import { openPaths } from './open-route.ts';
import { type Route, route } from './route.ts';
import { adminRoutes } from './routes.ts';

const logger = pino({ level: 'silent' });

/** Authenticates by a function of the bearer token alone. */
const byToken =
  (principalOf: (token: string) => Principal | undefined): Authenticate =>
  async ({ bearer }) => {
    const principal = bearer === undefined ? undefined : principalOf(bearer);
    if (principal !== undefined) return { caller: { principal, via: 'local-admin', isAmbient: false } };
    return { refused: bearer === undefined ? 'no_credential' : 'bad_credential' };
  };

function setUp(principalOf: (token: string) => Principal | undefined = () => undefined) {
  const store = createMemoryStore();
  const audit = createFakeAudit(store);
  const now = () => Date.UTC(2026, 0, 1);
  const sealer = createFakeSealer();
  const appDeps = { store, audit, now, sealer, logger };
  const routes = adminRoutes({
    store,
    blobs: createMemoryBlobs(),
    audit,
    publication: { read: async () => undefined },
    now,
    passwords: { set: assert.fail, remove: assert.fail, verify: assert.fail },
    version: '0.0.0',
    startedAt: 0,
    // Only its fields are read here.
    descriptor: {
      v: 1,
      fleet: 'test',
      ca: '',
      operators: { threshold: 1, keys: ['k'] },
      log: { origin: 'holdfast.local/test', key: '' },
    } satisfies ReturnType<typeof parseDescriptor>,
    pin: new Uint8Array(32),
    url: () => 'https://127.0.0.1:1',
    gateway: () => ({ address: '127.0.0.1:2', ready: true, connections: 0 }),
    release: () => undefined,
  });
  const app = createAdminApp({ ...appDeps, authenticate: byToken(principalOf) }, routes);
  return { store, audit, routes, app, appDeps };
}

const concrete = ({ path }: Route) =>
  path
    .replace(':path{tile/.+}', 'tile/entries/000.p/1')
    .replace(':uuid', '6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11')
    .replace(':id', '0123456789abcdef')
    .replace(':number', '1')
    .replace(':sha256', 'a'.repeat(64));

const withToken = { authorization: 'Bearer hfla_some-token' };

async function localAdminFor(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-admin-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const run = join(directory, 'run');
  const admin = await mintLocalAdmin(run);
  return {
    token: await readLocalAdminToken(run),
    verify: (text: string) => (admin.verify(text) ? localAdmin : undefined),
  };
}

test('R19 every route answers 401 without a credential, and so does every path that is no route', async () => {
  const { app, routes, audit } = setUp();
  const strays = ['/', '/v1', '/v1/users', '/v1/openapi.json', '/admin', '/livez/', '/v1/nodes/', '/%2e%2e/v1/nodes'];
  const paths = [...routes.map((each) => [each.method, concrete(each)]), ...strays.map((path) => ['GET', path])];
  for (const [method = '', path = ''] of paths) {
    const response = await app.request(path, { method });
    assert.equal(response.status, 401, `${method} ${path}`);
    assert.equal(response.headers.get('content-type'), 'application/problem+json');
    assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer/);
  }
  assert.equal(audit.of('access.refuse').length, paths.length);
});

test('a method that a route does not have is 405 with the ones that it has, and 401 to who has no credential', async () => {
  const { app } = setUp(() => localAdmin);
  for (const [method, path, allowed] of [
    ['PATCH', '/v1/nodes', 'GET, HEAD'],
    ['DELETE', '/v1/tokens', 'POST, GET, HEAD'],
    ['TRACE-X', '/v1/openapi.json', 'GET, HEAD'],
    ['POST', '/v1/releases/current', 'GET, HEAD'],
    ['GET', '/v1/releases/rollback', 'POST'],
  ] as const) {
    assert.equal((await app.request(path, { method })).status, 401, path);
    const response = await app.request(path, { method, headers: withToken });
    assert.equal(response.status, 405, path);
    assert.equal(response.headers.get('allow'), allowed);
    assert.equal(response.headers.get('content-type'), 'application/problem+json');
  }
});

test('R19 what is open is exactly what was reviewed', async () => {
  const { app } = setUp();
  assert.deepEqual(openPaths, [
    'GET /livez',
    'GET /',
    'GET /assets/:file',
    'GET /v1/login',
    'POST /v1/login/begin',
    'POST /v1/login/finish',
    'GET /v1/login/callback',
  ]);
  const response = await app.request('/livez');
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { status: 'ok' });
});

test('R24 every route × role: what the table does not grant is 403 and recorded, and no handler runs', async () => {
  for (const role of ['viewer', 'compliance', 'nobody'] as Role[]) {
    const { app, routes, audit, store } = setUp(() => ({ id: 'u', kind: 'user', role, auth: 'basic' }));
    for (const each of routes) {
      const response = await app.request(concrete(each), { method: each.method, headers: withToken });
      const granted = grantOf({ role }, each.permission) !== 'none';
      assert.equal(response.status === 403, !granted, `${role} ${each.method} ${each.path}: ${response.status}`);
    }
    assert.equal((await store.query({ pk: 'token' })).items.length, 0, 'nothing was minted');
    const denied = routes.filter(({ permission }) => grantOf({ role }, permission) === 'none');
    assert.equal(audit.of('access.refuse').length, denied.length);
  }
});

test('R26 compliance reaches no raw audit entry by any route', async () => {
  const { app, routes } = setUp(() => ({ id: 'c', kind: 'user', role: 'compliance', auth: 'basic' }));
  const audited = routes.filter((each) => each.path.startsWith('/v1/audit'));
  assert.ok(audited.length >= 4);
  for (const each of audited)
    assert.equal(
      (await app.request(concrete(each), { method: each.method, headers: withToken })).status,
      403,
      each.path,
    );
});

test('R28 a source address and forwarded headers grant nothing', async (t) => {
  const { token, verify } = await localAdminFor(t);
  const { app } = setUp(verify);
  const local = { incoming: { socket: { remoteAddress: '127.0.0.1' } } };
  for (const headers of [
    {},
    { 'x-forwarded-for': '127.0.0.1' },
    { 'x-real-ip': '127.0.0.1', forwarded: 'for=127.0.0.1' },
    { host: 'localhost' },
    { cookie: `token=${token}` },
    { 'x-api-key': token },
    { authorization: token },
    { authorization: `Basic ${token}` },
    { authorization: `Bearer ${token}x` },
    { authorization: `Bearer  ${token}` },
    { authorization: 'Bearer hfla_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' },
  ] as Record<string, string>[]) {
    assert.equal((await app.request('/v1/whoami', { headers }, local)).status, 401, JSON.stringify(headers));
  }
  assert.equal((await app.request(`/v1/whoami?token=${token}`, {}, local)).status, 401);
  const response = await app.request('/v1/whoami', { headers: { authorization: `Bearer ${token}` } });
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), {
    id: 'local-admin',
    kind: 'local-admin',
    role: 'admin',
    auth: 'local-admin',
  });
});

test('R27 the token is in no entry and no answer', async (t) => {
  const { token, verify } = await localAdminFor(t);
  const { app, audit } = setUp(verify);
  const answers: string[] = [];
  for (const path of ['/v1/whoami', '/v1/nodes', '/v1/nope', '/v1/tokens', '/v1/nodes/x'])
    answers.push(await (await app.request(path, { headers: { authorization: `Bearer ${token}` } })).text());
  assert.equal(JSON.stringify([answers, audit.events]).includes(token.slice(5)), false);
});

test('a route without a permission, or without a schema of its answer, does not compile', () => {
  const answer = z.strictObject({ name: z.string() });
  // @ts-expect-error: `permission` is missing.
  route({ method: 'GET', path: '/v1/open', answer, handler: async () => ({ name: 'x' }) });
  // @ts-expect-error: what it answers is missing.
  route({ method: 'GET', path: '/v1/open', permission: 'self.read', handler: async () => new Response() });
  // @ts-expect-error: it answers something else than it says.
  route({ method: 'GET', path: '/v1/open', permission: 'self.read', answer, handler: async () => ({ name: 1 }) });
});

test('bad input is refused with its place, before any handler', async () => {
  let called = 0;
  const probe = route({
    method: 'POST',
    path: '/v1/probe',
    permission: 'fleet.write',
    schema: { body: z.strictObject({ name: z.string().max(5) }) },
    answer: z.strictObject({}),
    handler: async () => {
      called += 1;
      return {};
    },
  });
  const { appDeps } = setUp();
  const app = createAdminApp({ ...appDeps, authenticate: byToken(() => localAdmin) }, [probe]);
  const send = (body: string | Uint8Array<ArrayBuffer>, type = 'application/json', query = '') =>
    app.request(`/v1/probe${query}`, { method: 'POST', headers: { ...withToken, 'content-type': type }, body });
  const table: [Response, number, RegExp][] = [
    [await send('{'), 400, /not JSON/],
    [await send('{"name":"toolong"}'), 400, /body\.name/],
    [await send('{"name":"ok","extra":1}'), 400, /extra/],
    [await send('{"name":"ok"}', 'text/plain'), 415, /application\/json/],
    [await send('{"name":"ok"}', 'application/json', '?a=1'), 400, /query/],
    [await send('x'.repeat(1024 * 1024 + 1)), 413, /1048576/],
    [await send(new Uint8Array([0x22, 0xff, 0x22])), 400, /not JSON/],
  ];
  for (const [response, status, detail] of table) {
    assert.equal(response.status, status);
    const problem = (await response.json()) as { type: string; detail: string };
    assert.match(problem.type, /^urn:holdfast:problem:[a-z-]+$/);
    assert.match(problem.detail, detail);
  }
  assert.equal(called, 0);
  assert.equal((await send('{"name":"ok"}')).status, 200);
});

test('a failure inside is 500 without its words, and every answer has the security headers', async () => {
  const { appDeps } = setUp();
  const failing = route({
    method: 'GET',
    path: '/v1/fail',
    permission: 'fleet.read',
    answer: z.strictObject({}),
    handler: () => Promise.reject(new Error('a secret detail')),
  });
  const app = createAdminApp({ ...appDeps, authenticate: byToken(() => localAdmin) }, [failing]);
  const response = await app.request('/v1/fail', { headers: withToken });
  assert.equal(response.status, 500);
  assert.equal((await response.text()).includes('secret'), false);
  for (const each of [response, await app.request('/livez'), await app.request('/nope')]) {
    assert.equal(each.headers.get('cache-control'), 'no-store');
    assert.equal(each.headers.get('x-content-type-options'), 'nosniff');
    assert.match(each.headers.get('strict-transport-security') ?? '', /max-age/);
  }
});

test('a bearer token has one form', () => {
  assert.equal(bearerToken('Bearer abc'), 'abc');
  assert.equal(bearerToken('bearer abc'), 'abc');
  for (const header of [
    null,
    '',
    'Bearer',
    'Bearer ',
    'Bearer a b',
    'Basic abc',
    ' Bearer abc',
    'Bearer abc\n',
    `Bearer ${'a'.repeat(400)}`,
  ])
    assert.equal(bearerToken(header), undefined, JSON.stringify(header));
});

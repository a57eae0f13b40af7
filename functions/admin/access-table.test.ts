/** The generated table: every route × role × credential, allowed or the exact refusal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { revokeApiToken } from '../../lib/access/api-tokens.ts';
import { localAdminCaller } from '../../lib/access/caller.ts';
import { grantOf } from '../../lib/access/permissions.ts';
import { localAdmin, type Role } from '../../lib/access/principal.ts';
import { sessionLimits } from '../../lib/access/sessions.ts';
import { changeUser } from '../../lib/access/users.ts';
import {
  type AdminWorld,
  bearerHeaders,
  createAdminWorld,
  pageHeaders,
  testLocalAdminToken,
  testSite,
} from '../../test/fakes/admin.ts';
import { openPaths } from './open-route.ts';
import type { Route } from './route.ts';

const roles = ['admin', 'viewer', 'compliance'] as const;
const uuid = '6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11';

/** A path of the route with something in every parameter. */
function concrete({ path }: Pick<Route, 'path'>): string {
  return path
    .replace(':path{tile/.+}', 'tile/entries/000.p/1')
    .replace(':uuid', uuid)
    .replace(':number', '1')
    .replace(':index', '0')
    .replace(':sha256', 'a'.repeat(64))
    .replace(/:[a-z]+\b/g, '0123456789abcdef');
}

async function send(
  { app }: Pick<AdminWorld, 'app'>,
  each: Pick<Route, 'method' | 'path'>,
  headers: Record<string, string>,
) {
  const response = await app.request(`${testSite}${concrete(each)}`, { method: each.method, headers });
  // A stream that was opened would go on for ever.
  const isStream = response.headers.get('content-type') === 'text/event-stream';
  const problem = isStream ? {} : await response.json().catch(() => ({}));
  if (isStream) await response.body?.cancel();
  return { status: response.status, problem: problem as { type?: string; detail?: string; reason?: string } };
}

/** Whoever is refused here is refused for who they are; anything else is about the request itself, which is empty. */
function isRefused(status: number): boolean {
  return status === 401 || status === 403;
}

test('R24 every route × role × credential: allowed, or the exact refusal', async () => {
  const world = await createAdminWorld();
  const credentials: [string, Role, Record<string, string>][] = [
    ['local-admin', 'admin', bearerHeaders(testLocalAdminToken)],
  ];
  for (const role of roles) {
    const user = await world.user(`${role}-user`, role);
    credentials.push(
      ['session cookie', role, pageHeaders(await world.session(user))],
      ['session bearer', role, bearerHeaders(await world.session(user, 'bearer'))],
      ['API token', role, bearerHeaders((await world.apiToken(user)).token)],
    );
  }
  let allowed = 0;
  // The one route whose success is the end of its credential is walked last.
  const ordered = [...world.routes].sort(
    (a, b) => Number(a.path.endsWith('session/end')) - Number(b.path.endsWith('session/end')),
  );
  for (const each of ordered) {
    for (const [kind, role, headers] of credentials) {
      const { status, problem } = await send(world, each, headers);
      const what = `${each.method} ${each.path} × ${role} × ${kind}: ${status} ${problem.detail ?? ''}`;
      if (grantOf({ role }, each.permission) === 'none') {
        assert.equal(status, 403, what);
        assert.equal(problem.type, 'urn:holdfast:problem:forbidden', what);
        assert.equal(problem.detail, `the role ${role} does not have ${each.permission}`, what);
      } else {
        assert.equal(isRefused(status), false, what);
        allowed += 1;
      }
    }
  }
  assert.ok(allowed > 100, String(allowed));
});

test('R20 R21 R24 no credential, an expired, revoked, ended or malformed one, a disabled user: 401 on every route, with one text', async () => {
  const world = await createAdminWorld();
  const { deps, clock } = world;
  const dead: [string, Record<string, string>][] = [
    ['none', {}],
    ['malformed API token', bearerHeaders('vgot_x')],
    ['unknown session', pageHeaders(`hfs_${'A'.repeat(43)}`)],
    ['old local-admin', bearerHeaders(`hfla_${'A'.repeat(43)}`)],
    ['empty bearer', { authorization: 'Bearer ' }],
  ];
  for (const role of roles) {
    const user = await world.user(`${role}-user`, role);
    const expiring = await world.apiToken(user, { ttlMs: 60_000 });
    const revoked = await world.apiToken(user);
    await revokeApiToken(deps, revoked.record, localAdminCaller);
    dead.push([`${role}: expired session`, pageHeaders(await world.session(user))]);
    dead.push([`${role}: expired API token`, bearerHeaders(expiring.token)]);
    dead.push([`${role}: revoked API token`, bearerHeaders(revoked.token)]);
    dead.push([`${role}: cookie as bearer`, bearerHeaders(await world.session(user))]);
    const gone = await world.user(`${role}-gone`, role);
    dead.push([`${role}: disabled, API token`, bearerHeaders((await world.apiToken(gone)).token)]);
    const goneSession = await world.session(gone, 'bearer');
    await changeUser(deps, gone, {
      type: 'user.disable',
      actor: localAdmin,
      set: { state: 'disabled' },
      endsSessions: true,
    });
    dead.push([`${role}: disabled, session`, bearerHeaders(goneSession)]);
  }
  clock.time += sessionLimits.absoluteMs;
  const texts = new Set<string>();
  for (const each of world.routes) {
    for (const [kind, headers] of dead) {
      const { status, problem } = await send(world, each, headers);
      assert.equal(status, 401, `${each.method} ${each.path} × ${kind}`);
      texts.add(JSON.stringify(problem));
    }
  }
  assert.equal(texts.size, 1, [...texts].join('\n'));
});

test('R19 an unauthenticated crawl finds only the reviewed list', async () => {
  const { app, routes } = await createAdminWorld();
  const methods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS'];
  const paths = [...routes.map(concrete), ...openPaths.map((line) => concrete({ path: line.split(' ')[1] ?? '' }))];
  const strays = [
    '/v1',
    '/v2/nodes',
    '/admin',
    '/metrics',
    '/.env',
    '/assets',
    '/assets/',
    '/v1/login/',
    '/livez/x',
    '/%2e%2e/v1',
  ];
  const open: string[] = [];
  for (const path of new Set([...paths, ...strays])) {
    for (const method of methods) {
      const response = await app.request(`${testSite}${path}`, { method });
      await response.body?.cancel();
      if (response.status !== 401) open.push(`${method} ${path}`);
      assert.equal(response.headers.get('access-control-allow-origin'), null);
    }
  }
  // HEAD is GET without a body (RFC 9110 §9.3.2).
  const expected = openPaths.flatMap((line) =>
    line.startsWith('GET ') ? [line, line.replace('GET', 'HEAD')] : [line],
  );
  assert.deepEqual(open.sort(), expected.map((line) => line.replace(':file', '0123456789abcdef')).sort());
});

test('R26 compliance gets nothing of the raw log: no route, no stream, no page has any of it', async () => {
  const world = await createAdminWorld();
  const user = await world.user('auditor', 'compliance');
  const session = pageHeaders(await world.session(user));
  const token = bearerHeaders((await world.apiToken(user)).token);
  const reached: string[] = [];
  for (const each of world.routes) {
    for (const headers of [session, token])
      if ((await send(world, each, headers)).status !== 403) reached.push(`${each.method} ${each.path}`);
  }
  for (const line of reached) assert.doesNotMatch(line, /audit|feed|events|siem|tile|proof/);
  // Exactly what the role has, and its own session and tokens.
  const has = world.routes.filter(({ permission }) => grantOf({ role: 'compliance' }, permission) !== 'none');
  assert.deepEqual(new Set(reached), new Set(has.map(({ method, path }) => `${method} ${path}`)));
});

test('R28 forged headers and a loopback address grant nothing', async () => {
  const { app } = await createAdminWorld();
  for (const headers of [
    { 'x-forwarded-for': '127.0.0.1' },
    { 'x-forwarded-user': 'local-admin' },
    { 'x-real-ip': '127.0.0.1', forwarded: 'for=127.0.0.1;proto=https' },
    { 'x-original-url': '/livez' },
    { cookie: `__Host-holdfast=${testLocalAdminToken}` },
    { authorization: `Basic ${Buffer.from(`local-admin:${testLocalAdminToken}`).toString('base64')}` },
  ]) {
    const environment = { incoming: { socket: { remoteAddress: '127.0.0.1' } } };
    assert.equal(
      (
        await app.request(
          `${testSite}/v1/whoami`,
          { headers: headers as unknown as Record<string, string> },
          environment,
        )
      ).status,
      401,
    );
  }
});

/**
 * The document can't lie: every route is asked for what it answers when it succeeds, and the real answer is held to the
 * schema that the document publishes, to the last member. A route that is not asked here fails the test.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { z } from 'zod';
import { addAccount } from '../../lib/access/accounts.ts';
import { localAdminCaller } from '../../lib/access/caller.ts';
import { defineProvider } from '../../lib/access/provider.ts';
import { requireUser } from '../../lib/access/users.ts';
import { formatKeys } from '../../lib/artifacts/keys.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { toBase64url, utf8 } from '../../lib/crypto/encoding.ts';
import { formatSshPublicKey, sshPublicKeyOf } from '../../lib/crypto/ssh-key.ts';
import { enroll } from '../../lib/identity/enroll.ts';
import { formatCrate } from '../../lib/policy/model.ts';
import { commit, readCursor } from '../../lib/siem/cursor.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { bearerHeaders, createAdminWorld, testLocalAdminToken, testSite } from '../../test/fakes/admin.ts';
import { createTestLog, testEvent, testOrigin } from '../../test/fakes/audit-log.ts';
import { createBuilds } from '../../test/fakes/builds.ts';
import { createMachine, createTestFleet, enrollBytes } from '../../test/fakes/fleet.ts';
import { createOperator, day, manifestBytes } from '../../test/fakes/policy.ts';
import { createMemorySecrets } from '../../test/fakes/secrets.ts';
import { createFactsStore } from '../gateway/facts.ts';
import { createRunStore } from '../gateway/runs.ts';
import { livez } from './app.ts';
import { openApiDocument } from './openapi.ts';
import { problemDetails } from './problem.ts';

const at = Date.UTC(2026, 0, 1);

/** Begins and finishes as a provider does that needs a redirect, so that each step of a log-in can be asked. */
const redirecting = (find: () => ReturnType<typeof requireUser>) =>
  defineProvider({
    method: 'oidc',
    facts: { issuer: 'https://id.test' },
    beginSchema: z.strictObject({}),
    finishSchema: z.object({ code: z.string() }),
    begunSchemas: [z.strictObject({ url: z.string() })],
    begin: async () => ({
      loginId: `hfl_${'A'.repeat(43)}`,
      expiresAt: at + 60_000,
      answer: { url: 'https://id.test/' },
    }),
    finish: async ({ code }) =>
      code === 'later' ? { kind: 'pending', retryAfterMs: 5_000 } : { kind: 'identified', user: await find() },
  });

/** A fleet with something of everything in it. */
async function setUp() {
  const store = createMemoryStore();
  const log = await createTestLog({ store });
  const operator = createOperator();
  const fleet = await createTestFleet({ store, startAt: at, fleet: 'demo' });
  const descriptor = {
    v: 1,
    fleet: 'demo',
    ca: '',
    operators: { threshold: 1, keys: [operator.line] },
    log: { origin: testOrigin, key: log.verifierKey },
  } as const;
  const secrets = createMemorySecrets({ 'db/password': 'long enough' });
  const world = await createAdminWorld({
    ...{ store, audit: fleet.audit, publication: log.publication, descriptor, secrets },
    provider: ({ store: users }) => redirecting(() => requireUser(users, 'adam')),
  });
  const node = await createMachine();
  const second = await createMachine();
  for (const machine of [node, second]) await enroll(fleet.issuance, enrollBytes(machine, await fleet.token()));
  const result = { resource: 'base/file//etc/a', result: 'updated', reason: 'other content', durationMs: 3 } as const;
  const counts = { unchanged: 0, created: 0, updated: 1, removed: 0, skipped: 0, blocked: 0, failed: 0 };
  const run = {
    ...{ runId: '0f0e0d0c-8f0e-4c57-9d3c-2f5f1f0c9a11', startedAt: at, durationMs: 12, dryRun: false },
    ...{
      release: { number: 1, digest: 'a'.repeat(64) },
      counts,
      results: [result],
      omitted: 0,
      droppedRuns: 0,
      error: '',
    },
  };
  const runs = createRunStore({ store, now: () => at });
  await runs.record(node.uuid, run);
  await runs.record(node.uuid, { ...run, runId: run.runId.replace('0f', '1f'), error: 'cut short' });
  await createFactsStore(world).record({ uuid: node.uuid }, Buffer.from('{"missing":[],"os":{"name":"Debian"}}'));
  const actor = { id: node.uuid, kind: 'node', auth: 'node-signature' } as const;
  const release = { type: 'secret.release', actor, object: { kind: 'node', id: node.uuid } } as const;
  const intent = await log.writer.intend({ ...release, detail: { release: 1, paths: ['db/password@1'] } });
  assert.ok(intent.ok);
  await intent.settle('success');
  for (let i = 0; i < 3; i++) await log.writer.append(testEvent);
  await log.sealer.sealOnce();
  return { ...world, log, operator, node, second, run, store };
}

test('every route answers what the document says, to the last member', async () => {
  const world = await setUp();
  const { store, operator, node, second, run, log } = world;
  const document = openApiDocument(world.routes, [livez, ...world.open]);
  const ajv = new Ajv2020({ strict: false, formats: { 'date-time': true, uuid: true } });
  const asked = new Set<string>();

  const sessionOf = async (name: string) =>
    bearerHeaders(await world.session(await world.user(name, 'admin'), 'bearer'));
  const [ada, bob, eve] = [await sessionOf('ada'), await sessionOf('bob'), await sessionOf('eve')];
  await addAccount(
    { ...world.deps, passwords: world.passwords, issuer: 'https://id.test' },
    { name: 'adam', role: 'viewer', subject: 'sub-1', caller: localAdminCaller },
  );

  type Options = { body?: object | Uint8Array; as?: Record<string, string>; etag?: string; status?: number };
  /** Asks a route, by its template, and gives what it answered: JSON, or text. */
  async function ask(method: string, template: string, path: string, { body, as, etag, status = 200 }: Options = {}) {
    asked.add(`${method} ${template}`);
    const isRaw = body instanceof Uint8Array;
    const response = await world.app.request(`${testSite}${path}`, {
      method,
      headers: {
        ...(as ?? bearerHeaders(testLocalAdminToken)),
        ...(body === undefined || isRaw ? {} : { 'content-type': 'application/json' }),
        ...(etag === undefined ? {} : { 'if-match': etag }),
      },
      ...(body === undefined ? {} : { body: isRaw ? Buffer.from(body) : JSON.stringify(body) }),
    });
    const type = response.headers.get('content-type')?.split(';')[0] ?? '';
    const text = type === 'text/event-stream' ? '' : await response.text();
    if (type === 'text/event-stream') await response.body?.cancel();
    assert.equal(response.status, status, `${method} ${path}: ${text}`);
    const described = responseOf(method, template, status);
    if (type === '') return { text, json: {} as never, etag: '' };
    // What the files of the page are, only each of them knows.
    if (template !== '/assets/:file') assert.ok(type in described, `${method} ${path}: ${type} is not described`);
    const json = type.endsWith('json') && !type.endsWith('ndjson') ? JSON.parse(text) : undefined;
    if (json !== undefined) {
      const isAsDescribed = ajv.compile({ ...described[type]?.schema, components: document.components });
      assert.ok(isAsDescribed(json), `${method} ${path}: ${ajv.errorsText(isAsDescribed.errors)}\n${text}`);
    }
    return { text, json: json as never, etag: response.headers.get('etag') ?? '' };
  }
  function responseOf(method: string, template: string, status: number) {
    const path = template.replace(/:([a-zA-Z0-9]+)(\{[^}]*\})?/g, '{$1}');
    const operation = document.paths[path]?.[method.toLowerCase()] as {
      responses: { [status: string]: { content?: { [type: string]: { schema: object } } } };
    };
    const found = operation?.responses[status];
    assert.ok(found, `${method} ${path} ${status} is not described`);
    return found.content ?? {};
  }
  const get = (template: string, path = template, options: Options = {}) => ask('GET', template, path, options);
  const post = (template: string, body?: object, path = template, options: Options = {}) =>
    ask('POST', template, path, { ...options, ...(body === undefined ? {} : { body }) });
  const put = (template: string, path: string, body: object | Uint8Array, options: Options = {}) =>
    ask('PUT', template, path, { ...options, body });

  // Open to anybody.
  await get('/livez');
  await get('/');
  await get('/assets/:file', '/assets/page.js');
  await get('/v1/login');
  const bearer = { transport: 'bearer' };
  await post('/v1/login/begin', { ...bearer, input: {} });
  await post('/v1/login/finish', { ...bearer, input: { code: 'later' } });
  await post('/v1/login/finish', { ...bearer, input: { code: 'x' } });
  await get('/v1/login/callback', '/v1/login/callback?code=x', { status: 303 });

  // Oneself.
  await get('/v1/whoami');
  await get('/v1/session');
  await get('/v1/session', '/v1/session', { as: ada });
  await post('/v1/session/end', {}, '/v1/session/end', { as: eve });
  await get('/v1/openapi.json');

  // Users and their credentials.
  const key = formatSshPublicKey(sshPublicKeyOf(generateEd25519().publicKey));
  await post('/v1/users', { name: 'zoe', role: 'viewer' });
  await post('/v1/users/:name/password', { password: 'correct horse battery' }, '/v1/users/zoe/password');
  const keyed = await post('/v1/users/:name/keys', { key }, '/v1/users/zoe/keys');
  await get('/v1/users');
  const [{ fingerprint }] = (keyed.json as { keys: [{ fingerprint: string }] }).keys;
  await post('/v1/users/:name/keys/remove', { fingerprint }, '/v1/users/zoe/keys/remove');
  await post('/v1/users/:name/unlock', {}, '/v1/users/zoe/unlock');
  await post('/v1/users/:name/sessions/end', {}, '/v1/users/zoe/sessions/end');
  const shown = await get('/v1/users/:name', '/v1/users/zoe');
  const changed = await put('/v1/users/:name', '/v1/users/zoe', { role: 'compliance' }, { etag: shown.etag });
  await ask('DELETE', '/v1/users/:name', '/v1/users/zoe', { etag: changed.etag });
  const minted = await post('/v1/api-tokens', { name: 'ci', owner: 'ada', scope: ['fleet.read'], ttlMs: 60_000 });
  const { id: apiToken, token } = minted.json as { id: string; token: string };
  await get('/v1/nodes', '/v1/nodes', { as: bearerHeaders(token) });
  await get('/v1/api-tokens', '/v1/api-tokens?limit=1');
  await post('/v1/api-tokens/:id/revoke', {}, `/v1/api-tokens/${apiToken}/revoke`);
  await get('/v1/api-tokens');

  // Releases.
  const operators = { created: at, expires: at + day };
  const crate = formatCrate({ crate: 'base', controls: ['cis:1.1'], resources: [] });
  await put('/v1/blobs/:sha256', `/v1/blobs/${sha256Hex(crate)}`, crate);
  await get('/v1/blobs/:sha256', `/v1/blobs/${sha256Hex(crate)}`);
  const crates = [{ name: 'base', sha256: sha256Hex(crate), blobs: [] }];
  const bindings = [{ match: { name: '*' }, crates: ['base'] }];
  let previous: string | undefined;
  for (const [number, content] of [
    [1, { bindings, crates }],
    [2, {}],
    [3, { bindings, crates }],
  ] as const) {
    const manifest = manifestBytes({
      number,
      ...operators,
      ...content,
      ...(previous === undefined ? {} : { previous }),
    });
    const body = { manifest: toBase64url(manifest), signatures: [operator.sign(manifest)] };
    if (number === 3) await post('/v1/releases/rollback', { ...body, to: 1 });
    else await post('/v1/releases', body);
    previous = sha256Hex(manifest);
  }
  await get('/v1/releases', '/v1/releases?limit=2');
  await get('/v1/releases/current');
  await get('/v1/releases/:number', '/v1/releases/1');
  await get('/v1/releases/freeze');
  await post('/v1/releases/freeze', { reason: 'holidays' });
  await get('/v1/releases/freeze');
  await post('/v1/releases/thaw', {});

  // Nodes.
  const ofNode = (rest: string, uuid = node.uuid) => `/v1/nodes/${uuid}${rest}`;
  await get('/v1/status');
  await post('/v1/nodes/:uuid/wake', { run: true }, ofNode('/wake'));
  await post('/v1/nodes/:uuid/quarantine', { reason: 'odd' }, ofNode('/quarantine'));
  await post('/v1/nodes/:uuid/recover', {}, ofNode('/recover'));
  await post('/v1/nodes/:uuid/revoke', {}, ofNode('/revoke', second.uuid));
  await get('/v1/nodes', '/v1/nodes?limit=1');
  await get('/v1/nodes');
  await get('/v1/nodes/:uuid', ofNode(''));
  await get('/v1/nodes/:uuid', ofNode('', second.uuid));
  await get('/v1/nodes/:uuid/runs', ofNode('/runs'));
  await get('/v1/nodes/:uuid/runs/:run', ofNode(`/runs/${run.runId}`));
  await get('/v1/nodes/:uuid/facts', ofNode('/facts'));
  await get('/v1/nodes/:uuid/drift', ofNode('/drift'));
  await get('/v1/drift');
  await get('/v1/events');

  // Enrollment tokens: open, used, cancelled.
  const order = { labels: { role: 'web' }, hostname: 'web-*', fingerprint: `SHA256:${'A'.repeat(43)}`, ttlMs: 60_000 };
  const { id } = (await post('/v1/tokens', order)).json as { id: string };
  await post('/v1/tokens/:id/cancel', undefined, `/v1/tokens/${id}/cancel`);
  await get('/v1/tokens', '/v1/tokens?limit=1');
  await get('/v1/tokens');

  // Secrets.
  const value = Buffer.from('another value');
  await put('/v1/secrets/:path', '/v1/secrets/web%2Ftls', value);
  await put('/v1/secrets/:path/rotate', '/v1/secrets/web%2Ftls/rotate', value);
  await post('/v1/secrets/:path/generate', { length: 20 }, '/v1/secrets/web%2Fnew/generate');
  await get('/v1/secrets', '/v1/secrets?limit=1');
  await get('/v1/secrets/:path/versions', '/v1/secrets/web%2Ftls/versions');
  const readers = await get('/v1/secrets/:path/readers', '/v1/secrets/db%2Fpassword/readers');
  assert.equal((readers.json as { read: readonly object[] }).read.length, 1);
  await post('/v1/secrets/:path/delete', undefined, '/v1/secrets/web%2Fnew/delete');
  await post('/v1/secrets-master-key/rotate', undefined);
  const sealTo = generateKeyPairSync('x25519').publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  const question = { reason: 'the replica is down', key: toBase64url(sealTo) };
  const reveal = await post('/v1/secrets/:path/reveal', question, '/v1/secrets/db%2Fpassword/reveal', { as: ada });
  const ofReveal = `/v1/secret-reveals/${(reveal.json as { id: string }).id}`;
  await post('/v1/secret-reveals/:id/approve', undefined, `${ofReveal}/approve`, { as: bob });
  await get('/v1/secret-reveals');
  await post('/v1/secret-reveals/:id/take', undefined, `${ofReveal}/take`, { as: ada });

  // Builds and rings.
  const builds = createBuilds();
  await post('/v1/artifacts/keys', { list: formatKeys(builds.keys) });
  for (const version of ['1.1.0', '1.2.0']) {
    const { note, program } = await builds.build(version, { notAfter: at + day });
    await put('/v1/artifacts/parts/:sha256', `/v1/artifacts/parts/${sha256Hex(program)}`, program);
    await post('/v1/artifacts', { manifest: toBase64url(utf8(note)), parts: [sha256Hex(program)] });
  }
  await get('/v1/artifacts', '/v1/artifacts?limit=1');
  await get('/v1/artifacts/:version/:platform', '/v1/artifacts/1.1.0/linux-x64');
  await post('/v1/rings/:ring/rollout', { version: '1.1.0', labels: { role: 'web' } }, '/v1/rings/canary/rollout');
  await post('/v1/rings/:ring/pause', {}, '/v1/rings/canary/pause');
  await get('/v1/rings');
  await post('/v1/rings/:ring/halt', { reason: 'it fails' }, '/v1/rings/canary/halt');
  await post('/v1/rings/:ring/resume', {}, '/v1/rings/canary/resume');
  await get('/v1/rings');

  // The audit log.
  await get('/v1/audit/entries');
  await get('/v1/audit/entries', '/v1/audit/entries?order=oldest&limit=1');
  await get('/v1/audit/entries/:index/proof', '/v1/audit/entries/1/proof');
  await get('/v1/audit/checkpoint');
  await post('/v1/audit/export', {});
  const tile = [...log.publication.files.keys()].find((path) => path.startsWith('tile/entries/'));
  await get('/v1/audit/:path{tile/.+}', `/v1/audit/${tile}`);
  await get('/v1/audit/events', '/v1/audit/events?limit=2');
  await get('/v1/audit/events', '/v1/audit/events?format=ndjson');

  // Destinations.
  const root = '/v1/siem/destinations';
  const hook = { kind: 'webhook', name: 'hook', url: 'https://hook.example/capability', secret: 'secret:siem/hook' };
  const others = [
    { kind: 'syslog', name: 'sys', host: 'log.example' },
    { kind: 's3', name: 'bucket', region: 'eu-west-1', bucket: 'audit-copies' },
    { kind: 'elastic', name: 'es', url: 'https://es.example', index: 'audit', apiKey: 'secret:siem/es' },
  ];
  for (const config of [hook, ...others]) await post(root, { config });
  await post(`${root}/:name/pause`, {}, `${root}/hook/pause`);
  await post(`${root}/:name/resume`, {}, `${root}/hook/resume`);
  const tested = await post(`${root}/:name/test`, {}, `${root}/hook/test`);
  const { nonce } = tested.json as { nonce: string };
  await post(`${root}/:name/test/confirm`, { nonce }, `${root}/hook/test/confirm`);
  const cursor = await readCursor(store, 'hook');
  assert.ok(cursor);
  const { state } = cursor;
  const failing = {
    state: 'retrying',
    failures: 2,
    retryAt: at + 5_000,
    lastError: { at, reason: 'no answer' },
  } as const;
  const delivered = { ...state, ...failing, deliveredAt: at, main: { ...state.main, next: 2, chain: 'a'.repeat(64) } };
  assert.ok(await commit(store, { ...cursor, version: cursor.version + 1, state: delivered }));
  await post(`${root}/:name/replay`, { from: 0, to: 1 }, `${root}/hook/replay`);
  await get(root);
  // Who may not change it sees no path.
  const viewer = bearerHeaders((await world.apiToken(await world.user('vera', 'viewer'))).token);
  await get(`${root}/:name`, `${root}/hook`, { as: viewer });
  const before = await get(`${root}/:name`, `${root}/hook`);
  const redacted = { config: { ...hook, redaction: 'no-detail' } };
  const after = await put(`${root}/:name`, `${root}/hook`, redacted, { etag: before.etag });
  await ask('DELETE', `${root}/:name`, `${root}/hook`, { etag: after.etag });

  // For auditors.
  await put('/v1/compliance/documents/:name', '/v1/compliance/documents/report.pdf', Buffer.from('what was found'));
  await get('/v1/compliance/documents');
  await get('/v1/compliance/documents/:name', '/v1/compliance/documents/report.pdf');
  const posture = (await get('/v1/compliance/posture')).json as { crates: object[]; controls: object[] };
  assert.ok(posture.crates.length > 0 && posture.controls.length > 0);
  await get('/v1/compliance/nodes', '/v1/compliance/nodes?limit=1');
  await get('/v1/compliance/verification');
  await post('/v1/compliance/evidence', {});

  const mounted = [livez, ...world.open, ...world.routes].map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual([...asked].sort(), mounted.sort());
});

test('a refusal is what the document says, whatever refuses', async () => {
  const world = await setUp();
  const document = openApiDocument(world.routes, [livez, ...world.open]);
  const ajv = new Ajv2020({ strict: false });
  const components = document.components as {
    responses: { Problem: { content: { 'application/problem+json': { schema: object } } } };
  };
  const { schema } = components.responses.Problem.content['application/problem+json'];
  const isProblem = ajv.compile({ ...schema, components });
  const json = { 'content-type': 'application/json' };
  const admin = bearerHeaders(testLocalAdminToken);
  const viewer = bearerHeaders((await world.apiToken(await world.user('vera', 'viewer'))).token);
  const statuses = new Set<number>();
  for (const [path, init] of [
    ['/v1/nodes', {}],
    ['/v1/users', { headers: viewer }],
    ['/v1/nothing', { headers: admin }],
    ['/v1/nodes', { headers: admin, method: 'DELETE' }],
    ['/v1/nodes?limit=0', { headers: admin }],
    ['/v1/users', { headers: { ...admin, ...json }, method: 'POST', body: 'x'.repeat(2 * 1024 * 1024) }],
    ['/v1/users', { headers: admin, method: 'POST', body: '{}' }],
    ['/v1/users', { headers: { ...admin, ...json }, method: 'POST', body: '{"name":"vera","role":"viewer"}' }],
    ['/v1/users/vera', { headers: { ...admin, 'if-match': '"9"' }, method: 'DELETE' }],
    ['/v1/users/vera', { headers: admin, method: 'DELETE' }],
    ['/v1/artifacts/keys', { headers: { ...admin, ...json }, method: 'POST', body: '{"list":"x"}' }],
  ] as readonly [string, RequestInit][]) {
    const response = await world.app.request(`${testSite}${path}`, init);
    const text = await response.text();
    assert.equal(response.headers.get('content-type'), 'application/problem+json', path);
    assert.ok(isProblem(JSON.parse(text)), `${path}: ${text}`);
    assert.equal(problemDetails.parse(JSON.parse(text)).status, response.status);
    statuses.add(response.status);
  }
  assert.deepEqual([...statuses].sort(), [400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 428]);
});

/** Destinations over the admin API: each operation leaves its one entry, and credentials, revisions and roles hold. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readHead } from '../../lib/audit/head.ts';
import { openFeedSource } from '../../lib/audit/source-feed.ts';
import { bearerHeaders, createAdminWorld, testLocalAdminToken, testSite } from '../../test/fakes/admin.ts';
import { createTestLog, testEvent, testOrigin } from '../../test/fakes/audit-log.ts';
import type { PulledPage } from './routes/audit-events.ts';

const config = { kind: 'webhook', name: 'hook', url: 'https://hook.example/capability', secret: 'secret:siem/hook' };

async function siemApi() {
  const log = await createTestLog();
  const world = await createAdminWorld({ store: log.store });
  const admin = bearerHeaders(testLocalAdminToken);
  const send = async (method: string, path: string, body?: object, headers: object = {}) => {
    const response = await world.app.request(`${testSite}${path}`, {
      method,
      headers: { ...admin, ...(body && { 'content-type': 'application/json' }), ...headers },
      ...(body && { body: JSON.stringify(body) }),
    });
    return {
      status: response.status,
      etag: response.headers.get('etag') ?? '',
      body: (await response.json()) as never,
    };
  };
  const seal = async (count = 1, event = testEvent) => {
    for (let i = 0; i < count; i++) await log.writer.append(event);
    await log.sealer.sealOnce();
  };
  return { log, world, send, seal };
}

test('R32 each operation on a destination leaves exactly one entry of its type', async () => {
  const { world, send, seal } = await siemApi();
  await seal(3);
  const root = '/v1/siem/destinations';
  const steps: readonly [string, string, string, (object | undefined)?, object?][] = [
    ['siem.add', 'POST', root, { config }],
    ['siem.pause', 'POST', `${root}/hook/pause`, {}],
    ['siem.resume', 'POST', `${root}/hook/resume`, {}],
    ['siem.test', 'POST', `${root}/hook/test`, {}],
    ['siem.update', 'PUT', `${root}/hook`, { config: { ...config, redaction: 'no-detail' } }, { 'if-match': '"4"' }],
    ['siem.remove', 'DELETE', `${root}/hook`, undefined, { 'if-match': '"5"' }],
  ];
  for (const [type, method, path, body, headers] of steps) {
    const before = world.audit.events.length;
    const { status, body: answer } = await send(method, path, body, headers);
    assert.equal(status, 200, JSON.stringify(answer));
    assert.deepEqual(
      world.audit.events.slice(before).map((event) => event.type),
      [type],
    );
    assert.deepEqual(world.audit.events.at(-1)?.object, { kind: 'destination', id: 'hook' });
  }
  const [added] = world.audit.of('siem.add');
  assert.equal(added?.detail?.['receiver'], 'hook.example');
  assert.deepEqual(added?.detail?.['credentials'], ['siem/hook']);
  assert.ok(!JSON.stringify(world.audit.events).includes('capability'), 'a path can be a capability');
});

test('test, confirmation and replay: refused before they make sense, recorded when they do', async () => {
  const { world, send } = await siemApi();
  const path = '/v1/siem/destinations/hook';
  await send('POST', '/v1/siem/destinations', { config });
  const { body } = await send('POST', `${path}/test`, {});
  const { nonce } = body as { nonce: string };
  assert.equal((await send('POST', `${path}/test/confirm`, { nonce: 'f'.repeat(32) })).status, 404);
  assert.equal(world.audit.of('siem.test.confirm').length, 0);
  assert.equal((await send('POST', `${path}/test/confirm`, { nonce })).status, 200);
  assert.equal(world.audit.of('siem.test.confirm').length, 1);
  assert.equal((await send('POST', `${path}/replay`, { from: 0 })).status, 422, 'nothing was delivered yet');
  assert.equal(world.audit.of('siem.replay').length, 0);
});

test('revisions, names and idempotency keys', async () => {
  const { world, send } = await siemApi();
  const path = '/v1/siem/destinations/hook';
  const key = { 'idempotency-key': 'a-key-of-8-or-more' };
  const first = await send('POST', '/v1/siem/destinations', { config }, key);
  assert.deepEqual((await send('POST', '/v1/siem/destinations', { config }, key)).body, first.body);
  assert.equal(world.audit.of('siem.add').length, 1);
  assert.equal((await send('POST', '/v1/siem/destinations', { config })).status, 409);
  assert.equal((await send('GET', path)).etag, '"1"');
  assert.equal((await send('PUT', path, { config })).status, 428);
  assert.equal((await send('PUT', path, { config }, { 'if-match': '"2"' })).status, 412);
  assert.equal((await send('PUT', path, { config }, { 'if-match': '"1"' })).etag, '"2"');
  assert.equal((await send('DELETE', path, undefined, { 'if-match': '"1"' })).status, 412);
  assert.equal((await send('GET', '/v1/siem/destinations/none')).status, 404);
  assert.equal((await send('POST', '/v1/siem/destinations/none/pause', {})).status, 404);
});

test('incident 33: what is no destination is refused at the door, and nothing is recorded as added', async () => {
  const { world, send } = await siemApi();
  const bad = [
    { ...config, kind: 'file', path: '/etc/cron.d/x' },
    { ...config, kind: 'exec', command: 'id' },
    { ...config, url: 'file:///etc/passwd' },
    { ...config, url: 'http://hook.example' },
    { ...config, secret: 'secret:db/password' },
    { ...config, secret: 'plain-value' },
    { ...config, network: { insecure: true } },
  ];
  for (const each of bad) {
    const { status } = await send('POST', '/v1/siem/destinations', { config: each });
    assert.equal(status, 400, JSON.stringify(each));
  }
  assert.equal(world.audit.of('siem.add').length, 0);
});

test('who can not change a destination sees its host, not its path; compliance sees nothing of it', async () => {
  const { world, send } = await siemApi();
  await send('POST', '/v1/siem/destinations', { config });
  const as = async (role: 'viewer' | 'compliance') =>
    bearerHeaders((await world.apiToken(await world.user(role, role))).token);
  const seen = await send('GET', '/v1/siem/destinations', undefined, await as('viewer'));
  assert.equal(seen.status, 200);
  assert.ok(!JSON.stringify(seen.body).includes('capability'));
  const path = '/v1/siem/destinations/hook/pause';
  assert.equal(
    (await send('POST', path, {}, bearerHeaders((await world.apiToken(await world.user('v2', 'viewer'))).token)))
      .status,
    403,
  );
  const compliance = await as('compliance');
  for (const where of ['/v1/siem/destinations', '/v1/siem/destinations/hook', '/v1/audit/events'])
    assert.equal((await send('GET', where, undefined, compliance)).status, 403);
});

test('R32 the pull feed gives every entry with its hashes, in pages, and each reading is recorded', async () => {
  const { world, send, seal } = await siemApi();
  await seal(20);
  const events: PulledPage['items'][number][] = [];
  let after: number | undefined;
  for (;;) {
    const { body } = await send('GET', `/v1/audit/events?limit=7${after === undefined ? '' : `&after=${after}`}`);
    const page = body as PulledPage;
    if (page.items.length === 0) break;
    events.push(...page.items);
    after = page.after;
    assert.equal(page.checkpoint?.size, page.head.size);
  }
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_, i) => i),
  );
  assert.equal(
    events.at(-1)?.chain,
    (await send('GET', '/v1/audit/events?after=0&limit=1')).body['head' as never]['chain'],
  );
  // An empty answer shows nothing, and is not recorded.
  assert.deepEqual(
    world.audit
      .of('audit.read')
      .slice(0, -1)
      .map(({ detail }) => detail?.['from']),
    [0, 7, 14, 21].slice(0, Math.ceil(events.length / 7)),
  );
  const lines = await world.app.request(`${testSite}/v1/audit/events?format=ndjson`, {
    headers: bearerHeaders(testLocalAdminToken),
  });
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-feed-'));
  try {
    await writeFile(join(directory, 'feed.ndjson'), await lines.text());
    const feed = await openFeedSource(join(directory, 'feed.ndjson'), testOrigin);
    const read = await feed.source.entries?.(0, events.length);
    assert.equal(read?.length, events.length);
    assert.equal(feed.checkpoints.length, 1);
  } finally {
    await rm(directory, { recursive: true });
  }
  for (const wrong of ['after=x', 'limit=0', 'limit=1001', 'wait=31', 'format=xml', 'from=1']) {
    assert.equal((await send('GET', `/v1/audit/events?${wrong}`)).status, 400, wrong);
  }
  assert.equal((await send('GET', '/v1/audit/events?after=1000000')).status, 404);
});

test('a collector that waits is answered by what is new, not by what its own reading left', async () => {
  const { send, seal, log } = await siemApi();
  await seal(1);
  const { size } = await readHead(log.store, testOrigin);
  let answered = false;
  const waiting = send('GET', `/v1/audit/events?after=${size - 1}&wait=30`).then((answer) => {
    answered = true;
    return answer;
  });
  await seal(1, { ...testEvent, type: 'audit.read', object: { kind: 'log', id: 'x' }, detail: { from: 0, count: 1 } });
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(answered, false, 'its own echo');
  await seal(1);
  const { status, body } = await waiting;
  assert.equal(status, 200);
  const types = (body as PulledPage).items.map(({ raw }) => JSON.parse(raw).op.type);
  assert.ok(types.includes('token.cancel') && types.includes('audit.read'), 'nothing is left out');
});

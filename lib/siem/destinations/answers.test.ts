/** What each protocol's own answers mean, beyond what its status says. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { startHttpsReceiver } from '../../../test/fakes/https-receiver.ts';
import { createLoopbackTls } from '../../../test/fakes/loopback-tls.ts';
import { batchOf, heartbeat, logins } from '../../../test/fakes/siem-events.ts';
import { type Answer, httpFixtures, type Received, testNow } from '../../../test/fakes/siem-receivers.ts';
import { Secret } from '../../crypto/secret.ts';
import { type ConfigOf, destinationConfig } from '../config.ts';
import type { SendResult } from '../destination.ts';
import { openS3 } from './s3.ts';
import { openSentinel } from './sentinel.ts';

const tls = await createLoopbackTls();
const network = { allow: ['127.0.0.0/8'], ca: tls.ca, pins: [] };
const soon = () => AbortSignal.timeout(10_000);
const events = logins(3);

async function worldOf(t: TestContext, handle: (request: Received) => Answer) {
  const server = await startHttpsReceiver(tls, handle);
  t.after(server.close);
  return server;
}

/** What comes of one batch when the receiver answers so. */
async function resultOf(t: TestContext, name: string, answer: Answer): Promise<SendResult> {
  const fixture = httpFixtures[name]!;
  const server = await worldOf(t, () => answer);
  const destination = fixture.open(server.base, network);
  t.after(() => destination.close());
  return destination.send(batchOf(events), fixture.credentials, soon());
}

const items = (...statuses: readonly number[]) => ({ items: statuses.map((status) => ({ create: { status } })) });
const hec = 'splunk-hec with acknowledgement';
const ok = { EventId: 'a' };

const table: readonly (readonly [string, Answer, SendResult['kind']])[] = [
  [hec, { status: 200, body: { code: 0, ackId: 4 } }, 'pending'],
  [hec, { status: 200, body: { code: 0 } }, 'config'],
  [hec, { status: 400, body: { code: 14 } }, 'config'],
  [hec, { status: 400, body: { code: 7 } }, 'config'],
  [hec, { status: 400, body: { code: 6 } }, 'rejected'],
  [hec, { status: 403, body: { code: 4 } }, 'auth'],
  [hec, { status: 401, body: { code: 2 } }, 'auth'],
  [hec, { status: 503, body: { code: 9 } }, 'transient'],
  [hec, { status: 500, body: { code: 8 } }, 'transient'],
  ['splunk-hec', { status: 200, body: { code: 0 } }, 'delivered'],
  ['elastic', { status: 200, body: items(201, 409, 201) }, 'delivered'],
  ['elastic', { status: 200, body: items(201, 429, 201) }, 'transient'],
  ['elastic', { status: 200, body: items(201, 503, 400) }, 'transient'],
  ['elastic', { status: 200, body: items(400, 201, 413) }, 'partial'],
  ['elastic', { status: 200, body: items(404, 404, 404) }, 'config'],
  ['elastic', { status: 200, body: items(403, 403, 403) }, 'auth'],
  ['elastic', { status: 200, body: items(201, 201) }, 'transient'],
  ['otlp', { status: 200, body: { partialSuccess: {} } }, 'delivered'],
  [
    'otlp',
    { status: 200, body: { partialSuccess: { rejectedLogRecords: '0', errorMessage: 'slow down' } } },
    'delivered',
  ],
  ['otlp', { status: 200, body: { partialSuccess: { rejectedLogRecords: '1' } } }, 'rejected'],
  ['otlp', { status: 200, body: { partialSuccess: { rejectedLogRecords: 1 } } }, 'rejected'],
  ['webhook', { status: 410 }, 'config'],
  ['datadog', { status: 202 }, 'delivered'],
  ['datadog', { status: 400 }, 'rejected'],
  ['s3', { status: 412 }, 'delivered'],
  ['s3', { status: 409 }, 'transient'],
  ['s3', { status: 403 }, 'auth'],
  ['s3', { status: 404 }, 'config'],
  ['eventbridge', { status: 200, body: { Entries: [ok, ok, ok] } }, 'delivered'],
  ['eventbridge', { status: 200, body: { Entries: [ok, { ErrorCode: 'ThrottlingException' }, ok] } }, 'transient'],
  ['eventbridge', { status: 200, body: { Entries: [ok, { ErrorCode: 'InternalFailure' }, ok] } }, 'transient'],
  ['eventbridge', { status: 200, body: { Entries: [ok, { ErrorCode: 'MalformedDetail' }, ok] } }, 'partial'],
  ['eventbridge', { status: 200, body: { Entries: [ok, {}, ok] } }, 'transient'],
  ['eventbridge', { status: 400, body: { __type: 'com.amazon.coral#ThrottlingException' } }, 'transient'],
  ['eventbridge', { status: 400, body: { __type: 'UnrecognizedClientException' } }, 'auth'],
  ['eventbridge', { status: 400, body: { __type: 'InvalidSignatureException' } }, 'auth'],
  ['eventbridge', { status: 400, body: { __type: 'ResourceNotFoundException' } }, 'config'],
  ['eventbridge', { status: 400, body: { __type: 'ValidationException' } }, 'rejected'],
];

for (const [name, answer, kind] of table) {
  test(`${name}: ${answer.status} ${JSON.stringify(answer.body ?? '')} is ${kind}`, async (t) => {
    assert.equal((await resultOf(t, name, answer)).kind, kind);
  });
}

test("R32 Splunk: a batch that no indexer has stays pending, and another batch's acknowledgement is not taken for it", async (t) => {
  const fixture = httpFixtures[hec]!;
  const acknowledged = new Set<string>();
  const server = await worldOf(t, ({ path, headers, body }) => {
    const channel = `${headers['x-splunk-request-channel']}`;
    if (path !== '/services/collector/ack') return { status: 200, body: { code: 0, ackId: 0 } };
    return { status: 200, body: { acks: { [JSON.parse(body.toString()).acks[0]]: acknowledged.has(channel) } } };
  });
  const destination = fixture.open(server.base, network);
  t.after(() => destination.close());
  const first = await destination.send(batchOf(events, { id: '1'.repeat(32) }), fixture.credentials, soon());
  const second = await destination.send(batchOf(events, { id: '2'.repeat(32) }), fixture.credentials, soon());
  assert.ok(first.kind === 'pending' && second.kind === 'pending');
  acknowledged.add(first.token.split(' ')[0]!);
  assert.deepEqual(await destination.confirm!(second.token, fixture.credentials, soon()), second);
  assert.deepEqual(await destination.confirm!(first.token, fixture.credentials, soon()), { kind: 'delivered' });
  const odd = await worldOf(t, () => ({ status: 200, body: { acks: 'all' } }));
  const other = fixture.open(odd.base, network);
  t.after(() => other.close());
  assert.equal((await other.confirm!(first.token, fixture.credentials, soon())).kind, 'pending');
});

const id = '11111111-2222-4333-8444-555555555555';
test('Sentinel: one token for many sends, a new one before it ends, when it is refused, and for another secret', async (t) => {
  let now = testNow();
  let issued = 0;
  let refused = '';
  const server = await worldOf(t, ({ path, headers }) => {
    if (!path.endsWith('/token')) return { status: headers.authorization === refused ? 401 : 204 };
    issued += 1;
    return { status: 200, body: { access_token: `token-${issued}`, expires_in: 3600 } };
  });
  const config = destinationConfig.parse({
    ...{ kind: 'sentinel', name: 'test', url: server.base, network, ruleId: `dcr-${'a'.repeat(32)}` },
    ...{ stream: 'Custom-Holdfast', tenant: id, client: id, clientSecret: 'secret:siem/azure' },
  }) as ConfigOf<'sentinel'>;
  const destination = openSentinel(config, { now: () => now, login: { url: server.base, network } });
  t.after(() => destination.close());
  const send = (secret = 'one') => destination.send(batchOf(events), { clientSecret: new Secret(secret) }, soon());
  assert.equal((await send()).kind, 'delivered');
  assert.equal((await send()).kind, 'delivered');
  assert.equal(issued, 1);
  now += 3_300_000;
  assert.equal((await send()).kind, 'delivered');
  assert.equal(issued, 2);
  // One that was kept and is refused may only be old; a new one that is refused is not.
  refused = 'Bearer token-2';
  assert.equal((await send()).kind, 'transient');
  refused = 'Bearer token-3';
  assert.equal((await send()).kind, 'auth');
  refused = '';
  assert.equal((await send()).kind, 'delivered');
  assert.equal(issued, 4);
  assert.equal((await send('two')).kind, 'delivered');
  assert.equal(issued, 5);
});

test('Sentinel: what the log-in answers', async (t) => {
  for (const [answer, kind] of [
    [{ status: 400, body: { error: 'invalid_client' } }, 'auth'],
    [{ status: 401 }, 'auth'],
    [{ status: 503 }, 'transient'],
    [{ status: 302, headers: { location: 'https://elsewhere.example/' } }, 'config'],
    [{ status: 200, body: {} }, 'transient'],
    [{ status: 200, body: { access_token: 'a\nb', expires_in: 5 } }, 'transient'],
    [{ status: 200, body: { access_token: 'a', expires_in: -1 } }, 'transient'],
  ] as const) {
    assert.equal((await resultOf(t, 'sentinel', answer)).kind, kind, JSON.stringify(answer));
  }
});

test('S3: names sort as the log does, and the process without credentials is told', async (t) => {
  const server = await worldOf(t, () => ({ status: 200 }));
  const config = destinationConfig.parse({
    ...{
      kind: 's3',
      name: 'test',
      url: server.base,
      network,
      region: 'eu-central-1',
      bucket: 'audit',
      prefix: 'log=a/',
    },
  }) as ConfigOf<'s3'>;
  const role = { accessKeyId: 'AKIDEXAMPLE00000', secretAccessKey: 'x', sessionToken: 'session' };
  const destination = openS3(config, { now: testNow, role: async () => role });
  t.after(() => destination.close());
  assert.equal((await destination.send(batchOf(events.slice(1)), {}, soon())).kind, 'delivered');
  assert.equal((await destination.send(batchOf([heartbeat]), {}, soon())).kind, 'delivered');
  const [first, second] = server.requests;
  const name = '0123456789abcdef'.repeat(2);
  assert.equal(first?.path, `/audit/log%3Da/holdfast.test_fleet/2026-01-02/0000000000000001-${name}.ndjson.gz`);
  assert.equal(second?.path, `/audit/log%3Da/holdfast.test_fleet/2026-01-02/none-${name}.ndjson.gz`);
  assert.equal(first?.headers['x-amz-security-token'], 'session');
  assert.equal(gunzipSync(first!.body).toString().trimEnd().split('\n').length, 2);
  const without = openS3(config, { now: testNow, role: () => Promise.reject(new Error('no role')) });
  assert.equal((await without.send(batchOf(events), {}, soon())).kind, 'auth');
});

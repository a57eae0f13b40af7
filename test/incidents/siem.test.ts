/** Incidents of audit delivery: what its configuration may name, and what a dead receiver may hold up. */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import type { DestinationView } from '../../functions/admin/routes/siem.ts';
import { startAuditReceiver } from '../fakes/audit-receiver.ts';
import { type Edge, startEdge } from './edge.ts';

const stop: (() => unknown)[] = [];
let edge: Edge;

before(async () => {
  edge = await startEdge({ after: (step) => stop.push(step) });
  const headers = { 'content-type': 'application/octet-stream' };
  const body = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  const { status } = await edge.call('PUT', '/v1/secrets/siem%2Fhook', { token: edge.localAdmin, headers, body });
  assert.equal(status, 200);
});
after(async () => {
  // Whatever failed before: the whole control plane ends, and with it every destination.
  for (const step of stop) await step();
});

const add = (config: object) =>
  edge.call('POST', '/v1/siem/destinations', { token: edge.localAdmin, body: { config, start: 'oldest' } });

/** As it stands once this holds, or when the test's own time is over. */
async function shownOnce(
  { signal }: TestContext,
  name: string,
  holds: (shown: DestinationView) => boolean,
): Promise<DestinationView> {
  for (;;) {
    signal.throwIfAborted();
    const shown: DestinationView = await edge.asAdmin('GET', `/v1/siem/destinations/${name}`);
    if (holds(shown)) return shown;
  }
}

async function receiverOf(t: TestContext) {
  const receiver = await startAuditReceiver();
  t.after(receiver.close);
  return receiver;
}

const hook = { kind: 'webhook', mapping: 'raw', secret: 'secret:siem/hook' };
const limits = { timeout: 100_000 };

test('incident 33: a destination is one of the kinds there are; no file, no command, no foreign secret', async () => {
  const good = { ...hook, name: 'x', url: 'https://hook.example' };
  const refused = [
    ...['file', 'exec', 'socket', 'syslog-udp', 'http'].map((kind) => ({ ...good, kind })),
    { ...good, path: '/etc/cron.d/x' },
    { ...good, command: ['sh', '-c', 'id'] },
    { ...good, url: 'file:///etc/passwd' },
    { ...good, url: 'http://hook.example' },
    { ...good, url: 'https://user:pass@hook.example' },
    { ...good, network: { allow: [], pins: [], ca: '/etc/ssl/cert.pem' } },
    { ...good, network: { allow: [], pins: [], insecure: true } },
    { ...good, secret: 'secret:db/password' },
    { ...good, name: '../x' },
  ];
  for (const config of refused) assert.equal((await add(config)).status, 400, JSON.stringify(config));
  assert.deepEqual((await edge.asAdmin('GET', '/v1/siem/destinations')) as object, { items: [] });
});

test(
  'incident 33: metadata, link-local and private addresses get no connection, and the feed says why',
  limits,
  async (t) => {
    const receiver = await receiverOf(t);
    const urls = {
      metadata: 'https://169.254.169.254/latest/meta-data/',
      allowed: 'https://169.254.169.254/',
      loopback: receiver.url,
      decimal: receiver.url.replace('127.0.0.1', '2130706433'),
    };
    for (const [name, url] of Object.entries(urls)) {
      // Allowing a network does not allow metadata.
      const allow = name === 'allowed' ? ['169.254.0.0/16'] : [];
      assert.equal((await add({ ...hook, name, url, network: { allow, pins: [] } })).status, 200, url);
    }
    for (const name of Object.keys(urls)) {
      const shown = await shownOnce(t, name, ({ state }) => state !== 'active');
      assert.equal(shown.state, 'blocked_config', name);
      assert.equal(shown.delivered, 0);
    }
    assert.equal(receiver.requests(), 0);
  },
);

test(
  'incident 38: a receiver that takes a batch and never answers holds up nothing, and loses nothing',
  limits,
  async (t) => {
    const receiver = await receiverOf(t);
    receiver.hang();
    const network = { allow: ['127.0.0.0/8'], pins: [], ca: receiver.ca };
    assert.equal((await add({ ...hook, name: 'hangs', url: receiver.url, network })).status, 200);
    await receiver.until(() => receiver.requests() > 0, t.signal);
    // The product works all the while: each of these is a durable operation with its entry.
    for (let i = 0; i < 40; i++)
      assert.equal((await edge.call('POST', '/v1/tokens', { token: edge.localAdmin, body: {} })).status, 200);
    const shown = await shownOnce(t, 'hangs', ({ lag }) => lag.entries >= 40);
    assert.equal(shown.delivered, 0, 'the backlog grows, and shows');
    receiver.heal();
    await receiver.until(() => receiver.events.length >= shown.lag.entries, t.signal);
    const sequences = [...new Set(receiver.events.flatMap(({ seq }) => (typeof seq === 'number' ? [seq] : [])))];
    assert.deepEqual(
      sequences,
      sequences.map((_, i) => i),
      'from the first entry on, in order, without a gap',
    );
  },
);

import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { hostileText } from '../../../test/fakes/hostile-text.ts';
import { createLoopbackTls } from '../../../test/fakes/loopback-tls.ts';
import { batchOf, feedOf, heartbeat, logins, stubOf, testLog } from '../../../test/fakes/siem-events.ts';
import { startSyslogReceiver } from '../../../test/fakes/syslog-receiver.ts';
import { Secret } from '../../crypto/secret.ts';
import { type ConfigOf, destinationConfig } from '../config.ts';
import type { Batch } from '../event.ts';
import { openSyslog } from './syslog.ts';
import { formatFrame } from './syslog-frame.ts';

const tls = await createLoopbackTls();
const soon = () => AbortSignal.timeout(20_000);

function configOf(port: number, change: object = {}): ConfigOf<'syslog'> {
  const network = { allow: ['127.0.0.0/8'], ca: tls.ca, pins: [] };
  return destinationConfig.parse({
    kind: 'syslog',
    name: 'test',
    host: '127.0.0.1',
    port,
    network,
    ...change,
  }) as ConfigOf<'syslog'>;
}

async function world(t: TestContext, change: object = {}, options: { requestCert?: boolean } = {}) {
  const receiver = await startSyslogReceiver(tls, options);
  t.after(receiver.close);
  const destination = openSyslog(configOf(receiver.port, change));
  const send = (batch: Batch, signal = soon(), credentials = {}) => destination.send(batch, credentials, signal);
  return { receiver, destination, send };
}

const header = /^<(\d{1,3})>1 (\S+) (\S+) holdfast - (\S+) \[holdfast@32473((?: [a-z]+="(?:[^"\\\]]|\\["\\\]])*")+)\] /;

test('R32 every event is one message, in order, and delivered after the receiver has closed', async (t) => {
  const { receiver, send } = await world(t, { mapping: 'raw' });
  const events = [...logins(50), heartbeat];
  assert.deepEqual(await send(batchOf(events)), { kind: 'delivered' });
  assert.equal(receiver.messages.length, 51);
  for (const [i, event] of events.entries()) {
    const message = receiver.messages[i]!;
    const [head = '', priority, time, host, type, params = ''] = header.exec(message) ?? [];
    const document = JSON.parse(message.slice(head.length));
    assert.equal(document.id, event.id);
    assert.equal(host, testLog);
    assert.match(params, new RegExp(` id="${event.id}"`));
    if (event.kind !== 'entry') continue;
    assert.equal(priority, `${13 * 8 + 6}`);
    assert.equal(time, event.entry.ts);
    assert.equal(type, 'session.create');
    assert.deepEqual(Buffer.from(document.raw), Buffer.from(event.raw!));
    assert.match(params, new RegExp(` seq="${event.seq}" .*chain="${event.chain}" previous="${event.previous}"`));
  }
  // One to learn how it closes, one for the batch.
  assert.equal(receiver.sessions(), 2);
  assert.deepEqual(await send(batchOf(events)), { kind: 'delivered' });
  assert.equal(receiver.sessions(), 3);
});

test('R32 a receiver that never says close_notify is believed by the end of TCP', async (t) => {
  const { receiver, send } = await world(t);
  receiver.mode = 'bare';
  assert.deepEqual(await send(batchOf(logins(5))), { kind: 'delivered' });
  assert.equal(receiver.messages.length, 5);
});

test('R32 a receiver that is killed after it has read everything has not taken it', async (t) => {
  const { receiver, send } = await world(t);
  assert.deepEqual(await send(batchOf(logins(5))), { kind: 'delivered' });
  receiver.mode = 'killed';
  assert.equal((await send(batchOf(logins(5)))).kind, 'transient');
  receiver.mode = 'clean';
  assert.deepEqual(await send(batchOf(logins(5))), { kind: 'delivered' });
});

test('R32 a receiver that resets, closes early or never closes has not taken it', async (t) => {
  const { receiver, send } = await world(t);
  assert.deepEqual(await send(batchOf(logins(1))), { kind: 'delivered' });
  for (const mode of ['reset', 'early'] as const) {
    receiver.mode = mode;
    assert.equal((await send(batchOf(logins(400)))).kind, 'transient', mode);
  }
  receiver.mode = 'silent';
  receiver.messages.length = 0;
  const deadline = new AbortController();
  const sending = send(batchOf(logins(3)), deadline.signal);
  const poll = setInterval(() => receiver.messages.length === 3 && deadline.abort(), 5);
  t.after(() => clearInterval(poll));
  assert.equal((await sending).kind, 'transient');
  assert.equal(receiver.messages.length, 3);
});

test('R32 a receiver that was stopped is sent everything again', async (t) => {
  const { receiver, send } = await world(t);
  assert.equal((await send(batchOf(logins(2)))).kind, 'delivered');
  await receiver.close();
  assert.equal((await send(batchOf(logins(9)))).kind, 'transient');
  const again = await startSyslogReceiver(tls, { port: receiver.port });
  t.after(again.close);
  assert.equal((await send(batchOf(logins(9)))).kind, 'delivered');
  assert.equal(again.messages.length, 9);
});

test('a receiver that accepts and never answers costs no longer than the deadline', async (t) => {
  const deadline = new AbortController();
  let held: Socket | undefined;
  const server = createServer((socket) => {
    held = socket.on('error', () => undefined);
    deadline.abort();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => {
    held?.destroy();
    server.close();
  });
  const destination = openSyslog(configOf((server.address() as AddressInfo).port));
  assert.equal((await destination.send(batchOf(logins(1)), {}, deadline.signal)).kind, 'transient');
});

test('R32 mutual TLS: with a certificate it delivers, without one it does not', async (t) => {
  const change = { clientCertificate: tls.client.cert, clientKey: 'secret:siem/key' };
  const { destination, receiver } = await world(t, change, { requestCert: true });
  const credentials = { clientKey: new Secret(tls.client.key) };
  assert.deepEqual(await destination.send(batchOf(logins(2)), credentials, soon()), { kind: 'delivered' });
  assert.equal(receiver.messages.length, 2);
  const bare = await world(t, {}, { requestCert: true });
  assert.equal((await bare.send(batchOf(logins(2)))).kind, 'auth');
  assert.deepEqual(bare.receiver.messages, []);
});

test('an untrusted authority, a wrong pin and an address that is not allowed', async (t) => {
  const other = await createLoopbackTls();
  const allow = ['127.0.0.0/8'];
  const untrusted = await world(t, { network: { allow, ca: other.ca, pins: [] } });
  assert.equal((await untrusted.send(batchOf(logins(1)))).kind, 'config');
  const pins = [Buffer.alloc(32, 1).toString('base64')];
  const unpinned = await world(t, { network: { allow, ca: tls.ca, pins } });
  assert.deepEqual(await unpinned.send(batchOf(logins(1))), { kind: 'config', reason: 'pin_mismatch' });
  const denied = await world(t, { network: { allow: [], ca: tls.ca, pins: [] } });
  assert.deepEqual(await denied.send(batchOf(logins(1))), { kind: 'config', reason: 'address_denied' });
  const named = await world(t, { host: 'localhost', network: { allow: [...allow, '::1/128'], ca: tls.ca, pins: [] } });
  assert.equal((await named.send(batchOf(logins(1)))).kind, 'config');
  for (const { receiver } of [untrusted, unpinned, denied, named]) assert.deepEqual(receiver.messages, []);
});

test('R32 what is longer than a frame is named, the others are delivered', async (t) => {
  const { receiver, send } = await world(t, { mapping: 'ocsf' });
  const detail = { expires: '2026-01-03T00:00:00.000Z', labels: Object.fromEntries(many(50)), hostname: 'h' };
  const big = { type: 'token.create', detail } as const;
  const small = { type: 'token.cancel' } as const;
  const events = feedOf([small, big, small]);
  assert.deepEqual(await send(batchOf(events)), { kind: 'partial', rejected: [{ index: 1, reason: 'oversize' }] });
  assert.equal(receiver.messages.length, 2);
  assert.deepEqual(await send(batchOf([stubOf(events[1]!)])), { kind: 'delivered' });
  assert.match(receiver.messages[2]!, / kind="stub" .* seq="1" /);
});

test('a checkpoint that does not fit beside its event is left out', () => {
  const [event] = logins(1);
  const checkpoint = { size: 1, note: 'x'.repeat(8000) };
  const frame = formatFrame(configOf(1), event!, { log: testLog, checkpoint });
  assert.ok(frame !== undefined && frame.length < 8192);
  assert.doesNotMatch(frame.toString(), /hfCheckpoint/);
  const small = formatFrame(configOf(1), event!, { log: testLog, checkpoint: { size: 1, note: 'x' } });
  assert.match(small!.toString(), /hfCheckpointNote=x/);
});

test('R32 no name of an actor or a log forges a frame, a header or a parameter', () => {
  fc.assert(
    fc.property(
      hostileText,
      hostileText,
      fc.constantFrom('cef', 'leef', 'ocsf', 'ecs', 'raw'),
      (name, log, mapping) => {
        const [event] = logins(1, name);
        const frame = formatFrame(configOf(1, { mapping }), { ...event!, id: `${log}:0` }, { log })!;
        const space = frame.indexOf(32);
        assert.equal(Number(frame.toString('latin1', 0, space)), frame.length - space - 1);
        const message = frame.toString('utf8', space + 1);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
        assert.doesNotMatch(message, /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
        const match = header.exec(message);
        assert.ok(match, message);
        assert.equal([...match[5]!.matchAll(/ [a-z]+="/g)].length, 8);
      },
    ),
  );
});

function many(count: number): [string, string][] {
  return Array.from({ length: count }, (_, i) => [`label-${i}`, 'v'.repeat(60)]);
}

import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { formatApiToken } from '../../lib/access/token-format.ts';
import { bearerHeaders, createAdminWorld, testLocalAdminToken, testSite } from '../../test/fakes/admin.ts';
import { createGate, refusalOf } from './bad-credentials.ts';

test('R23 on a connection on which bad credentials keep coming answers are held back, elsewhere and for good calls never', async () => {
  const waits: number[] = [];
  const { app } = await createAdminWorld({ wait: async (ms) => waits.push(ms) });
  const connection = () => ({ incoming: { socket: {} } });
  const [bad, other] = [connection(), connection()];
  const send = (headers: Record<string, string>, environment: object) =>
    app.request(`${testSite}/v1/whoami`, { headers }, environment);
  for (let i = 0; i < 5; i++) assert.equal((await send(bearerHeaders('vgot_x'), bad)).status, 401);
  assert.deepEqual(waits, []);
  for (const headers of [bearerHeaders('vgot_x'), { cookie: '__Host-holdfast=hfs_x' }, bearerHeaders('hfs_x')]) {
    const response = await send(headers, bad);
    assert.deepEqual([response.status, response.headers.get('connection')], [401, null], 'who waits keeps it');
  }
  assert.equal(waits.length, 3);
  for (let i = 0; i < 10; i++) assert.equal((await send({}, bad)).status, 401);
  assert.equal(waits.length, 3, 'who brings no credential is not held');
  for (const ms of waits) assert.ok(ms >= 500 && ms <= 2_000, String(ms));
  await send(bearerHeaders('vgot_x'), other);
  for (let i = 0; i < 50; i++) {
    assert.equal((await send(bearerHeaders(testLocalAdminToken), other)).status, 200);
    assert.equal((await send(bearerHeaders(testLocalAdminToken), bad)).status, 200);
  }
  assert.equal(waits.length, 3);
});

test('R23 what is sent ahead while an answer is held back is not read on, and ends the connection with that answer', async () => {
  const held = Promise.withResolvers<void>();
  const areHeld = Promise.withResolvers<void>();
  let waiting = 0;
  const wait = () => {
    waiting += 1;
    if (waiting === 2) areHeld.resolve();
    return held.promise;
  };
  const { app, audit } = await createAdminWorld({ wait });
  const gate = createGate({ audit }, await refusalOf(app));
  const [paused, patientPaused] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const eager = { pause: () => paused.resolve() };
  const patient = { pause: () => patientPaused.reject(new Error('who waits is read on')) };
  const send = async (socket: object) =>
    app.request(`${testSite}/v1/whoami`, { headers: bearerHeaders('hfs_x') }, { incoming: { socket } });
  for (const socket of [eager, patient]) for (let i = 0; i < 5; i++) await send(socket);
  const [answer, other] = [send(eager), send(patient)];
  await areHeld.promise;
  const before = audit.events.length;
  const ahead = { socket: eager, headers: {}, headersDistinct: { host: ['cp.test'] } };
  const outgoing = {} as ServerResponse;
  for (let i = 0; i < 3; i++) assert.equal(gate(ahead as unknown as IncomingMessage, outgoing), true, 'not answered');
  await paused.promise;
  held.resolve();
  patientPaused.resolve();
  assert.equal((await answer).headers.get('connection'), 'close');
  assert.equal((await other).headers.get('connection'), null);
  await patientPaused.promise;
  assert.equal(audit.events.length, before);
});

test('R23 incident 27: the gate answers a malformed token as the app does, records it, and lets everything else through', async () => {
  const { app, audit } = await createAdminWorld();
  const gate = createGate({ audit }, await refusalOf(app));
  const before = audit.events.length;
  const finish: (() => void)[] = [];
  const send = (authorization: string | undefined, socket: object = {}) => {
    const sent = { status: 0, headers: {} as Record<string, string>, body: '' };
    const outgoing = {
      writeHead: (status: number, headers: Record<string, string>) => Object.assign(sent, { status, headers }),
      end: (body: string) => Object.assign(sent, { body }),
      once: (_event: 'close', listener: () => void) => finish.push(listener),
    };
    const incoming = { socket, headers: { authorization }, headersDistinct: { host: ['cp.test'] } };
    const handled = gate(incoming as unknown as IncomingMessage, outgoing as unknown as ServerResponse);
    return { handled, ...sent };
  };
  const good = formatApiToken(new Uint8Array(32));
  for (const passed of [
    undefined,
    `Bearer ${good}`,
    'Bearer hfs_x',
    `Bearer ${testLocalAdminToken}`,
    'Basic x',
    'Bearer',
  ])
    assert.equal(send(passed).handled, false, passed);
  assert.equal(audit.events.length, before);
  for (const host of [undefined, [], ['a', 'b']]) {
    const answered = { status: 0 };
    const outgoing = { writeHead: (status: number) => Object.assign(answered, { status }), end: () => undefined };
    const incoming = { socket: {}, headers: {}, headersDistinct: { host } };
    assert.equal(gate(incoming as unknown as IncomingMessage, outgoing as unknown as ServerResponse), true);
    assert.equal(answered.status, 400, 'several hosts, or none');
  }
  const refused = send(`Bearer ${good}x`);
  const expected = await app.request(`${testSite}/v1/whoami`, { headers: bearerHeaders(`${good}x`) });
  assert.equal(refused.status, expected.status);
  assert.equal(refused.body, await expected.text());
  assert.deepEqual(refused.headers, Object.fromEntries(expected.headers));
  assert.equal(audit.events.length, before + 2);
  const socket = {};
  for (let i = 1; i < 200; i++) assert.equal(send('Bearer vgot_', socket).headers['connection'], undefined);
  assert.equal(send('Bearer vgot_', socket).headers['connection'], 'close');
  const after = send(`Bearer ${good}`, socket);
  assert.deepEqual([after.handled, after.status], [true, 0], 'what was sent ahead on a closed connection is dropped');

  // Of what is sent ahead, eight are looked up before the first answer is known; the ninth ends the connection.
  const eager = {};
  finish.length = 0;
  for (let i = 0; i < 8; i++) assert.equal(send(`Bearer ${good}`, eager).handled, false);
  const patient = {};
  for (let i = 0; i < 50; i++) {
    assert.equal(send(`Bearer ${good}`, patient).handled, false, 'one after the other there is no limit');
    finish.pop()?.();
  }
  const ninth = send(`Bearer ${good}`, eager);
  assert.deepEqual([ninth.status, ninth.headers['connection']], [429, 'close']);

  const known = {};
  for (let i = 0; i < 6; i++)
    await app.request(`${testSite}/v1/whoami`, { headers: bearerHeaders('hfs_x') }, { incoming: { socket: known } });
  assert.equal(send(`Bearer ${good}`, known).handled, false);
  assert.equal(send(`Bearer ${good}`, known).status, 429, 'where credentials keep being bad, one at a time');
});

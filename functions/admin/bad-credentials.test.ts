import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { formatApiToken } from '../../lib/access/token-format.ts';
import { bearerHeaders, createAdminWorld, testLocalAdminToken, testSite } from '../../test/fakes/admin.ts';
import { createGate, refusalOf } from './bad-credentials.ts';

test('R23 a connection on which bad credentials keep coming is closed, others are not, and good calls never are', async () => {
  const { app } = await createAdminWorld();
  const connection = () => ({ incoming: { socket: {} } });
  const [bad, other] = [connection(), connection()];
  const send = async (headers: Record<string, string>, environment: object) =>
    (await app.request(`${testSite}/v1/whoami`, { headers }, environment)).headers.get('connection');
  for (let i = 1; i < 25; i++) assert.equal(await send(bearerHeaders('vgot_x'), bad), null, String(i));
  assert.equal(await send(bearerHeaders('vgot_x'), bad), 'close');
  assert.equal(await send({ cookie: '__Host-holdfast=hfs_x' }, bad), 'close');
  assert.equal(await send(bearerHeaders('vgot_x'), other), null);
  for (let i = 0; i < 50; i++) assert.equal(await send(bearerHeaders(testLocalAdminToken), other), null);
});

test('R23 incident 27: the gate answers a malformed token as the app does, records it, and lets everything else through', async () => {
  const { app, audit } = await createAdminWorld();
  const gate = createGate({ audit }, await refusalOf(app));
  const before = audit.events.length;
  const send = (authorization: string | undefined, socket: object = {}) => {
    const sent = { status: 0, headers: {} as Record<string, string>, body: '' };
    const outgoing = {
      writeHead: (status: number, headers: Record<string, string>) => Object.assign(sent, { status, headers }),
      end: (body: string) => Object.assign(sent, { body }),
    };
    const incoming = { socket, headers: { authorization }, headersDistinct: { host: ['cp.test'] } };
    return { handled: gate(incoming as unknown as IncomingMessage, outgoing as unknown as ServerResponse), ...sent };
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
});

import assert from 'node:assert/strict';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { startHttpsReceiver } from '../../test/fakes/https-receiver.ts';
import { createLoopbackTls } from '../../test/fakes/loopback-tls.ts';
import { addressRule } from './addresses.ts';
import { createHttpClient } from './http.ts';
import { connectSecurely, type Resolve } from './network.ts';
import { resultOfError } from './network-error.ts';

const soon = () => AbortSignal.timeout(10_000);
const nowhere = { allow: [], pins: [] };

/** A listener on loopback that tells whether anything connected to it. */
async function listener(t: TestContext) {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
}

test('a URL with user information, or without TLS, is refused', async (t) => {
  const client = createHttpClient({ allow: ['127.0.0.0/8'], pins: [] });
  t.after(client.close);
  const { port, connections } = await listener(t);
  for (const url of [
    `https://receiver.example@127.0.0.1:${port}/`,
    `https://user:pass@127.0.0.1:${port}/`,
    `https://:x@127.0.0.1:${port}/`,
    `http://127.0.0.1:${port}/`,
    'file:///etc/passwd',
  ]) {
    const sending = client.send({ method: 'GET', url: new URL(url), headers: {}, body: '' }, soon());
    await assert.rejects(sending, { code: 'not_https' }, url);
  }
  assert.equal(connections(), 0);
});

test('R32 DNS rebinding: a name is judged by what it yields, each time and in all of it', async (t) => {
  const { port, connections } = await listener(t);
  const yields =
    (...addresses: string[]): Resolve =>
    async () =>
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  for (const resolve of [
    yields('127.0.0.1'),
    yields('192.0.2.1', '127.0.0.1'),
    yields('93.184.216.34', '10.0.0.1'),
    yields('::ffff:127.0.0.1'),
    yields('169.254.169.254'),
    yields('fe80::1%eth0'),
    yields('not an address'),
  ]) {
    const endpoint = { host: 'receiver.example', port, network: nowhere, resolve };
    await assert.rejects(connectSecurely(endpoint, soon()), { code: 'address_denied' });
  }
  await assert.rejects(
    connectSecurely({ host: 'receiver.example', port, network: nowhere, resolve: yields() }, soon()),
    {
      code: 'not_found',
    },
  );
  assert.equal(connections(), 0);
});

test('R32 DNS rebinding between the check and the connection: the socket itself is judged, and gets no byte', async (t) => {
  const received: Buffer[] = [];
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.on('data', (chunk) => received.push(chunk)).on('error', () => undefined);
    socket.once('close', () => end());
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  let looks = 0;
  /** Public when it is checked, this machine when it is connected to. */
  const turning = {
    family: 4,
    get address() {
      looks += 1;
      return looks === 1 ? '93.184.216.34' : '127.0.0.1';
    },
  };
  const endpoint = { host: 'receiver.example', port, network: nowhere, resolve: async () => [turning] };
  await assert.rejects(connectSecurely(endpoint, soon()), { code: 'address_denied' });
  assert.ok(looks > 1);
  await ended;
  assert.deepEqual(received, []);
});

test('R32 a name is looked up once for a connection, with all that its aliases lead to', async () => {
  const asked: string[] = [];
  // A look-up follows aliases by itself and yields what the last one has.
  const resolve: Resolve = async (host) => {
    asked.push(host);
    return [{ address: '10.9.8.7', family: 4 }];
  };
  for (const host of ['alias.example', 'alias.example.', 'localhost.']) {
    const endpoint = { host, port: 443, network: nowhere, resolve };
    await assert.rejects(connectSecurely(endpoint, soon()), { code: 'address_denied' });
  }
  assert.deepEqual(asked, ['alias.example', 'alias.example.', 'localhost.']);
});

test('a kept connection is used again, and a new one is judged anew', async (t) => {
  const tls = await createLoopbackTls();
  const server = await startHttpsReceiver(tls, () => ({ status: 200 }));
  t.after(server.close);
  const rebound = { address: '127.0.0.1', family: 4 };
  const client = createHttpClient({ allow: ['127.0.0.1/32'], ca: tls.ca, pins: [] }, async () => [{ ...rebound }]);
  t.after(client.close);
  const request = { method: 'POST' as const, url: new URL(server.base), headers: {}, body: 'x' };
  for (const _ of [1, 2, 3]) assert.equal((await client.send(request, soon())).status, 200);
  assert.equal(server.connections(), 1);
  client.close();
  rebound.address = '169.254.169.254';
  const named = { ...request, url: new URL(`https://receiver.example:${server.port}/`) };
  await assert.rejects(client.send(named, soon()), { code: 'address_denied' });
});

test('an allowed network opens itself and nothing beside it', () => {
  const rule = addressRule(['10.20.0.0/16', 'fd12:3456::/32']);
  for (const address of [
    '10.20.0.1',
    '10.20.255.255',
    '::ffff:10.20.3.4',
    'fd12:3456::1',
    '93.184.216.34',
    '2606:4700::1',
  ]) {
    assert.equal(rule(address), true, address);
  }
  for (const address of [
    '10.21.0.0',
    '10.19.255.255',
    '172.16.0.1',
    '192.168.0.1',
    '100.64.0.1',
    '127.0.0.1',
    '::1',
    'fd12:3457::1',
    'fd00:ec2::254',
    'fc00::1',
    '2001:0:4136:e378:8000:63bf:3fff:fdd2',
    '2001:db8::1',
    '198.18.0.1',
    '',
    'localhost',
    '10.20.0.1 ',
  ]) {
    assert.equal(rule(address), false, address);
  }
});

test('whatever carries an IPv4 address is judged as that address is', () => {
  const rule = addressRule(['64:ff9b:1::/48']);
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      const words = address.split('.').map(Number);
      const [a = 0, b = 0, c = 0, d = 0] = words;
      const hex = `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
      for (const carrier of [
        ...[`::ffff:${address}`, `::ffff:${hex}`, `::ffff:0:${hex}`],
        ...[
          `64:ff9b::${hex}`,
          `64:ff9b:1::${hex}`,
          `2002:${hex}::`,
          `2606:4700::5efe:${hex}`,
          `2606:4700::200:5efe:${hex}`,
        ],
      ]) {
        assert.equal(rule(carrier), rule(address), carrier);
      }
    }),
  );
});

test('what goes wrong becomes a reason without a word of the error', () => {
  const quoted = Object.assign(new Error('secret words'), { code: 'ECONNRESET' });
  assert.deepEqual(resultOfError(quoted), { kind: 'transient', reason: 'connection: ECONNRESET' });
  for (const error of ['text', undefined, new Error('secret words'), { code: 'not a code\n' }]) {
    assert.deepEqual(resultOfError(error), { kind: 'transient', reason: 'connection: failed' });
  }
  assert.equal(resultOfError({ code: 'ERR_INVALID_CHAR' }).kind, 'auth');
  assert.equal(resultOfError({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' }).kind, 'config');
  assert.equal(resultOfError({ code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' }).kind, 'auth');
});

/**
 * What holds for every destination that speaks HTTPS, whatever its protocol: over real sockets on loopback, through the
 * same checks as everywhere, with the loopback network allowed by configuration.
 */
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { before, describe, type TestContext, test } from 'node:test';
import { Secret } from '../../lib/crypto/secret.ts';
import type { Destination, SendResult } from '../../lib/siem/destination.ts';
import type { Batch } from '../../lib/siem/event.ts';
import { type HttpsReceiver, startHttpsReceiver } from '../fakes/https-receiver.ts';
import { createLoopbackTls, type LoopbackTls } from '../fakes/loopback-tls.ts';
import { batchOf, heartbeat, logins, stubOf } from '../fakes/siem-events.ts';
import type { KindFixture, Network } from '../fakes/siem-receivers.ts';

const loopback = ['127.0.0.0/8'];

export function destinationConformance(name: string, fixture: KindFixture): void {
  describe(name, () => {
    let tls: LoopbackTls;
    before(async () => {
      tls = await createLoopbackTls();
    });

    async function world(
      t: TestContext,
      change: Partial<Network> = {},
      baseOf = (server: HttpsReceiver) => server.base,
    ) {
      const receiver = fixture.receiver();
      const server = await startHttpsReceiver(tls, receiver.handle);
      const network = { allow: loopback, ca: tls.ca, pins: [], ...change };
      const destination = fixture.open(baseOf(server), network);
      t.after(async () => {
        await destination.close();
        await server.close();
      });
      return { receiver, server, destination };
    }

    const open = (t: TestContext, base: string): Destination => {
      const destination = fixture.open(base, { allow: loopback, ca: tls.ca, pins: [] });
      t.after(() => destination.close());
      return destination;
    };

    /** Sends and, where the protocol says so, asks until it is confirmed. */
    async function deliver(
      destination: Destination,
      batch: Batch,
      signal = AbortSignal.timeout(20_000),
    ): Promise<SendResult> {
      const result = await destination.send(batch, fixture.credentials, signal);
      assertSilent(result, fixture);
      if (result.kind !== 'pending') return result;
      assert.ok(result.token.length <= 1024);
      return destination.confirm!(result.token, fixture.credentials, signal);
    }

    test('R32 delivers every event once, in order, byte for byte', async (t) => {
      const { destination, receiver } = await world(t);
      const events = logins(25);
      const mixed = [...events.slice(0, 24), stubOf(events[24]!), heartbeat];
      assert.deepEqual(await deliver(destination, batchOf(mixed)), { kind: 'delivered' });
      assert.deepEqual(
        receiver.taken.map(({ id }) => id),
        mixed.map(({ id }) => id),
      );
      for (const [i, event] of events.slice(0, 24).entries()) {
        assert.deepEqual(Buffer.from(receiver.taken[i]?.raw ?? ''), Buffer.from(event.raw!));
      }
    });

    test('R32 the same batch again is the same bytes, and the receiver still has each event once', async (t) => {
      const { destination, receiver, server } = await world(t);
      const batch = batchOf(logins(12));
      assert.equal((await deliver(destination, batch)).kind, 'delivered');
      const first = server.requests.filter(isData).map(({ path, body }) => ({ path, body }));
      server.requests.length = 0;
      assert.equal((await deliver(destination, batch)).kind, 'delivered');
      assert.deepEqual(
        server.requests.filter(isData).map(({ path, body }) => ({ path, body })),
        first,
      );
      assert.equal(receiver.taken.length, 12);
    });

    test('a receiver that refuses the connection', async (t) => {
      const { server, destination } = await world(t);
      await server.close();
      assert.equal((await deliver(destination, batchOf(logins(2)))).kind, 'transient');
    });

    test('a receiver that accepts and never answers costs no longer than the deadline', async (t) => {
      const sockets: Socket[] = [];
      const deadline = new AbortController();
      const server = createServer((socket) => {
        sockets.push(socket);
        socket.on('error', () => undefined);
        // In the middle of the handshake, which goes no further.
        socket.once('data', () => deadline.abort());
      });
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
      t.after(() => {
        for (const socket of sockets) socket.destroy();
        server.close();
      });
      const destination = open(t, `https://127.0.0.1:${(server.address() as AddressInfo).port}`);
      assert.equal((await deliver(destination, batchOf(logins(2)), deadline.signal)).kind, 'transient');
    });

    test('a receiver that hangs before, within and after the headers of its answer', async (t) => {
      for (const start of ['', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"a":']) {
        const { server, destination } = await world(t);
        const deadline = new AbortController();
        server.intercept = (_, outgoing) => {
          outgoing.socket?.write(start, () => deadline.abort());
          return true;
        };
        assert.equal((await deliver(destination, batchOf(logins(2)), deadline.signal)).kind, 'transient');
      }
    });

    test('429 with Retry-After, and what it says', async (t) => {
      const { server, destination } = await world(t);
      answerWith(server, 429, { 'retry-after': '7' });
      const result = await deliver(destination, batchOf(logins(2)));
      assert.equal(result.kind, 'transient');
      assert.equal('retryAfterMs' in result && result.retryAfterMs, 7000);
    });

    test('every status has its class, and then it works again', async (t) => {
      const { server, receiver, destination } = await world(t);
      const expected = [
        [500, 'transient'],
        [502, 'transient'],
        [503, 'transient'],
        [408, 'transient'],
        [401, 'auth'],
        [403, 'auth'],
        [413, 'too_large'],
        [404, 'config'],
        [301, 'config'],
        [307, 'config'],
      ] as const;
      for (const [status, kind] of expected) {
        answerWith(server, status, { location: `${server.base}/elsewhere` });
        assert.equal((await deliver(destination, batchOf(logins(2)))).kind, kind, `${status}`);
      }
      assert.deepEqual(receiver.taken, []);
      server.intercept = () => false;
      assert.equal((await deliver(destination, batchOf(logins(2)))).kind, 'delivered');
    });

    test('a redirect is not followed', async (t) => {
      const { server, destination } = await world(t);
      const paths: string[] = [];
      server.intercept = (incoming, outgoing) => {
        paths.push(incoming.url ?? '');
        outgoing.writeHead(308, { location: `${server.base}/elsewhere` }).end();
        return true;
      };
      assert.equal((await deliver(destination, batchOf(logins(2)))).kind, 'config');
      assert.equal(paths.length, 1);
      assert.ok(!paths.includes('/elsewhere'));
    });

    test('a receiver that is killed while it reads the batch', async (t) => {
      const { server, receiver, destination } = await world(t);
      server.intercept = (incoming) => {
        incoming.once('data', () => incoming.socket.destroy());
        incoming.resume();
        return true;
      };
      assert.equal((await deliver(destination, batchOf(logins(200)))).kind, 'transient');
      assert.deepEqual(receiver.taken, []);
      server.intercept = () => false;
      assert.equal((await deliver(destination, batchOf(logins(20)))).kind, 'delivered');
      assert.equal(receiver.taken.length, 20);
    });

    test('an answer without end is not read to its end', async (t) => {
      const { server, destination } = await world(t);
      server.intercept = (incoming, outgoing) => {
        incoming.resume();
        outgoing.writeHead(200);
        const more = () => {
          while (!outgoing.destroyed && outgoing.write(Buffer.alloc(65_536, 32)));
        };
        outgoing.on('drain', more);
        more();
        return true;
      };
      assert.equal((await deliver(destination, batchOf(logins(2)))).kind, 'transient');
    });

    test('an answer that is no TLS', async (t) => {
      const server = createServer((socket) => {
        socket.on('error', () => undefined);
        socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      });
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
      t.after(() => server.close());
      const destination = open(t, `https://127.0.0.1:${(server.address() as AddressInfo).port}`);
      assert.equal((await deliver(destination, batchOf(logins(2)))).kind, 'transient');
    });

    test('a certificate of an authority that is not trusted: nothing is sent', async (t) => {
      const other = await createLoopbackTls();
      const { server, destination } = await world(t, { ca: other.ca });
      assertCertificate(await deliver(destination, batchOf(logins(2))));
      assert.deepEqual(server.requests, []);
    });

    test('a certificate for another name: nothing is sent', async (t) => {
      const allow = [...loopback, '::1/128'];
      const { server, destination } = await world(t, { allow }, ({ port }) => `https://localhost:${port}`);
      assertCertificate(await deliver(destination, batchOf(logins(2))));
      assert.ok(server.connections() > 0);
      assert.deepEqual(server.requests, []);
    });

    test('pins: neither of two is in the chain, and then one is', async (t) => {
      const wrong = Buffer.alloc(32, 1).toString('base64');
      const refused = await world(t, { pins: [wrong] });
      assert.deepEqual(await deliver(refused.destination, batchOf(logins(2))), {
        kind: 'config',
        reason: 'pin_mismatch',
      });
      assert.deepEqual(refused.server.requests.filter(isData), []);
      const spki = new X509Certificate(tls.cert).publicKey.export({ type: 'spki', format: 'der' });
      const pins = [wrong, createHash('sha256').update(spki).digest('base64')];
      const { destination } = await world(t, { pins });
      assert.equal((await deliver(destination, batchOf(logins(2)))).kind, 'delivered');
    });

    test('an address that nobody allowed: not even a connection', async (t) => {
      const { server, destination } = await world(t, { allow: ['10.0.0.0/8'] });
      assert.deepEqual(await deliver(destination, batchOf(logins(2))), { kind: 'config', reason: 'address_denied' });
      assert.equal(server.connections(), 0);
    });

    test('credentials that the receiver does not take', async (t) => {
      const { receiver, destination } = await world(t);
      const wrong = Object.fromEntries(
        Object.entries(fixture.credentials).map(([field, value]) => [field, mutated(value)]),
      );
      const result = await destination.send(batchOf(logins(2)), wrong, AbortSignal.timeout(20_000));
      // An AWS receiver of these tests takes the key's id for the key: the signature has tests of its own.
      if (!('secretAccessKey' in wrong)) {
        assert.equal(result.kind, 'auth');
        assert.deepEqual(receiver.taken, []);
      }
    });

    test('a credential with a line end in it adds no header, and is not shown', async (t) => {
      const { server, destination } = await world(t);
      const torn = Object.fromEntries(
        Object.keys(fixture.credentials).map((field) => [field, new Secret('canary\r\nx-injected: canary')]),
      );
      const result = await destination.send(batchOf(logins(2)), torn, AbortSignal.timeout(20_000));
      assert.doesNotMatch(JSON.stringify(result), /canary/);
      assert.ok(server.requests.every(({ headers }) => headers['x-injected'] === undefined));
      if (!('secretAccessKey' in torn)) assert.equal(result.kind, 'auth');
    });

    test('close is idempotent, and a send after it opens anew', async (t) => {
      const { destination } = await world(t);
      await destination.close();
      assert.equal((await deliver(destination, batchOf(logins(2)))).kind, 'delivered');
      await destination.close();
      await destination.close();
      assert.equal((await deliver(destination, batchOf(logins(2)))).kind, 'delivered');
    });

    test('a deadline that is over already', async (t) => {
      const { receiver, destination } = await world(t);
      assert.equal((await deliver(destination, batchOf(logins(2)), AbortSignal.abort())).kind, 'transient');
      assert.deepEqual(receiver.taken, []);
    });

    if (fixture.readsAnswers) {
      test('an answer of 200 that makes no sense is not a delivery', async (t) => {
        const { server, destination } = await world(t);
        for (const body of [
          '',
          'ok',
          '[]',
          '{}',
          'null',
          '{"items":[],"Entries":[],"code":9}',
          '{"items":[{"create":{}}]}',
        ]) {
          answerWith(server, 200, {}, body);
          const { kind } = await deliver(destination, batchOf(logins(2)));
          assert.ok(kind === 'transient' || kind === 'config', `${body}: ${kind}`);
        }
      });
    }

    if (fixture.isPartial) {
      test('R32 events that the receiver refuses are named, the others it has', async (t) => {
        const { receiver, destination } = await world(t);
        const events = logins(25);
        receiver.refuse.set(events[3]!.id, 'refused').set(events[17]!.id, 'refused');
        assert.deepEqual(await deliver(destination, batchOf(events)), {
          kind: 'partial',
          rejected: [
            { index: 3, reason: 'refused' },
            { index: 17, reason: 'refused' },
          ],
        });
        assert.equal(receiver.taken.length, 23);
      });
    }
  });
}

/** A request for a token, or for an acknowledgement, is not the batch. */
const isData = ({ path }: { readonly path: string }) => !/oauth2|collector\/ack/.test(path);

function answerWith(server: HttpsReceiver, status: number, headers: Record<string, string>, body = ''): void {
  server.intercept = (incoming, outgoing) => {
    incoming.resume();
    incoming.once('end', () => outgoing.writeHead(status, headers).end(body));
    return true;
  };
}

function assertCertificate(result: SendResult): void {
  assert.equal(result.kind, 'config');
  assert.match('reason' in result ? result.reason : '', /^certificate: /);
}

function assertSilent(result: SendResult, { credentials }: KindFixture): void {
  const text = JSON.stringify(result);
  for (const secret of Object.values(credentials)) assert.ok(!text.includes(secret.reveal()));
}

function mutated(secret: KindFixture['credentials'][string]) {
  const other = secret.reveal().startsWith('whsec_')
    ? `whsec_${Buffer.alloc(32, 8).toString('base64')}`
    : 'wrong-value';
  return Object.create(secret, { reveal: { value: () => other } });
}

/** What the listener answers to peers that send no request, or too large a one. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { createLoopbackTls } from '../../test/fakes/loopback-tls.ts';
import { problemDetails, unreadableRequest } from '../admin/problem.ts';
import { type HttpsOptions, serveHttps } from './https.ts';

async function setUp(t: TestContext, options: Partial<HttpsOptions> = {}) {
  const { key, cert, ca } = await createLoopbackTls();
  const app = { fetch: async () => new Response('an answer') };
  const unreadable = unreadableRequest;
  const listener = await serveHttps({ app, tls: { key, cert }, host: '127.0.0.1', port: 0, unreadable, ...options });
  t.after(() => listener.close(0));
  /** Sends bytes, and gives all that comes until the server ends the connection. */
  const send = async (...parts: readonly string[]) => {
    const socket: TLSSocket = connect({ host: '127.0.0.1', port: listener.port, ca });
    await once(socket, 'secureConnect');
    for (const part of parts) socket.write(part);
    let text = '';
    for await (const chunk of socket.setEncoding('utf8')) text += chunk;
    return text;
  };
  return { send };
}

const ordinary = 'GET / HTTP/1.1\r\nhost: localhost\r\n';

test('what is no request, or has too large a head, is answered with problem details, and the connection ends', async (t) => {
  const { send } = await setUp(t);
  for (const [status, sent] of [
    [431, `${ordinary}x: ${'a'.repeat(17 * 1024)}\r\n\r\n`],
    [431, `GET /?${'a'.repeat(17 * 1024)} HTTP/1.1\r\nhost: localhost\r\n\r\n`],
    [400, 'this is no HTTP\r\n\r\n'],
    [400, `${ordinary}bad header\r\n\r\n`],
  ] as const) {
    const [head = '', body = ''] = (await send(sent)).split('\r\n\r\n');
    assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.match(head, /\r\ncontent-type: application\/problem\+json/);
    assert.match(head, /\r\nconnection: close/);
    assert.equal(Number(/content-length: ([0-9]+)/.exec(head)?.[1]), Buffer.byteLength(body));
    assert.equal(problemDetails.parse(JSON.parse(body)).status, status);
  }
});

test('nothing is written into the middle of another answer', async (t) => {
  const { promise: never, resolve } = Promise.withResolvers<Response>();
  const { send } = await setUp(t, { app: { fetch: () => never } });
  assert.equal(await send(`${ordinary}\r\n`, 'this is no HTTP\r\n\r\n'), '');
  resolve(new Response());
});

test('without words of its own it answers the status alone', async (t) => {
  const { send } = await setUp(t, { unreadable: () => ({ headers: {}, body: '' }) });
  assert.equal(await send('x\r\n\r\n'), 'HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
});

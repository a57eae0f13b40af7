/** An HTTPS server on loopback whose answers, and failures to answer, are scripted by a test. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { LoopbackTls } from './loopback-tls.ts';
import type { Answer, Received } from './siem-receivers.ts';

export type HttpsReceiver = {
  readonly base: string;
  readonly port: number;
  /** What came whole, in order. */
  readonly requests: Received[];
  /** Connections that were accepted, whether or not anything was sent on them. */
  readonly connections: () => number;
  /** Called for each request instead of the usual answer; `true` when it took care of it. */
  intercept: (incoming: IncomingMessage, outgoing: ServerResponse) => boolean;
  readonly close: () => Promise<void>;
};

export async function startHttpsReceiver(
  tls: LoopbackTls,
  handle: (request: Received) => Answer,
): Promise<HttpsReceiver> {
  const requests: Received[] = [];
  let connections = 0;
  const server = createServer({ key: tls.key, cert: tls.cert }, (incoming, outgoing) => {
    if (receiver.intercept(incoming, outgoing)) return;
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk) => chunks.push(chunk));
    incoming.on('end', () => {
      const { url = '', method = '', headers } = incoming;
      const request = { path: url, method, headers, body: Buffer.concat(chunks) };
      requests.push(request);
      const { status, headers: own = {}, body } = handle(request);
      const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
      outgoing.writeHead(status, { 'content-type': 'application/json', ...own }).end(text);
    });
  });
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const receiver: HttpsReceiver = {
    base: `https://127.0.0.1:${port}`,
    port,
    requests,
    connections: () => connections,
    intercept: () => false,
    close: () =>
      new Promise<void>((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
  return receiver;
}

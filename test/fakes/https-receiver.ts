/** An HTTPS server on loopback whose answers, and failures to answer, are scripted by a test. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { ServerCertificate } from './loopback-tls.ts';
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
  /** Shows this certificate from now on; connections that there are end. */
  readonly certify: (shown: ServerCertificate) => void;
  readonly close: () => Promise<void>;
};

export async function startHttpsReceiver(
  { key, cert }: ServerCertificate,
  handle: (request: Received) => Answer,
  host = '127.0.0.1',
): Promise<HttpsReceiver> {
  const requests: Received[] = [];
  let connections = 0;
  const server = createServer({ key, cert }, async (incoming, outgoing) => {
    if (receiver.intercept(incoming, outgoing)) return;
    const { url = '', method = '', headers } = incoming;
    const chunks = await incoming.toArray().catch(() => undefined);
    if (chunks === undefined) return;
    const request = { path: url, method, headers, body: Buffer.concat(chunks) };
    requests.push(request);
    const { status, headers: own = {}, body } = handle(request);
    const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
    outgoing.writeHead(status, { 'content-type': 'application/json', ...own }).end(text);
  });
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((done) => server.listen(0, host, done));
  const { port } = server.address() as AddressInfo;
  const receiver: HttpsReceiver = {
    base: `https://${host}:${port}`,
    port,
    requests,
    connections: () => connections,
    intercept: () => false,
    certify(shown) {
      server.setSecureContext({ key: shown.key, cert: shown.cert });
      server.closeAllConnections();
    },
    close: () =>
      new Promise<void>((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
  return receiver;
}

/** An HTTPS receiver of batches on loopback, that keeps what it takes and can be told to hang. */
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createLoopbackTls } from './loopback-tls.ts';

/** As the raw mapping puts it into a webhook. */
export type ReceivedEvent = { readonly [field: string]: unknown };

export async function startAuditReceiver(host: '127.0.0.1' | '127.0.0.2' = '127.0.0.1') {
  const tls = await createLoopbackTls();
  const events: ReceivedEvent[] = [];
  const held: ServerResponse[] = [];
  const waiting: (() => void)[] = [];
  let isHanging = false;
  let requests = 0;
  const server = createServer({ key: tls.key, cert: tls.cert }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      requests += 1;
      if (isHanging) held.push(response);
      else {
        events.push(...(JSON.parse(Buffer.concat(chunks).toString('utf8')).data.events as ReceivedEvent[]));
        response.writeHead(200).end('{}');
      }
      for (const look of waiting.splice(0)) look();
    });
  });
  await new Promise<void>((done) => server.listen(0, host, done));
  const { port } = server.address() as AddressInfo;
  return {
    ca: tls.ca,
    url: `https://${host}:${port}/in`,
    events,
    requests: () => requests,
    hang() {
      isHanging = true;
    },
    /** Cuts what hangs, and takes what comes from now on. */
    heal() {
      isHanging = false;
      for (const response of held.splice(0)) response.destroy();
    },
    /** Resolves once this holds; it is looked at after each request. Rejects when the signal aborts. */
    async until(holds: () => boolean, signal: AbortSignal): Promise<void> {
      while (!holds())
        await new Promise<void>((resolve, reject) => {
          const giveUp = () => reject(signal.reason);
          signal.throwIfAborted();
          signal.addEventListener('abort', giveUp, { once: true });
          waiting.push(() => {
            signal.removeEventListener('abort', giveUp);
            resolve();
          });
        });
    },
    close: () =>
      new Promise<void>((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

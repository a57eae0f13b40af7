/** A webhook's receiver on loopback, that keeps what it takes and can be told to hang. */
import type { ServerResponse } from 'node:http';
import { startHttpsReceiver } from './https-receiver.ts';
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
  const count = () => {
    requests += 1;
    for (const look of waiting.splice(0)) look();
  };
  const handle = ({ body }: { readonly body: Buffer }) => {
    events.push(...(JSON.parse(body.toString('utf8')).data.events as ReceivedEvent[]));
    count();
    return { status: 200, body: {} };
  };
  const server = await startHttpsReceiver(tls, handle, host);
  server.intercept = (incoming, outgoing) => {
    if (!isHanging) return false;
    incoming.resume().once('end', () => {
      // It may have been healed since the request began.
      if (isHanging) held.push(outgoing);
      else outgoing.destroy();
      count();
    });
    return true;
  };
  return {
    ca: tls.ca,
    url: `${server.base}/in`,
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
    close: server.close,
  };
}

/** The health port of the container: alive, and ready to be sent nodes. It answers nothing else and knows no secret. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type HealthPort = { readonly port: number; close(): Promise<void> };

export async function serveHealth(options: {
  readonly host: string;
  readonly port: number;
  readonly ready: () => boolean;
}): Promise<HealthPort> {
  const server = createServer((request, response) => {
    const status = request.url === '/livez' ? 200 : request.url === '/readyz' ? (options.ready() ? 200 : 503) : 404;
    response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' }).end();
  });
  server.headersTimeout = 5_000;
  server.requestTimeout = 5_000;
  server.maxConnections = 100;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

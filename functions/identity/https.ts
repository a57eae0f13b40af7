/** The HTTPS listener: TLS 1.3 only, with deadlines for peers that stall. Used for every Hono app of a server. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';

export type HttpsOptions = {
  readonly app: { readonly fetch: (request: Request, env: unknown) => Response | Promise<Response> };
  /** The private key as PKCS#8 PEM, and the certificate chain as PEM, leaf first. */
  readonly tls: { readonly key: string; readonly cert: string };
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Looks at a request before anything is made of it; true when it has answered, or nobody is to. */
  readonly gate?: (incoming: IncomingMessage, outgoing: ServerResponse) => boolean;
};

export interface HttpsListener {
  readonly host: string;
  readonly port: number;
  /** New handshakes use the new certificate. */
  replaceCertificate(tls: HttpsOptions['tls']): void;
  /** Takes no new connections, lets requests under way finish within `graceMs`, then cuts the rest. */
  close(graceMs?: number): Promise<void>;
}

/** Resolves once the port is bound; rejects with the system's error when it can't be. */
export async function serveHttps({ app, tls, host, port, gate }: HttpsOptions): Promise<HttpsListener> {
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const server = createServer(
    {
      key: tls.key,
      cert: tls.cert,
      minVersion: 'TLSv1.3',
      handshakeTimeout: 5_000,
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: 15_000,
      maxHeaderSize: 16 * 1024,
    },
    (incoming, outgoing) => (gate?.(incoming, outgoing) ? undefined : listener(incoming, outgoing)),
  );
  server.maxConnections = 10_000;

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const bound = server.address() as AddressInfo;
  let closing: Promise<void> | undefined;
  return {
    host: bound.address,
    port: bound.port,
    replaceCertificate: ({ key, cert }) => server.setSecureContext({ key, cert, minVersion: 'TLSv1.3' }),
    close(graceMs = 5_000) {
      closing ??= new Promise((resolve) => {
        const cut = setTimeout(() => server.closeAllConnections(), graceMs);
        server.close(() => {
          clearTimeout(cut);
          resolve();
        });
        server.closeIdleConnections();
      });
      return closing;
    },
  };
}

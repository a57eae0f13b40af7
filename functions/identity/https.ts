/** The HTTPS listener: TLS 1.3 only, with deadlines for peers that stall. Used for every Hono app of a server. */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
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
  /** The answer to what can't be read as a request: not HTTP, not in time, or with too large a head. */
  readonly unreadable?: (status: 400 | 408 | 431) => {
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  };
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
export async function serveHttps(options: HttpsOptions): Promise<HttpsListener> {
  const { app, tls, host, port, gate } = options;
  /** How many answers are under way on each connection. */
  const answering = new WeakMap<Socket, number>();
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
    (incoming, outgoing) => {
      const { socket } = incoming;
      answering.set(socket, (answering.get(socket) ?? 0) + 1);
      outgoing.once('close', () => answering.set(socket, (answering.get(socket) ?? 1) - 1));
      return gate?.(incoming, outgoing) ? undefined : listener(incoming, outgoing);
    },
  );
  server.maxConnections = 10_000;
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    // Into the middle of another answer nothing is written.
    if (error.code === 'ECONNRESET' || !socket.writable || (answering.get(socket) ?? 0) > 0) socket.destroy();
    else socket.end(refusal(unreadableStatuses[error.code ?? ''] ?? 400, options.unreadable));
  });

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

/** As Node itself tells them apart (node:http, "Event: 'clientError'"). */
const unreadableStatuses: { readonly [code: string]: 408 | 431 } = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
};

/** The last message of a connection. */
function refusal(status: 400 | 408 | 431, unreadable: HttpsOptions['unreadable']): string {
  const { headers, body } = unreadable?.(status) ?? { headers: {}, body: '' };
  const fields = { ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`;
}

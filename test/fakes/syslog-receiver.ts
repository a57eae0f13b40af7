/** A syslog receiver over TLS on loopback: reads octet-counted frames, and dies in the ways that a test asks for. */
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import type { LoopbackTls, ServerCertificate } from './loopback-tls.ts';

export type SyslogReceiver = {
  readonly port: number;
  /** Whole messages, in the order of arrival. */
  readonly messages: string[];
  readonly sessions: () => number;
  /**
   * `clean`: close_notify once the sender has closed. `bare`: the end of TCP alone. `silent`: never closes. `reset`: cuts
   * the connection after the first bytes. `early`: closes cleanly after the first bytes. `killed`: reads all, then ends
   * as the sockets of a killed process do, without close_notify.
   */
  mode: 'clean' | 'bare' | 'silent' | 'reset' | 'early' | 'killed';
  /** Shows this certificate from now on. */
  readonly certify: (shown: ServerCertificate) => void;
  readonly close: () => Promise<void>;
};

export async function startSyslogReceiver(tls: LoopbackTls, options: { requestCert?: boolean; port?: number } = {}) {
  const raw = new WeakMap<TLSSocket, Socket>();
  const open = new Set<Socket>();
  let last: Socket | undefined;
  let sessions = 0;
  const own = options.requestCert === true ? { requestCert: true, rejectUnauthorized: true, ca: tls.ca } : {};
  const server = createServer({ key: tls.key, cert: tls.cert, allowHalfOpen: true, ...own }, (socket) => {
    sessions += 1;
    raw.set(socket, last!);
    let buffer = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      if (receiver.mode === 'reset') return raw.get(socket)?.resetAndDestroy();
      if (receiver.mode === 'early') return socket.end();
      buffer = readFrames(Buffer.concat([buffer, chunk]), receiver.messages);
      return undefined;
    });
    socket.on('end', () => {
      if (receiver.mode === 'clean') socket.end();
      if (receiver.mode === 'bare' || receiver.mode === 'killed') raw.get(socket)?.end();
    });
  });
  server.on('connection', (socket: Socket) => {
    last = socket;
    open.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => open.delete(socket));
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((done) => server.listen(options.port ?? 0, '127.0.0.1', done));
  const receiver: SyslogReceiver = {
    port: (server.address() as AddressInfo).port,
    messages: [],
    sessions: () => sessions,
    mode: 'clean',
    certify: ({ key, cert }) => server.setSecureContext({ key, cert }),
    close: () =>
      new Promise<void>((done) => {
        server.close(() => done());
        for (const socket of open) socket.destroy();
      }),
  };
  return receiver;
}

/** RFC 5425 §4.3: MSG-LEN SP SYSLOG-MSG. What is not whole yet stays. */
function readFrames(buffer: Buffer<ArrayBuffer>, messages: string[]): Buffer<ArrayBuffer> {
  let at = 0;
  for (;;) {
    const space = buffer.indexOf(32, at);
    if (space < 0) break;
    const length = Number(buffer.toString('latin1', at, space));
    if (!(length > 0)) throw new TypeError('not a frame');
    if (buffer.length < space + 1 + length) break;
    messages.push(buffer.toString('utf8', space + 1, space + 1 + length));
    at = space + 1 + length;
  }
  return Buffer.from(buffer.subarray(at));
}

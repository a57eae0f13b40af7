/**
 * A relay between a sender and any receiver, on a port of its own, that fails as it is told. It knows nothing of what it
 * carries, so what it does to one protocol it does to all.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export type LinkFault =
  /** Nobody listens. */
  | 'refuses'
  /** Accepts, and neither reads nor writes. */
  | 'accepts'
  /** Accepts, and resets. */
  | 'resets'
  /** Accepts, and speaks something that is no TLS. */
  | 'babbles'
  /** What is sent gets as far as its middle; then both ends are reset. */
  | 'tears'
  /** What is sent arrives, and is answered; the answer is lost with the connection. */
  | 'loses answers'
  /** The same, but the connection stays as it is and nobody hears of it. */
  | 'withholds answers';

export type FaultyLink = {
  readonly port: number;
  /** From now on, for connections that there are as well; `undefined` heals it. */
  fail(fault: LinkFault | undefined): Promise<void>;
  /** Called whenever nothing more will happen by itself. */
  onStall: () => void;
  /** How often it did what it was told to. */
  readonly failures: () => number;
  close(): Promise<void>;
};

/** Bytes of TLS records: of every batch this is within, and beyond the head of its request. */
const middle = 1000;

export async function startFaultyLink(targetPort: number): Promise<FaultyLink> {
  const sockets = new Set<Socket>();
  let fault: LinkFault | undefined;
  let failures = 0;
  let server: Server | undefined = await listen(0);
  const { port } = server.address() as AddressInfo;

  function listen(at: number): Promise<Server> {
    const listening = createServer({ allowHalfOpen: true }, accept);
    return new Promise((done) => listening.listen(at, '127.0.0.1', () => done(listening)));
  }

  function keep(socket: Socket): Socket {
    sockets.add(socket);
    return socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
  }

  function met(isStalled = false): void {
    failures += 1;
    if (isStalled) link.onStall();
  }

  function accept(client: Socket): void {
    keep(client);
    if (fault === 'accepts') {
      // Once the first bytes are here, whoever sent them waits for an answer.
      client.once('data', () => met(true));
    } else if (fault === 'resets') {
      client.resetAndDestroy();
      met();
    } else if (fault === 'babbles') {
      client.end('220 ready\r\n');
      met();
    } else relay(client, keep(connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })));
  }

  function relay(client: Socket, target: Socket): void {
    const sent = countData();
    let isOver = false;
    const cut = () => {
      if (isOver) return;
      isOver = true;
      met();
      client.resetAndDestroy();
      target.resetAndDestroy();
    };
    const stall = () => {
      if (!isOver) met(true);
      isOver = true;
    };
    client.on('data', (chunk) => {
      const before = sent.bytes();
      sent.count(chunk);
      if (fault !== 'tears' || sent.bytes() <= middle) target.write(chunk);
      else if (before <= middle) target.write(chunk.subarray(0, middle - before), cut);
    });
    // What a receiver says after the batch is its answer, its close included.
    const isAnswer = () => sent.bytes() > middle;
    target.on('data', (chunk) => {
      if (isAnswer() && fault === 'loses answers') cut();
      else if (isAnswer() && fault === 'withholds answers') stall();
      else client.write(chunk);
    });
    client.on('end', () => target.end());
    target.on('end', () => {
      if (isAnswer() && fault === 'loses answers') cut();
      else if (isAnswer() && fault === 'withholds answers') stall();
      else client.end();
    });
    client.once('close', () => target.destroy());
    target.once('close', () => {
      if (fault !== 'withholds answers') client.destroy();
    });
  }

  async function shut(): Promise<void> {
    const listening = server;
    server = undefined;
    for (const socket of sockets) socket.destroy();
    if (listening !== undefined) await new Promise<void>((done) => listening.close(() => done()));
  }

  const link: FaultyLink = {
    port,
    async fail(next) {
      await shut();
      fault = next;
      failures = 0;
      if (fault !== 'refuses') server = await listen(port);
    },
    onStall: () => undefined,
    failures: () => failures,
    close: shut,
  };
  return link;
}

/**
 * How much of the records of a client's own data has come (RFC 8446 §5.1). Those of a handshake's end and of an alert are
 * of the same type, and shorter than any other.
 */
function countData() {
  const shortest = 100;
  let head = Buffer.alloc(0);
  let rest = 0;
  let isData = false;
  let bytes = 0;
  return {
    bytes: () => bytes,
    count(chunk: Buffer): void {
      for (let left = chunk; left.length > 0; ) {
        if (rest === 0) {
          const missing = 5 - head.length;
          head = Buffer.concat([head, left.subarray(0, missing)]);
          left = left.subarray(missing);
          if (head.length < 5) return;
          rest = head.readUInt16BE(3);
          isData = head[0] === 23 && rest >= shortest;
          head = Buffer.alloc(0);
        }
        const taken = Math.min(rest, left.length);
        rest -= taken;
        if (isData) bytes += taken;
        left = left.subarray(taken);
      }
    },
  };
}

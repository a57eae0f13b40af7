/** A TCP proxy in the hands of an attacker on the network: it sees, drops, delays, reorders and alters what passes. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export type Direction = 'up' | 'down';

/** What becomes of one piece of data; pieces in, pieces out. */
export type Interference = (data: Buffer, direction: Direction, index: number) => readonly Buffer[];

export type HostileProxy = {
  readonly port: number;
  /** Every byte that went up, by connection. */
  readonly captured: Buffer[][];
  close(): void;
};

export async function hostileProxy(targetPort: number, interfere: Interference): Promise<HostileProxy> {
  const sockets = new Set<Socket>();
  const captured: Buffer[][] = [];
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1');
    const record: Buffer[] = [];
    captured.push(record);
    relay(client, upstream, 'up', record);
    relay(upstream, client, 'down');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    captured,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };

  function relay(from: Socket, to: Socket, direction: Direction, record?: Buffer[]): void {
    let index = 0;
    sockets.add(from);
    from.on('data', (data: Buffer) => {
      record?.push(data);
      for (const piece of interfere(data, direction, index++)) if (to.writable) to.write(piece);
    });
    from.on('error', () => undefined);
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  }
}

/**
 * Connections between TCP accept and the end of TLS. Each has one deadline that no trickle of bytes moves, and when
 * there are too many, the oldest makes room: a peer that stalls harms itself, not the agent that connects next.
 */
import type { Socket } from 'node:net';

export type PendingHandshakes = {
  add(socket: Socket): void;
  /** The handshake of this peer is complete. */
  done(peer: string | undefined): void;
  close(): void;
  readonly size: number;
};

export type PendingLimits = {
  readonly handshakeTimeoutMs: number;
  readonly maxPendingHandshakes: number;
  readonly maxPendingHandshakesPerAddress: number;
};

type Entry = { readonly socket: Socket; readonly address: string; readonly deadline: NodeJS.Timeout };

export function createPendingHandshakes(limits: PendingLimits): PendingHandshakes {
  // Maps keep the order of insertion: the first is the oldest.
  const all = new Map<string, Entry>();
  const byAddress = new Map<string, Set<string>>();

  return {
    add(socket) {
      const peer = peerOf(socket);
      const address = socket.remoteAddress;
      if (peer === undefined || address === undefined) {
        socket.destroy();
        return;
      }
      const ofAddress = byAddress.get(address) ?? new Set();
      if (ofAddress.size >= limits.maxPendingHandshakesPerAddress) cut(ofAddress.values().next().value);
      if (all.size >= limits.maxPendingHandshakes) cut(all.keys().next().value);
      const deadline = setTimeout(() => cut(peer), limits.handshakeTimeoutMs);
      all.set(peer, { socket, address, deadline });
      byAddress.set(address, ofAddress.add(peer));
      socket.once('close', () => {
        if (all.get(peer)?.socket === socket) remove(peer);
      });
    },
    done(peer) {
      if (peer !== undefined) remove(peer);
    },
    close() {
      for (const peer of [...all.keys()]) cut(peer);
    },
    get size() {
      return all.size;
    },
  };

  function cut(peer: string | undefined): void {
    if (peer === undefined) return;
    const entry = all.get(peer);
    remove(peer);
    entry?.socket.destroy();
  }

  function remove(peer: string): void {
    const entry = all.get(peer);
    if (!entry) return;
    clearTimeout(entry.deadline);
    all.delete(peer);
    const ofAddress = byAddress.get(entry.address);
    ofAddress?.delete(peer);
    if (ofAddress?.size === 0) byAddress.delete(entry.address);
  }
}

/** `address:port`, as grpc-js writes a call's peer; none once the socket is gone. */
export function peerOf(socket: Socket): string | undefined {
  return socket.remoteAddress === undefined ? undefined : `${socket.remoteAddress}:${socket.remotePort}`;
}

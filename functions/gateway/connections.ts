/**
 * The connections that the gateway holds: each was admitted with a node certificate, before any byte of HTTP/2, and
 * carries that node's identity for as long as it lives.
 */
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { sha256 } from '../../lib/crypto/digest.ts';
import { equalBytes } from '../../lib/crypto/encoding.ts';
import type { GatewayMethodName } from '../../lib/wire/methods.ts';
import type { WireStatus } from '../../lib/wire/status.ts';

export type RawCall = ServerDuplexStream<Buffer, Buffer>;

/** A call under way on a connection. */
export type OpenStream = {
  readonly method: GatewayMethodName;
  /** Ends it with a status, at once: nothing that arrives later is looked at. */
  end(status: WireStatus): void;
  /** Sends an unasked-for message, unless the peer has stopped reading. */
  push(message: Buffer): void;
};

export type Connection = {
  /** `address:port` of the peer: unique among the live connections of one listener. */
  readonly peer: string;
  /** From the certificate. Every request on this connection is this node's, or refused. */
  readonly uuid: string;
  readonly certificateDigest: Uint8Array;
  readonly certificateExpiresAt: number;
  readonly streams: Set<OpenStream>;
  /** Drops the transport, without a word. */
  destroy(): void;
};

export type Connections = {
  add(connection: Connection): void;
  remove(connection: Connection): void;
  /** The connection that a call came in on; none when there is any doubt. */
  ofCall(call: RawCall): Connection | undefined;
  ofNode(uuid: string): readonly Connection[];
  all(): readonly Connection[];
  countFrom(address: string): number;
  readonly size: number;
};

export function createConnections(): Connections {
  const byPeer = new Map<string, Connection>();
  const byNode = new Map<string, Set<Connection>>();
  const perAddress = new Map<string, number>();

  return {
    add(connection) {
      byPeer.set(connection.peer, connection);
      const ofNode = byNode.get(connection.uuid) ?? new Set();
      byNode.set(connection.uuid, ofNode.add(connection));
      count(connection, 1);
    },
    remove(connection) {
      const ofNode = byNode.get(connection.uuid);
      if (!ofNode?.delete(connection)) return;
      if (ofNode.size === 0) byNode.delete(connection.uuid);
      if (byPeer.get(connection.peer) === connection) byPeer.delete(connection.peer);
      count(connection, -1);
    },
    ofCall(call) {
      // Found by the peer's address, then proven: the certificate that TLS holds for this very call's socket must be
      // the one that the connection was admitted with. An address alone would be a network's word, not a key's.
      const connection = byPeer.get(call.getPeer());
      const certificate = call.getAuthContext().sslPeerCertificate?.raw;
      if (!connection || !certificate) return undefined;
      return equalBytes(sha256(certificate), connection.certificateDigest) ? connection : undefined;
    },
    ofNode: (uuid) => [...(byNode.get(uuid) ?? [])],
    all: () => [...byPeer.values()],
    countFrom: (address) => perAddress.get(address) ?? 0,
    get size() {
      return byPeer.size;
    },
  };

  function count({ peer }: Connection, step: 1 | -1): void {
    const address = peer.slice(0, peer.lastIndexOf(':'));
    const next = (perAddress.get(address) ?? 0) + step;
    if (next === 0) perAddress.delete(address);
    else perAddress.set(address, next);
  }
}

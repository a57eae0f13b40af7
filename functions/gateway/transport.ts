/**
 * The gateway's only listener: TLS 1.3, a client certificate of this fleet's CA required, no resumption. A connection
 * gets to HTTP/2 only after its certificate was parsed as exactly our node profile; every other one is cut here.
 */
import { constants as cryptoConstants, X509Certificate } from 'node:crypto';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import type { Logger } from 'pino';
import type { AuditLog } from '../../lib/audit/port.ts';
import { sha256 } from '../../lib/crypto/digest.ts';
import { parseNodeCertificate, pemEncode } from '../../lib/crypto/x509.ts';
import type { Connection, Connections } from './connections.ts';
import { denyRequest, type HandshakeRefusalReason } from './denials.ts';
import type { GatewayLimits } from './limits.ts';
import { createPendingHandshakes, peerOf } from './pending-handshakes.ts';

/** The gateway's own side of TLS. */
export type GatewayTls = {
  readonly keyPem: string;
  /** A certificate with the URI name `spiffe://<fleet>/gateway`. */
  readonly certDer: Uint8Array;
  /** The fleet CA: the only authority there is. */
  readonly authorityDer: Uint8Array;
};

export type TransportDeps = {
  readonly audit: Pick<AuditLog, 'deny'>;
  readonly logger: Logger;
  readonly now: () => number;
  readonly fleet: string;
  readonly tls: GatewayTls;
  readonly limits: GatewayLimits;
  readonly connections: Connections;
  /** Takes a connection that was admitted. */
  readonly admit: (socket: TLSSocket) => void;
};

export type Transport = {
  readonly address: AddressInfo;
  /** New handshakes use the new certificate; the authority stays. */
  replaceCertificate(tls: Pick<GatewayTls, 'keyPem' | 'certDer'>): void;
  /** Stops listening; connections stay. */
  stopListening(): void;
};

export async function listen(deps: TransportDeps, host: string, port: number): Promise<Transport> {
  const { limits, connections, logger } = deps;
  const pending = createPendingHandshakes(limits);
  const server = createServer({
    ...secureContext(deps.tls, deps.tls.authorityDer),
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ['h2'],
    handshakeTimeout: limits.handshakeTimeoutMs,
  });
  server.maxConnections = limits.maxConnections + limits.maxPendingHandshakes;

  server.on('connection', (raw: Socket) => {
    const address = raw.remoteAddress;
    if (
      address === undefined ||
      connections.size >= limits.maxConnections ||
      connections.countFrom(address) >= limits.maxConnectionsPerAddress
    ) {
      raw.destroy();
      return;
    }
    raw.setNoDelay(true);
    pending.add(raw);
  });
  server.on('secureConnection', (socket) => {
    pending.done(peerOf(socket));
    secured(socket, deps);
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    const reason = handshakeRefusal(error, socket);
    logger.debug({ code: error.code, reason }, 'A TLS handshake failed');
    if (reason) denyRequest(deps.audit, { reason });
    socket.destroy();
  });

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: 4096 }, resolve);
  });
  server.on('error', (error) => logger.error({ err: error }, 'The listener of the gateway failed'));
  return {
    address: server.address() as AddressInfo,
    replaceCertificate: (tls) => replaceCertificate(server, tls, deps.tls.authorityDer),
    stopListening: () => {
      server.close();
      pending.close();
    },
  };
}

/** The handshake is done, so the peer holds the private key of a certificate that chains to the fleet CA. */
function secured(socket: TLSSocket, deps: TransportDeps): void {
  // Errors of the transport end the connection; whoever holds streams on it hears of that through them.
  socket.on('error', () => socket.destroy());
  const peer = peerOf(socket);
  const der = socket.getPeerX509Certificate()?.raw;
  if (socket.alpnProtocol !== 'h2' || peer === undefined) {
    socket.destroy();
    return;
  }
  if (socket.isSessionReused() || !socket.authorized || !der) {
    denyRequest(deps.audit, { reason: socket.isSessionReused() ? 'session_resumed' : 'certificate_missing' });
    socket.destroy();
    return;
  }
  const node = parseNode(der, deps);
  if (!node) {
    denyRequest(deps.audit, { reason: 'certificate_malformed' });
    socket.destroy();
    return;
  }
  const connection: Connection = {
    peer,
    uuid: node.uuid,
    certificateDigest: sha256(der),
    certificateExpiresAt: node.notAfter,
    streams: new Set(),
    destroy: () => socket.destroy(),
  };
  deps.connections.add(connection);
  socket.once('close', () => deps.connections.remove(connection));
  deps.admit(socket);
}

function parseNode(der: Uint8Array, { fleet, tls, now, logger }: TransportDeps) {
  try {
    return parseNodeCertificate(der, { fleet, authority: tls.authorityDer, now: now() });
  } catch (error) {
    logger.debug({ err: error }, 'A certificate is not of the node profile');
    return undefined;
  }
}

function secureContext(tls: Pick<GatewayTls, 'keyPem' | 'certDer'>, authority: Uint8Array): SecureContextOptions {
  return {
    key: tls.keyPem,
    cert: pemEncode('CERTIFICATE', tls.certDer),
    ca: pemEncode('CERTIFICATE', authority),
    // TLS 1.3 then still announces sessions, but none is kept and no ticket carries one: each handshake is a full one.
    secureOptions: cryptoConstants.SSL_OP_NO_TICKET,
  };
}

function replaceCertificate(server: Server, tls: Pick<GatewayTls, 'keyPem' | 'certDer'>, authority: Uint8Array): void {
  // Fails here, with the old one still in use, when key and certificate don't belong together.
  new X509Certificate(tls.certDer);
  server.setSecureContext({ ...secureContext(tls, authority), minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' });
}

/** Only what says something about a certificate; noise of networks and scanners is no entry in the audit log. */
function handshakeRefusal(error: NodeJS.ErrnoException, socket: TLSSocket): HandshakeRefusalReason | undefined {
  const code = String(socket.authorizationError ?? error.code ?? '');
  switch (code) {
    case 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE':
      return 'certificate_missing';
    case 'CERT_HAS_EXPIRED':
      return 'certificate_expired';
    case 'CERT_NOT_YET_VALID':
      return 'certificate_not_yet_valid';
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
      return 'certificate_self_signed';
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'CERT_SIGNATURE_FAILURE':
    case 'CERT_UNTRUSTED':
    case 'INVALID_CA':
      return 'certificate_untrusted';
    case 'INVALID_PURPOSE':
      return 'certificate_wrong_use';
    default:
      return socket.authorizationError ? 'certificate_malformed' : undefined;
  }
}

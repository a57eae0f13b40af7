/**
 * The one road to a receiver: TCP to an address that the rules allow, then TLS that always verifies the name. The host is
 * judged before anything is looked up (a literal address never is), what a look-up yields before it is connected to, and
 * the socket's own peer once more before the first byte is sent, so that a name that changes its address in between
 * gains nothing.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { lookup as systemLookup } from 'node:dns';
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, rootCertificates, connect as startTls, type TLSSocket } from 'node:tls';
import { type AddressRule, addressRule } from './addresses.ts';
import type { NetworkConfig } from './config.ts';
import { NetworkError, type NetworkErrorCode } from './network-error.ts';

/** As `dns.lookup` with `all`. Replaced in tests alone. */
export type Resolve = (host: string) => Promise<readonly { readonly address: string; readonly family: number }[]>;

export type Endpoint = {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly network: NetworkConfig;
  /** For mutual TLS, PEM. */
  readonly identity?: { readonly certificate: string; readonly key: string };
  readonly resolve?: Resolve;
  /** Stands between the TCP socket and TLS, for who has to see how the connection ends. */
  readonly wrap?: (socket: Socket) => Duplex;
};

/** Connected, verified, nothing sent but the handshake. Throws `NetworkError`, or what the socket failed with. */
export async function connectSecurely(endpoint: Endpoint, signal: AbortSignal): Promise<TLSSocket> {
  const rule = addressRule(endpoint.network.allow);
  assertHost(endpoint.host, rule);
  const socket = await connectChecked(endpoint, rule, signal);
  try {
    return await secure(endpoint, endpoint.wrap?.(socket) ?? socket, signal);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Throws `NetworkError` `address_denied` for a literal address that is not allowed. */
function assertHost(host: string, rule: AddressRule): void {
  if (isIP(host) !== 0 && !rule(host)) throw denied();
}

function connectChecked({ host, port, resolve = resolveAll }: Endpoint, rule: AddressRule, signal: AbortSignal) {
  return new Promise<Socket>((done, fail) => {
    const lookup: LookupFunction = (name, options, answer) => {
      checkedAddresses(resolve, name, rule).then(
        (all) => (options.all === true ? answer(null, [...all]) : answer(null, all[0]!.address, all[0]!.family)),
        (error) => answer(error, '', 0),
      );
    };
    // Half-open: a protocol that ends its own side first still has to hear how the other side ends.
    const socket = connectTcp({ host, port, lookup, noDelay: true, signal, allowHalfOpen: true });
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.off('error', fail);
      if (socket.remoteAddress !== undefined && rule(socket.remoteAddress)) return done(socket);
      socket.destroy();
      fail(denied());
    });
  });
}

/** All of them must be allowed: a name that also has an address inside is not what it says it is. */
async function checkedAddresses(resolve: Resolve, name: string, rule: AddressRule) {
  const all = await resolve(name);
  if (all.length === 0) throw new NetworkError('not_found', 'the name has no address');
  if (!all.every(({ address }) => rule(address))) throw denied();
  return all;
}

const resolveAll: Resolve = (host) =>
  new Promise((done, fail) => {
    systemLookup(host, { all: true }, (error, addresses) => (error === null ? done(addresses) : fail(error)));
  });

function secure({ host, network, identity }: Endpoint, socket: Duplex, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((done, fail) => {
    const options: ConnectionOptions = {
      socket,
      host,
      ...(isIP(host) === 0 && { servername: host }),
      ca: network.ca ?? [...rootCertificates],
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
      ...(identity !== undefined && { cert: identity.certificate, key: identity.key }),
    };
    const tls = startTls(options);
    const abort = () => tls.destroy(new NetworkError('aborted', 'it took too long'));
    const settle = () => {
      signal.removeEventListener('abort', abort);
      tls.off('error', failed);
      tls.off('close', closed);
    };
    const failed = (error: Error) => {
      settle();
      fail(error);
    };
    const closed = () => failed(new NetworkError('closed', 'the connection ended during the handshake'));
    tls.once('error', failed);
    // It can fail once more after it has failed or ended; unheard, that would end the process.
    tls.on('error', () => undefined);
    tls.once('close', closed);
    tls.once('secureConnect', () => {
      settle();
      if (isPinned(tls, network.pins)) return done(tls);
      tls.destroy();
      fail(new NetworkError('pin_mismatch', 'no key of the certificate chain is pinned'));
    });
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
  });
}

/** RFC 7469 §2.6: one pin must match a key of the chain that was verified. */
function isPinned(tls: TLSSocket, pins: readonly string[]): boolean {
  if (pins.length === 0) return true;
  const seen = new Set<string>();
  let certificate = tls.getPeerCertificate(true);
  while (certificate?.raw !== undefined && !seen.has(certificate.fingerprint256)) {
    seen.add(certificate.fingerprint256);
    const spki = new X509Certificate(certificate.raw).publicKey.export({ type: 'spki', format: 'der' });
    if (pins.includes(createHash('sha256').update(spki).digest('base64'))) return true;
    certificate = certificate.issuerCertificate;
  }
  return false;
}

function denied(): NetworkError {
  const code: NetworkErrorCode = 'address_denied';
  return new NetworkError(code, 'the address is not allowed');
}

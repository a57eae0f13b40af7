/**
 * The agent's channel to its gateway: TLS 1.3 with the node's certificate, trusting one authority, the fleet CA that
 * was pinned at enrollment, and one name under it. Host names and addresses route; they prove nothing.
 */
import { createSecureContext } from 'node:tls';
import { Client, credentials } from '@grpc/grpc-js';
import { CryptoError } from '../lib/crypto/errors.ts';
import { parseServerCertificate, pemEncode } from '../lib/crypto/x509.ts';

export type SessionTls = {
  readonly keyPem: string;
  /** The node certificate, DER. */
  readonly certDer: Uint8Array;
  /** The fleet CA certificate that was pinned at enrollment, DER. */
  readonly authorityDer: Uint8Array;
};

export type SessionChannel = {
  readonly client: Client;
  /** Why the last peer that was reached was not the gateway. */
  untrusted(): string | undefined;
};

export const maxMessageBytes = 4 * 1024 * 1024;

export function openChannel(gateway: string, fleet: string, tls: SessionTls): SessionChannel {
  let untrusted: string | undefined;
  const secureContext = createSecureContext({
    key: tls.keyPem,
    cert: pemEncode('CERTIFICATE', tls.certDer),
    ca: pemEncode('CERTIFICATE', tls.authorityDer),
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
  });
  const channelCredentials = credentials.createFromSecureContext(secureContext, {
    rejectUnauthorized: true,
    checkServerIdentity: (_host, certificate) => {
      untrusted = gatewayProblem(certificate.raw, fleet, tls.authorityDer);
      return untrusted === undefined ? undefined : new Error(untrusted);
    },
  });
  const client = new Client(gateway, channelCredentials, {
    // The name in the ClientHello: the same for every gateway, because it proves nothing.
    'grpc.ssl_target_name_override': 'gateway.holdfast.internal',
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.keepalive_time_ms': 120_000,
    'grpc.keepalive_timeout_ms': 20_000,
    // A session is one node's own: no connection shared by way of a global pool, no proxy taken from the environment,
    // no settings taken from DNS, and no request sent twice behind the caller's back.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_retries': 0,
    'grpc.enable_channelz': 0,
  });
  return { client, untrusted: () => untrusted };
}

/** `undefined` when the certificate is this fleet's gateway's. */
function gatewayProblem(der: Uint8Array, fleet: string, authority: Uint8Array): string | undefined {
  try {
    // TLS checked the validity in time; here it is checked again by the same clock.
    parseServerCertificate(der, { fleet, authority, now: Date.now(), role: 'gateway' });
    return undefined;
  } catch (error) {
    return error instanceof CryptoError ? error.message : 'its certificate can not be read';
  }
}

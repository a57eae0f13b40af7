/** What goes wrong on the way to a receiver, and what it means for the batch. */
import type { SendResult } from './destination.ts';

export type NetworkErrorCode =
  | 'address_denied'
  | 'not_found'
  | 'pin_mismatch'
  | 'aborted'
  | 'closed'
  | 'answer_too_large'
  | 'not_https';

export class NetworkError extends Error {
  override readonly name = 'NetworkError';
  readonly code: NetworkErrorCode;
  constructor(code: NetworkErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Waiting changes none of these: somebody has to. */
const configuration: ReadonlySet<string> = new Set(['address_denied', 'pin_mismatch', 'not_https']);

/** A verified certificate is wrong by these codes (Node's, after OpenSSL's X509_V_ERR names). */
const certificate =
  /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_|HOSTNAME_MISMATCH)/;

/** An alert of the receiver about ours (RFC 8446 §6.2). */
const clientCertificate =
  /ALERT_(CERTIFICATE|BAD_CERTIFICATE|UNSUPPORTED_CERT|UNKNOWN_CA|ACCESS_DENIED)|BAD_CERTIFICATE$/;

/** No text of the error but its code goes out: messages of TLS quote what the peer sent. */
export function resultOfError(error: unknown): SendResult {
  const code = (error as { code?: unknown } | undefined)?.code;
  const word = typeof code === 'string' && /^[A-Za-z0-9_]{1,64}$/.test(code) ? code : 'failed';
  // A credential that can't be in a header is of no use to anybody.
  if (word === 'ERR_INVALID_CHAR')
    return { kind: 'auth', reason: 'the credential has a character that no header may have' };
  if (configuration.has(word)) return { kind: 'config', reason: word };
  if (clientCertificate.test(word)) return { kind: 'auth', reason: `client certificate: ${word}` };
  if (certificate.test(word)) return { kind: 'config', reason: `certificate: ${word}` };
  return { kind: 'transient', reason: `connection: ${word}` };
}

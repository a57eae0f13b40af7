/** The node certificate that a server gave: believed only when it is for this node, this key and from the pinned CA. */
import { createPublicKey, X509Certificate } from 'node:crypto';
import { equalBytes, utf8 } from '../lib/crypto/encoding.ts';
import { parseNodeCertificate, pemEncode } from '../lib/crypto/x509.ts';
import type { EnrollAnswer } from '../lib/identity/answer.ts';
import { AgentError } from './errors.ts';

export type ExpectedCertificate = {
  readonly fleet: string;
  /** The pinned CA's certificate, DER. */
  readonly authority: Uint8Array;
  readonly uuid: string;
  /** Of the TLS key that was asked for. */
  readonly publicKeySpki: Uint8Array;
  readonly now: () => number;
};

/** Throws `refused`: a certificate that isn't ours is never stored. */
export function checkCertificate(answer: EnrollAnswer, expected: ExpectedCertificate): void {
  try {
    const { fleet, authority } = expected;
    if (!equalBytes(answer.authority, authority))
      throw new Error('it comes with another authority than the pinned one');
    const { uuid } = parseNodeCertificate(answer.certificate, { fleet, authority, now: expected.now() });
    if (uuid !== expected.uuid) throw new Error('it is for another node');
    if (!isFor(answer.certificate, expected.publicKeySpki)) throw new Error('it is for another key');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('refused', `the server gave a certificate that is not this node's: ${why}`, {
      hint: "check this machine's clock; if it is right, tell the operator",
      cause,
    });
  }
}

/** Whether a certificate, DER, is for a key. */
export function isFor(certificate: Uint8Array, publicKeySpki: Uint8Array): boolean {
  const key = new X509Certificate(certificate).publicKey;
  return equalBytes(
    createPublicKey(key.export({ format: 'pem', type: 'spki' })).export({ format: 'der', type: 'spki' }),
    publicKeySpki,
  );
}

/** As the state directory keeps it. */
export function certificatePem(der: Uint8Array): Uint8Array {
  return utf8(pemEncode('CERTIFICATE', der));
}

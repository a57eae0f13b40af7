/** The check of a PKCS#10 certificate request (RFC 2986) before anything is signed for it. */

import { createPublicKey, verify } from 'node:crypto';
import { DER_BIT_STRING, DER_CONTEXT_0, DER_INTEGER, DER_SEQUENCE, DerReader } from './der.ts';
import { equalBytes } from './encoding.ts';
import { CryptoError } from './errors.ts';
import { parseP256Spki } from './x509-assemble.ts';

/** A request of ours has about 200 bytes. */
const MAX_CSR_BYTES = 2048;
/** OID ecdsa-with-SHA256, without parameters (RFC 5758 §3.2). */
const ECDSA_WITH_SHA256 = Buffer.from('06082a8648ce3d040302', 'hex');
const WHAT = 'certificate request';

/**
 * The public key of an attacker-controlled request, as DER SubjectPublicKeyInfo, after its own signature was verified.
 * Whatever else it asks for (subject, extensions) is not even looked at. Throws `CryptoError`.
 */
export function verifyCsr(csr: Uint8Array): Uint8Array {
  if (csr.length > MAX_CSR_BYTES) {
    throw new CryptoError('malformed', `the certificate request is ${csr.length} bytes, limit ${MAX_CSR_BYTES}`);
  }
  const outer = new DerReader(csr, WHAT);
  const request = new DerReader(outer.read(DER_SEQUENCE).content, WHAT);
  outer.end();
  const info = request.read(DER_SEQUENCE);
  const algorithm = request.read(DER_SEQUENCE).content;
  const signature = request.read(DER_BIT_STRING).content;
  request.end();

  const publicKey = parseP256Spki(readPublicKey(info.content));
  if (!equalBytes(algorithm, ECDSA_WITH_SHA256)) {
    throw new CryptoError('unsupported', 'the certificate request is not signed with ECDSA and SHA-256');
  }
  if (signature[0] !== 0) throw new CryptoError('malformed', 'the signature of the request is not whole bytes');
  const key = createPublicKey({ key: publicKey, format: 'der', type: 'spki' });
  if (!verify('sha256', info.encoded, { key, dsaEncoding: 'der' }, signature.subarray(1))) {
    throw new CryptoError('not_authentic', 'the certificate request is not signed by its own key');
  }
  return publicKey;
}

/** CertificationRequestInfo (RFC 2986 §4.1): version 0, subject, key, attributes. */
function readPublicKey(info: Uint8Array): Uint8Array {
  const reader = new DerReader(info, WHAT);
  if (!equalBytes(reader.read(DER_INTEGER).content, Uint8Array.of(0))) {
    throw new CryptoError('unsupported', 'the certificate request is of an unknown version');
  }
  reader.read(DER_SEQUENCE);
  const { encoded } = reader.read(DER_SEQUENCE);
  reader.read(DER_CONTEXT_0);
  reader.end();
  return encoded;
}

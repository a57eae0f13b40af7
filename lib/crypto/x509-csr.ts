/** The check of a PKCS#10 certificate request (RFC 2986) before anything is signed for it. */

import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import { CryptoError, parsing } from './errors.ts';
import { parseP256Spki } from './x509-assemble.ts';

/** A request of ours has about 200 bytes. */
const MAX_CSR_BYTES = 2048;

/**
 * The public key of an attacker-controlled request, as DER SubjectPublicKeyInfo, after its own signature was verified.
 * Whatever else it asks for (subject, extensions) is ignored. Throws `CryptoError`.
 */
export async function verifyCsr(csr: Uint8Array): Promise<Uint8Array> {
  if (csr.length > MAX_CSR_BYTES) {
    throw new CryptoError('malformed', `the certificate request is ${csr.length} bytes, limit ${MAX_CSR_BYTES}`);
  }
  const der = Buffer.from(csr);
  const request = parsing('certificate request', () => {
    const parsed = new Pkcs10CertificateRequest(der);
    return { parsed, spki: Buffer.from(parsed.publicKey.rawData), encoded: Buffer.from(parsed.rawData) };
  });
  // The library also reads PEM and skips bytes after the outer SEQUENCE.
  if (derLength(der) !== der.length || !request.encoded.equals(der)) {
    throw new CryptoError('malformed', 'the certificate request is not exactly one DER value');
  }
  const publicKey = parseP256Spki(request.spki);
  let valid: boolean;
  try {
    const { name, hash } = request.parsed.signatureAlgorithm as { name: string; hash?: { name: string } };
    if (name !== 'ECDSA' || hash?.name !== 'SHA-256') {
      throw new CryptoError('unsupported', 'the certificate request is not signed with ECDSA and SHA-256');
    }
    valid = await request.parsed.verify(webcrypto as webcrypto.Crypto);
  } catch (cause) {
    if (cause instanceof CryptoError) throw cause;
    throw new CryptoError('malformed', 'not a valid certificate request', { cause });
  }
  if (!valid) throw new CryptoError('not_authentic', 'the certificate request is not signed by its own key');
  return publicKey;
}

/** Length of the outer SEQUENCE with its header, by DER's definite form (X.690 §8.1.3, §10.1); undefined for anything else. */
function derLength(der: Buffer): number | undefined {
  const length = der[1] ?? 0;
  if (der[0] !== 0x30) return undefined;
  if (length < 0x80) return 2 + length;
  if (length === 0x81) return 3 + (der[2] ?? 0);
  if (length === 0x82) return 4 + (der[2] ?? 0) * 0x100 + (der[3] ?? 0);
  return undefined;
}

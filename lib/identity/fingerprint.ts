/** The fingerprint of a node identity key: how people compare keys, and how the audit log names them. */
import { sha256 } from '../crypto/digest.ts';
import { toBase64url } from '../crypto/encoding.ts';

/** `SHA256:` and the unpadded base64url of SHA-256 over the 32 raw bytes of the Ed25519 key. */
export function identityFingerprint(key: Uint8Array): string {
  return `SHA256:${toBase64url(sha256(key))}`;
}

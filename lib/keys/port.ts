/** The key ports: a signer that never shows its private key, and a sealer for data at rest. Local files embedded, KMS on AWS. */

export type SignatureAlgorithm = 'ed25519' | 'ecdsa-p256-sha256';

export interface Signer {
  readonly algorithm: SignatureAlgorithm;
  /** SubjectPublicKeyInfo, DER (RFC 5280 §4.1.2.7). */
  readonly publicKey: Uint8Array;
  /** Ed25519: the 64 bytes of RFC 8032 §5.1.6, at most 4096 bytes of message. ECDSA: DER (RFC 3279 §2.2.3) over SHA-256. */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** Authenticated encryption of small data at rest. `context` is bound as additional data and must be the same to open. */
export interface DataSealer {
  seal(plaintext: Uint8Array, context: string): Promise<Uint8Array>;
  /** Throws `KeysError` `not_authentic` on any change to ciphertext or context. */
  open(sealed: Uint8Array, context: string): Promise<Uint8Array>;
}

/** Each key has one purpose; the adapter makes it at first use and finds it again afterwards. */
export type KeyPurpose = 'fleet-ca' | 'audit-log' | 'artifact';

export interface KeyStore {
  signer(purpose: KeyPurpose): Promise<Signer>;
  readonly sealer: DataSealer;
}

export type KeysErrorCode = 'loose_permissions' | 'not_authentic' | 'malformed' | 'missing' | 'unavailable';

export class KeysError extends Error {
  override readonly name = 'KeysError';
  readonly code: KeysErrorCode;
  constructor(code: KeysErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

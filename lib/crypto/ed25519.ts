/** Ed25519 (RFC 8032): keys, signing, and the one strict verifier that every signature in the product goes through. */

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { ED25519_SPKI_PREFIX, nodeBackend, sodiumBackend } from './ed25519-backends.ts';
import { CryptoError, parsing } from './errors.ts';

declare const brand: unique symbol;

/** 32 bytes that are the canonical encoding of a point of prime order; made only by parsing. */
export type Ed25519PublicKey = Uint8Array & { readonly [brand]: 'Ed25519PublicKey' };

export interface Ed25519KeyPair {
  readonly publicKey: Ed25519PublicKey;
  readonly privateKey: KeyObject;
}

/** The kinds of private key that are kept as PEM files. */
export type PrivateKeyKind = 'ed25519' | 'x25519' | 'p256';

const backend = sodiumBackend ?? nodeBackend;

/**
 * Reads an attacker-controlled public key. Throws `CryptoError` `malformed` unless it is 32 bytes, `weak_key` for a
 * non-canonical encoding and for points of small or mixed order: with a small-order key one fixed signature verifies
 * every message, and with a mixed-order one verifiers disagree.
 */
export function parseEd25519PublicKey(bytes: Uint8Array): Ed25519PublicKey {
  if (bytes.length !== 32) {
    throw new CryptoError('malformed', `an Ed25519 public key is 32 bytes, not ${bytes.length}`);
  }
  const copy = Uint8Array.from(bytes);
  if (!backend.isPrimeOrderPoint(copy)) {
    throw new CryptoError('weak_key', 'the Ed25519 public key is not a canonically encoded point of prime order');
  }
  return copy as Ed25519PublicKey;
}

/**
 * The one verifier. libsodium's rule: S below L, no small-order key or R, no non-canonical encoding, the equation
 * without cofactor. `message` and `signature` are attacker-controlled; a signature of any other length is just false.
 */
export function verifyEd25519(key: Ed25519PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  // sodium-native lets longer signatures through and throws on shorter ones; both are false here.
  return signature.length === 64 && backend.verify(key, message, signature);
}

export function generateEd25519(): Ed25519KeyPair {
  const { privateKey } = generateKeyPairSync('ed25519');
  return { privateKey, publicKey: publicKeyOf(privateKey) };
}

/** 64 bytes (RFC 8032 §5.1.6). */
export function signEd25519(privateKey: KeyObject, message: Uint8Array): Uint8Array {
  assertKind(privateKey, 'ed25519');
  return sign(null, message, privateKey);
}

/** The public half of a private Ed25519 key. */
export function publicKeyOf(privateKey: KeyObject): Ed25519PublicKey {
  assertKind(privateKey, 'ed25519');
  return ed25519FromSpki(createPublicKey(privateKey).export({ format: 'der', type: 'spki' }));
}

/** Reads a DER SubjectPublicKeyInfo (RFC 8410 §4) that holds exactly an Ed25519 key. Throws like `parseEd25519PublicKey`. */
export function ed25519FromSpki(der: Uint8Array): Ed25519PublicKey {
  const prefix = der.subarray(0, ED25519_SPKI_PREFIX.length);
  if (der.length !== ED25519_SPKI_PREFIX.length + 32 || Buffer.compare(prefix, ED25519_SPKI_PREFIX) !== 0) {
    throw new CryptoError('malformed', 'not the SubjectPublicKeyInfo of an Ed25519 key');
  }
  return parseEd25519PublicKey(der.subarray(ED25519_SPKI_PREFIX.length));
}

/** DER SubjectPublicKeyInfo (RFC 8410 §4), 44 bytes. */
export function ed25519ToSpki(key: Ed25519PublicKey): Uint8Array {
  return Buffer.concat([ED25519_SPKI_PREFIX, key]);
}

/** Unencrypted PKCS#8 PEM of any private key. The text is a secret: write it to a 0600 file and nowhere else. */
export function privateKeyToPem(privateKey: KeyObject): string {
  return privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
}

/** Reads an unencrypted PKCS#8 PEM. Throws `CryptoError` `malformed`, or `unsupported` for another kind of key. */
export function privateKeyFromPem(pem: string, kind: PrivateKeyKind = 'ed25519'): KeyObject {
  if (!pem.startsWith('-----BEGIN PRIVATE KEY-----')) {
    throw new CryptoError('malformed', 'not an unencrypted PKCS#8 private key in PEM');
  }
  const key = parsing('private key in PEM', () => createPrivateKey(pem));
  if (kindOf(key) !== kind) throw new CryptoError('unsupported', `the private key is not of type ${kind}`);
  return key;
}

function assertKind(key: KeyObject, kind: PrivateKeyKind): void {
  if (key.type !== 'private' || kindOf(key) !== kind) throw new TypeError(`not a private key of type ${kind}`);
}

function kindOf(key: KeyObject): PrivateKeyKind | undefined {
  switch (key.asymmetricKeyType) {
    case 'ed25519':
    case 'x25519':
      return key.asymmetricKeyType;
    case 'ec':
      return key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? 'p256' : undefined;
    default:
      return undefined;
  }
}

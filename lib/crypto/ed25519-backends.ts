/** The two engines beneath the one Ed25519 verifier: libsodium where it loads, `node:crypto` behind our own strict checks elsewhere. */

import { createPublicKey, verify } from 'node:crypto';
import { Point } from '@noble/ed25519';
import { isCanonicalPoint, isCanonicalScalar, isSmallOrderPoint } from './ed25519-rules.ts';
import { loadSodium } from './sodium.ts';

export interface Ed25519Backend {
  readonly name: 'sodium-native' | 'node:crypto';
  /** `publicKey` is 32 bytes and `signature` is 64; everything else about them is attacker-controlled. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** True for canonical encodings of points of order exactly L. */
  isPrimeOrderPoint(point: Uint8Array): boolean;
}

/** SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410 §4). */
export const ED25519_SPKI_PREFIX: Uint8Array = Buffer.from('302a300506032b6570032100', 'hex');

/** libsodium through sodium-native, or undefined on a platform for which that package has no binary. */
export const sodiumBackend: Ed25519Backend | undefined = openSodium();

/** OpenSSL through Node, behind our own checks. */
export const nodeBackend: Ed25519Backend = createNodeBackend(verifyWithOpenSsl);

/**
 * Our own strict checks before a verifier that may have none: older OpenSSL accepts small-order keys, and what a later
 * one accepts may change. `verifyRaw` is given apart so that tests can show that the checks do not lean on it.
 */
export function createNodeBackend(verifyRaw: Ed25519Backend['verify']): Ed25519Backend {
  return {
    name: 'node:crypto',
    verify(publicKey, message, signature) {
      const r = signature.subarray(0, 32);
      if (!isCanonicalScalar(signature.subarray(32))) return false;
      if (!isCanonicalPoint(publicKey) || isSmallOrderPoint(publicKey)) return false;
      if (!isCanonicalPoint(r) || isSmallOrderPoint(r)) return false;
      return verifyRaw(publicKey, message, signature);
    },
    isPrimeOrderPoint(encoded) {
      if (!isCanonicalPoint(encoded) || isSmallOrderPoint(encoded)) return false;
      try {
        return Point.fromBytes(encoded).isTorsionFree();
      } catch {
        return false; // not a point of the curve
      }
    },
  };
}

function verifyWithOpenSsl(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    const der = Buffer.concat([ED25519_SPKI_PREFIX, publicKey]);
    return verify(null, message, createPublicKey({ key: der, format: 'der', type: 'spki' }), signature);
  } catch {
    return false; // not a point of the curve
  }
}

function openSodium(): Ed25519Backend | undefined {
  const sodium = loadSodium();
  if (sodium === undefined) return undefined;
  return {
    name: 'sodium-native',
    verify: (publicKey, message, signature) => sodium.crypto_sign_verify_detached(signature, message, publicKey),
    isPrimeOrderPoint: (point) => sodium.crypto_core_ed25519_is_valid_point(point),
  };
}

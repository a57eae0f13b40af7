/** SHA-256, in one call. */

import { hash } from 'node:crypto';

/** 32 bytes. Text is hashed as UTF-8. */
export function sha256(data: Uint8Array | string): Uint8Array {
  // As a string of bytes and back: half the cost of a digest that Node makes a Buffer of.
  const digest = Buffer.allocUnsafe(32);
  digest.write(hash('sha256', data, 'binary'), 0, 'latin1');
  return digest;
}

/** 64 lower-case hex digits: the faster form, because the digest never becomes a Buffer. Text is hashed as UTF-8. */
export function sha256Hex(data: Uint8Array | string): string {
  return hash('sha256', data, 'hex');
}

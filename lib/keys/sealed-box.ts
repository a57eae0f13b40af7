/** Authenticated encryption at rest under one master key: AES-256-GCM, with a key of its own for each use (HKDF). */

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { concatBytes, equalBytes, utf8 } from '../crypto/encoding.ts';
import { type DataSealer, KeysError } from './port.ts';

/** `HFS` and the version of the layout: header ‖ nonce (12) ‖ ciphertext ‖ tag (16). */
const HEADER = Uint8Array.of(0x48, 0x46, 0x53, 0x01);
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** One key and random nonces: NIST SP 800-38D §8.3 allows 2^32 seals, far beyond what a control plane writes. */
const CIPHER = 'aes-256-gcm';

export interface SealedBox {
  seal(plaintext: Uint8Array, additional: string): Uint8Array;
  /** Throws `KeysError` `malformed` for what is no box, `not_authentic` for another key, other bytes or other additional data. */
  open(sealed: Uint8Array, additional: string): Uint8Array;
}

/** `use` separates the keys: what was sealed for one use cannot be opened for another, whatever the additional data. */
export function createSealedBox(masterKey: Uint8Array, use: string): SealedBox {
  const key = Buffer.from(hkdfSync('sha256', masterKey, new Uint8Array(0), utf8(use), 32));
  return {
    seal(plaintext, additional) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(utf8(additional));
      return concatBytes(HEADER, nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
    },
    open(sealed, additional) {
      if (sealed.length < HEADER.length + NONCE_BYTES + TAG_BYTES) {
        throw new KeysError('malformed', `sealed data is cut off: only ${sealed.length} bytes are left`);
      }
      if (!equalBytes(sealed.subarray(0, HEADER.length), HEADER)) {
        throw new KeysError('malformed', 'not sealed data of a known version');
      }
      const body = sealed.subarray(HEADER.length);
      const decipher = createDecipheriv(CIPHER, key, body.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
      decipher.setAAD(utf8(additional));
      decipher.setAuthTag(body.subarray(-TAG_BYTES));
      try {
        return concatBytes(decipher.update(body.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final());
      } catch (cause) {
        throw new KeysError('not_authentic', 'sealed data was altered, or is for another key or context', { cause });
      }
    },
  };
}

/** The `DataSealer` port over a sealed box. */
export function createDataSealer(masterKey: Uint8Array): DataSealer {
  const box = createSealedBox(masterKey, 'holdfast/data/v1');
  return {
    seal: async (plaintext, context) => box.seal(plaintext, `holdfast/data/v1|${context}`),
    open: async (sealed, context) => box.open(sealed, `holdfast/data/v1|${context}`),
  };
}

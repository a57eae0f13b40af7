/** The blob port: immutable bytes addressed by their SHA-256. A directory when embedded, S3 on AWS. */

import { sha256Hex } from '../crypto/digest.ts';
import { StoreError } from './port.ts';

/** 64 lower-case hexadecimal characters. */
export type BlobDigest = string & { readonly __brand: 'BlobDigest' };

export interface BlobStore {
  /** Stores bytes under their digest; when it returns, they are durable. Storing the same bytes again is a no-op. */
  put(bytes: Uint8Array): Promise<BlobDigest>;
  /** The bytes, checked against the digest on the way out; `undefined` when absent, `StoreError` `corrupt` when altered. */
  get(digest: BlobDigest): Promise<Uint8Array | undefined>;
  has(digest: BlobDigest): Promise<boolean>;
}

export const maxBlobBytes = 16 * 1024 * 1024;

/** Text from anywhere, also from an attacker, as a digest; `invalid` unless it is one. */
export function parseBlobDigest(text: string): BlobDigest {
  // A digest becomes a file name: nothing but hexadecimal may pass.
  if (!/^[0-9a-f]{64}$/.test(text)) {
    throw new StoreError('invalid', `not a SHA-256 digest: ${JSON.stringify(text.slice(0, 100))}`);
  }
  return text as BlobDigest;
}

export function blobDigest(bytes: Uint8Array): BlobDigest {
  return sha256Hex(bytes) as BlobDigest;
}

/** The digest of a blob within the size limit, `invalid` over it. */
export function checkedBlobDigest(bytes: Uint8Array): BlobDigest {
  if (bytes.length > maxBlobBytes) {
    throw new StoreError('invalid', `a blob of ${bytes.length} bytes; at most ${maxBlobBytes} fit`);
  }
  return blobDigest(bytes);
}

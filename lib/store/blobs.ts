/** The blob port: immutable bytes addressed by their SHA-256. A directory when embedded, S3 on AWS. */

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

/** A blob store in memory, for tests. */
import { type BlobDigest, type BlobStore, checkedBlobDigest, parseBlobDigest } from './blobs.ts';

export function createMemoryBlobs(): BlobStore {
  const blobs = new Map<BlobDigest, Uint8Array>();
  return {
    async put(bytes) {
      const digest = checkedBlobDigest(bytes);
      if (!blobs.has(digest)) blobs.set(digest, new Uint8Array(bytes));
      return digest;
    },
    async get(digest) {
      const held = blobs.get(parseBlobDigest(digest));
      return held && new Uint8Array(held);
    },
    async has(digest) {
      return blobs.has(parseBlobDigest(digest));
    },
  };
}

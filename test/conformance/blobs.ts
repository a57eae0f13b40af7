/** The conformance suite of the blob port: every adapter passes it unchanged. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { type BlobDigest, type BlobStore, maxBlobBytes } from '../../lib/store/blobs.ts';
import { rejectsWith } from './store-cases.ts';

export type MadeBlobs = { readonly blobs: BlobStore; readonly dispose: () => Promise<void> };

export function blobConformance(name: string, make: () => Promise<MadeBlobs>): void {
  const blobTest = (title: string, body: (blobs: BlobStore) => Promise<void>) =>
    test(title, async () => {
      const { blobs, dispose } = await make();
      try {
        await body(blobs);
      } finally {
        await dispose();
      }
    });

  describe(`blob conformance: ${name}`, () => {
    blobTest('bytes come back under their SHA-256, as their own copy', async (blobs) => {
      for (const bytes of [
        new Uint8Array(),
        new Uint8Array([0]),
        Buffer.from('text'),
        new Uint8Array(300_000).fill(7),
      ]) {
        const digest = await blobs.put(bytes);
        assert.equal(digest, createHash('sha256').update(bytes).digest('hex'));
        const held = await blobs.get(digest);
        assert.deepStrictEqual(held, new Uint8Array(bytes));
        held?.fill(1);
        assert.deepStrictEqual(await blobs.get(digest), new Uint8Array(bytes));
        assert.equal(await blobs.has(digest), true);
      }
    });

    blobTest('what the caller does with its bytes later changes nothing', async (blobs) => {
      const bytes = new Uint8Array([1, 2, 3]);
      const digest = await blobs.put(bytes);
      bytes.fill(9);
      assert.deepStrictEqual(await blobs.get(digest), new Uint8Array([1, 2, 3]));
    });

    blobTest('storing the same bytes again, also at once, is a no-op', async (blobs) => {
      const digests = await Promise.all(Array.from({ length: 20 }, () => blobs.put(Buffer.from('same'))));
      assert.equal(new Set(digests).size, 1);
      assert.deepStrictEqual(await blobs.get(digests[0]!), new Uint8Array(Buffer.from('same')));
    });

    blobTest('an absent blob is undefined', async (blobs) => {
      const digest = '0'.repeat(64) as BlobDigest;
      assert.equal(await blobs.get(digest), undefined);
      assert.equal(await blobs.has(digest), false);
    });

    blobTest('what is not a digest is refused: it would become a path', async (blobs) => {
      for (const bad of [
        '',
        'x',
        '0'.repeat(63),
        '0'.repeat(65),
        'A'.repeat(64),
        `../../${'0'.repeat(58)}`,
        `${'0'.repeat(64)}\n`,
      ]) {
        await rejectsWith('invalid', blobs.get(bad as BlobDigest));
        await rejectsWith('invalid', blobs.has(bad as BlobDigest));
      }
    });

    blobTest('the largest blob fits, one byte more does not', async (blobs) => {
      const digest = await blobs.put(new Uint8Array(maxBlobBytes));
      assert.equal((await blobs.get(digest))?.length, maxBlobBytes);
      await rejectsWith('invalid', blobs.put(new Uint8Array(maxBlobBytes + 1)));
    });
  });
}

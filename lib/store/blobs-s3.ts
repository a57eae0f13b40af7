/** Blobs as objects of an S3 bucket: `blobs/<digest>`. S3 is strongly consistent and durable once it has answered. */
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { sha256 } from '../crypto/digest.ts';
import { toBase64 } from '../crypto/encoding.ts';
import {
  type BlobDigest,
  type BlobStore,
  blobDigest,
  checkedBlobDigest,
  maxBlobBytes,
  parseBlobDigest,
} from './blobs.ts';
import { StoreError } from './port.ts';

export function openS3Blobs(client: Pick<S3Client, 'send'>, bucket: string): BlobStore {
  return {
    async put(bytes) {
      const digest = checkedBlobDigest(bytes);
      // The caller may go on using its array while the request is under way.
      const body = Uint8Array.from(bytes);
      // Not conditional: an object that somebody altered is healed by storing its bytes again.
      await request(bucket, () =>
        client.send(
          new PutObjectCommand({
            Bucket: bucket,
            Key: keyOf(digest),
            Body: body,
            ContentType: 'application/octet-stream',
            // S3 refuses what was damaged on the way (API reference, PutObject, "x-amz-checksum-sha256").
            ChecksumSHA256: toBase64(sha256(body)),
          }),
        ),
      );
      return digest;
    },
    async get(digest) {
      const key = keyOf(parseBlobDigest(digest));
      const answer = await orAbsent(bucket, () => client.send(new GetObjectCommand({ Bucket: bucket, Key: key })));
      if (answer?.Body === undefined) return undefined;
      // Whoever can write to the bucket must not make us read without bound.
      if ((answer.ContentLength ?? 0) > maxBlobBytes) throw corrupt(bucket, key);
      const body = answer.Body;
      const bytes = new Uint8Array(await request(bucket, () => body.transformToByteArray()));
      if (blobDigest(bytes) !== digest) throw corrupt(bucket, key);
      return bytes;
    },
    async has(digest) {
      const key = keyOf(parseBlobDigest(digest));
      return (
        (await orAbsent(bucket, () => client.send(new HeadObjectCommand({ Bucket: bucket, Key: key })))) !== undefined
      );
    },
  };
}

function keyOf(digest: BlobDigest): string {
  return `blobs/${digest}`;
}

async function orAbsent<T>(bucket: string, send: () => Promise<T>): Promise<T | undefined> {
  try {
    return await send();
  } catch (error) {
    // HEAD has no body, so its error has only a status. Without s3:ListBucket S3 answers 403 for an absent key.
    const { name, $metadata } = error as { name?: unknown; $metadata?: { httpStatusCode?: number } };
    if (name === 'NoSuchKey' || name === 'NotFound' || ($metadata?.httpStatusCode === 404 && name !== 'NoSuchBucket')) {
      return undefined;
    }
    throw unavailable(bucket, error);
  }
}

async function request<T>(bucket: string, send: () => Promise<T>): Promise<T> {
  try {
    return await send();
  } catch (error) {
    throw unavailable(bucket, error);
  }
}

/** Also a write without an answer: storing the same bytes again is a no-op, so nobody needs to know. */
function unavailable(bucket: string, cause: unknown): StoreError {
  const { name, message } = cause as { name?: unknown; message?: unknown };
  const said = `${String(name)}: ${String(message).slice(0, 300)}`;
  return new StoreError('unavailable', `bucket ${JSON.stringify(bucket)} could not be reached (${said})`, { cause });
}

function corrupt(bucket: string, key: string): StoreError {
  return new StoreError('corrupt', `blob ${key} of bucket ${bucket} was altered; store its bytes again to repair it`);
}

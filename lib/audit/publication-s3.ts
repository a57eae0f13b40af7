/**
 * A publication in an S3 bucket, laid out as C2SP tlog-tiles. Tiles are written once (`If-None-Match: *`); the
 * checkpoint is replaced only if it is still the one that was read (`If-Match`), so two sealers never set it back.
 */
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { equalBytes } from '../crypto/encoding.ts';
import { maxCheckpointBytes } from './checkpoint.ts';
import { AuditError } from './port.ts';
import type { Publication } from './publication.ts';

/** More than any tile or bundle of tlog-tiles: 256 entries of 8 KiB, with their lengths. */
const maxFileBytes = 4 * 1024 * 1024;
const checkpointAttempts = 10;

type Read = { readonly bytes: Uint8Array; readonly etag: string | undefined };

export function openS3Publication(
  client: Pick<S3Client, 'send'>,
  bucket: string,
  /** Before every path, such as `log/`. */
  prefix = '',
): Publication {
  const keyOf = (path: string) => `${prefix}${path}`;

  async function read(path: string): Promise<Read | undefined> {
    try {
      const { Body, ContentLength, ETag } = await client.send(
        new GetObjectCommand({ Bucket: bucket, Key: keyOf(path) }),
      );
      // Whoever can write to the bucket must not make us read without bound.
      if (Body === undefined || (ContentLength ?? 0) > maxFileBytes) throw tooLarge(bucket, path);
      return { bytes: new Uint8Array(await Body.transformToByteArray()), etag: ETag };
    } catch (cause) {
      if (cause instanceof AuditError) throw cause;
      const { name, $metadata } = cause as { name?: unknown; $metadata?: { httpStatusCode?: number } };
      if (name === 'NoSuchKey' || (name !== 'NoSuchBucket' && $metadata?.httpStatusCode === 404)) return undefined;
      throw unavailable(bucket, cause);
    }
  }

  /** False when the condition did not hold, or when another write of the path was under way. */
  async function writeIf(
    path: string,
    bytes: Uint8Array,
    condition: { IfNoneMatch?: string; IfMatch?: string },
    cacheControl: string,
  ): Promise<boolean> {
    const command = new PutObjectCommand({
      Bucket: bucket,
      Key: keyOf(path),
      Body: bytes,
      ContentType: path === 'checkpoint' ? 'text/plain; charset=utf-8' : 'application/octet-stream',
      CacheControl: cacheControl,
      ...condition,
    });
    try {
      await client.send(command);
      return true;
    } catch (cause) {
      // User Guide, "Conditional writes": 412 for a failed condition, 409 for a race with another write or delete.
      const status = (cause as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
      if (status === 412 || status === 409 || status === 404) return false;
      throw unavailable(bucket, cause);
    }
  }

  async function write(path: string, bytes: Uint8Array): Promise<void> {
    // A repeated request may find what its own first attempt wrote, so a failed condition is looked into.
    if (await writeIf(path, bytes, { IfNoneMatch: '*' }, 'public, max-age=31536000, immutable')) return;
    const held = await read(path);
    if (held === undefined) throw new AuditError('unavailable', `${path} of bucket ${bucket} is being written`);
    if (!equalBytes(held.bytes, bytes)) {
      throw new AuditError('corrupt', `${path} of bucket ${bucket} is published already, with other content`);
    }
  }

  async function publishCheckpoint(note: Uint8Array, size: number): Promise<boolean> {
    for (let attempt = 0; attempt < checkpointAttempts; attempt += 1) {
      const held = await read('checkpoint');
      if (sizeOf(held?.bytes) > size) return false;
      const condition = held?.etag === undefined ? { IfNoneMatch: '*' } : { IfMatch: held.etag };
      if (await writeIf('checkpoint', note, condition, 'no-cache')) return true;
    }
    throw new AuditError('unavailable', `other sealers keep replacing the checkpoint of bucket ${bucket}`);
  }

  async function dropPartials(path: string): Promise<void> {
    try {
      const listed = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: keyOf(`${path}.p/`) }));
      const keys = (listed.Contents ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [{ Key }]));
      // At most 255 partial tiles of a path, and 1,000 keys to a request.
      if (keys.length > 0) await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: keys } }));
    } catch (cause) {
      throw unavailable(bucket, cause);
    }
  }

  return { read: async (path) => (await read(path))?.bytes, write, publishCheckpoint, dropPartials };
}

/** The size that a note claims, unverified: it only ever makes us refuse to replace it. */
function sizeOf(note: Uint8Array | undefined): number {
  if (note === undefined) return -1;
  const [, size = ''] = Buffer.from(note.subarray(0, maxCheckpointBytes)).toString('latin1').split('\n');
  if (!/^[0-9]{1,16}$/.test(size)) throw new AuditError('corrupt', 'the published checkpoint is not readable');
  return Number(size);
}

function tooLarge(bucket: string, path: string): AuditError {
  return new AuditError('corrupt', `${path} of bucket ${bucket} is no file of ours`);
}

function unavailable(bucket: string, cause: unknown): AuditError {
  const { name, message } = cause as { name?: unknown; message?: unknown };
  const said = `${String(name)}: ${String(message).slice(0, 300)}`;
  return new AuditError('unavailable', `bucket ${JSON.stringify(bucket)} could not be reached (${said})`, { cause });
}

/**
 * An anchor in an S3 bucket with Object Lock: each checkpoint is an object that nobody, its writer and the account's root
 * included, can delete before its retention ends. A key can get newer versions all the same, so the oldest one counts.
 */
import {
  GetObjectCommand,
  ListObjectVersionsCommand,
  type ObjectVersion,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { sha256 } from '../crypto/digest.ts';
import { toBase64, utf8 } from '../crypto/encoding.ts';
import { type Anchor, anchorKey, isSameCheckpoint } from './anchor.ts';
import { maxCheckpointBytes } from './checkpoint.ts';
import { AuditError } from './port.ts';

export type S3AnchorOptions = {
  readonly client: Pick<S3Client, 'send'>;
  /** Versioned, with Object Lock; best in an account of its own. */
  readonly bucket: string;
  /** Such as `anchors/fleet-a/`. */
  readonly prefix?: string;
  readonly retentionMs: number;
  readonly now: () => number;
};

export function openS3Anchor({ client, bucket, prefix = '', retentionMs, now }: S3AnchorOptions): Anchor {
  const name = `s3://${bucket}/${prefix}`;

  async function keep(note: string): Promise<void> {
    const Key = `${prefix}${anchorKey(note)}.checkpoint`;
    const body = utf8(note);
    try {
      await client.send(
        new PutObjectCommand({
          ...{ Bucket: bucket, Key, Body: body, ContentType: 'text/plain; charset=utf-8' },
          // One writer only gets in (API reference, PutObject, "If-None-Match").
          IfNoneMatch: '*',
          ChecksumSHA256: toBase64(sha256(body)),
          ObjectLockMode: 'COMPLIANCE',
          ObjectLockRetainUntilDate: new Date(now() + retentionMs),
        }),
      );
    } catch (cause) {
      if (!isTaken(cause)) throw unavailable(cause);
      const [oldest] = await versionsOf(Key);
      const held = oldest && (await read(oldest));
      if (held === undefined || !isSameCheckpoint(held, note)) {
        throw new AuditError('corrupt', `${name}${Key.slice(prefix.length)} is anchored already, with another root`);
      }
    }
  }

  async function* list(): AsyncGenerator<string> {
    const versions = await versionsOf(prefix);
    // Sorted by key, then oldest first: the first of each key is the one that was anchored.
    let previous: string | undefined;
    for (const version of versions) {
      if (version.Key === previous) continue;
      previous = version.Key;
      yield await read(version);
    }
  }

  async function versionsOf(keyPrefix: string): Promise<ObjectVersion[]> {
    const found: ObjectVersion[] = [];
    let KeyMarker: string | undefined;
    let VersionIdMarker: string | undefined;
    do {
      const page = await request(() =>
        client.send(
          new ListObjectVersionsCommand({
            ...{ Bucket: bucket, Prefix: keyPrefix },
            ...(KeyMarker !== undefined && { KeyMarker }),
            ...(VersionIdMarker !== undefined && { VersionIdMarker }),
          }),
        ),
      );
      found.push(...(page.Versions ?? []));
      KeyMarker = page.IsTruncated ? page.NextKeyMarker : undefined;
      VersionIdMarker = page.IsTruncated ? page.NextVersionIdMarker : undefined;
    } while (KeyMarker !== undefined);
    const time = ({ LastModified }: ObjectVersion) => LastModified?.getTime() ?? 0;
    // S3 lists versions newest first; the sort is stable, so of one instant the last listed must come first.
    return found.reverse().sort((a, b) => compare(a.Key ?? '', b.Key ?? '') || time(a) - time(b));
  }

  async function read({ Key, VersionId }: ObjectVersion): Promise<string> {
    const { Body, ContentLength = 0 } = await request(() =>
      client.send(new GetObjectCommand({ Bucket: bucket, Key, ...(VersionId && { VersionId }) })),
    );
    if (Body === undefined || ContentLength > maxCheckpointBytes) {
      throw new AuditError('malformed', `${name}: ${Key} is no checkpoint`);
    }
    return request(() => Body.transformToString());
  }

  async function request<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  function unavailable(cause: unknown): AuditError {
    return new AuditError('unavailable', `the anchor ${name} could not be reached`, { cause });
  }

  return { name, keep, list };
}

/** There is one already, or another writer is just putting it. */
function isTaken(error: unknown): boolean {
  const { name } = error as { name?: unknown };
  return name === 'PreconditionFailed' || name === 'ConditionalRequestConflict';
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/**
 * An anchor in an S3 bucket with Object Lock in compliance mode as its default, best in another account: until its
 * retention ends nobody can delete a version, the account's root user included (Amazon S3 User Guide, "Object Lock").
 * A writer can still add versions, so the oldest one of a name counts.
 */
import {
  GetObjectCommand,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { type Anchor, anchorKey, isSameCheckpoint } from './anchor.ts';
import { maxCheckpointBytes } from './checkpoint.ts';
import { AuditError } from './port.ts';

const prefix = 'anchors/';
const keyPattern = /^anchors\/[0-9]{16}\.checkpoint$/;

type Version = NonNullable<ListObjectVersionsCommandOutput['Versions']>[number];

export function openS3Anchor(client: Pick<S3Client, 'send'>, bucket: string): Anchor {
  async function keep(note: string): Promise<void> {
    const key = `${prefix}${anchorKey(note)}.checkpoint`;
    try {
      await client.send(
        new PutObjectCommand({
          Bucket: bucket,
          Key: key,
          Body: note,
          ContentType: 'text/plain; charset=utf-8',
          IfNoneMatch: '*',
        }),
      );
      return;
    } catch (cause) {
      // 412: it is there. 409: it is being written. Both are settled by what stands.
      const status = (cause as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
      if (status !== 412 && status !== 409) throw unavailable(cause);
    }
    const [held] = await oldest(key);
    if (held === undefined) throw new AuditError('unavailable', `${key} of bucket ${bucket} is being written`);
    if (!isSameCheckpoint(await read(held), note)) {
      throw new AuditError('corrupt', `${key} of bucket ${bucket} is anchored already, with another root`);
    }
  }

  async function* list(): AsyncGenerator<string> {
    for (const version of await oldest(prefix)) yield await read(version);
  }

  /** The oldest version of every anchor that begins with `start`, in the order of their names. Delete markers hide nothing. */
  async function oldest(start: string): Promise<Version[]> {
    const found = new Map<string, Version>();
    let from: { KeyMarker?: string; VersionIdMarker?: string } | undefined = {};
    while (from !== undefined) {
      const page: ListObjectVersionsCommandOutput = await request(() =>
        client.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: start, ...from })),
      );
      for (const version of page.Versions ?? []) {
        if (!keyPattern.test(version.Key ?? '')) continue;
        // API reference, ListObjectVersions: of one key the newest comes first, so the last one stays.
        found.set(version.Key!, version);
      }
      const { NextKeyMarker, NextVersionIdMarker } = page;
      from =
        page.IsTruncated === true && NextKeyMarker !== undefined
          ? { KeyMarker: NextKeyMarker, ...(NextVersionIdMarker && { VersionIdMarker: NextVersionIdMarker }) }
          : undefined;
    }
    return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, version]) => version);
  }

  async function read({ Key, VersionId, Size }: Version): Promise<string> {
    if ((Size ?? 0) > maxCheckpointBytes) throw new AuditError('malformed', `${Key} is longer than any checkpoint`);
    return request(async () => {
      const { Body } = await client.send(
        new GetObjectCommand({ Bucket: bucket, Key, ...(VersionId === undefined ? {} : { VersionId }) }),
      );
      return (await Body?.transformToString('utf-8')) ?? '';
    });
  }

  async function request<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  function unavailable(cause: unknown): AuditError {
    const { name, message } = cause as { name?: unknown; message?: unknown };
    const said = `${String(name)}: ${String(message).slice(0, 300)}`;
    return new AuditError('unavailable', `the anchor ${bucket} could not be reached (${said})`, { cause });
  }

  return { name: `s3://${bucket}/${prefix}`, keep, list };
}

/** The oldest version of an anchored checkpoint counts, whatever is put over it later. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GetObjectCommand, ListObjectVersionsCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { createTestLog, createTestSigner, testEvent } from '../../test/fakes/audit-log.ts';
import { createMemoryStore } from '../store/memory.ts';
import { openS3Anchor } from './anchor-s3.ts';

type Version = { readonly Key: string; readonly VersionId: string; readonly LastModified: Date; readonly body: string };

/** A versioned bucket: conditional puts, two versions a page, newest first of each key. */
function fakeBucket() {
  const versions: Version[] = [];
  const puts: PutObjectCommand['input'][] = [];
  const put = (Key: string, body: string) =>
    versions.push({ Key, VersionId: `v${versions.length}`, LastModified: new Date(1000 * versions.length), body });
  async function send(command: unknown): Promise<unknown> {
    if (command instanceof PutObjectCommand) {
      const { Key = '', Body, IfNoneMatch } = command.input;
      puts.push(command.input);
      const isThere = versions.some((version) => version.Key === Key);
      if (IfNoneMatch === '*' && isThere)
        throw Object.assign(new Error('taken'), { $metadata: { httpStatusCode: 412 } });
      put(Key, Buffer.from(Body as Uint8Array).toString());
      return {};
    }
    if (command instanceof ListObjectVersionsCommand) {
      const { Prefix = '', VersionIdMarker } = command.input;
      const order = versions
        .filter(({ Key }) => Key.startsWith(Prefix))
        .sort((a, b) => (a.Key === b.Key ? Number(b.LastModified) - Number(a.LastModified) : a.Key < b.Key ? -1 : 1));
      const from = VersionIdMarker === undefined ? 0 : order.findIndex((v) => v.VersionId === VersionIdMarker) + 1;
      const page = order.slice(from, from + 2);
      const last = page.at(-1);
      const IsTruncated = from + 2 < order.length;
      return { Versions: page, IsTruncated, NextKeyMarker: last?.Key, NextVersionIdMarker: last?.VersionId };
    }
    assert.ok(command instanceof GetObjectCommand);
    const { body } = versions.find(({ VersionId }) => VersionId === command.input.VersionId)!;
    return { Body: { transformToString: async () => body }, ContentLength: body.length };
  }
  return { client: { send } as unknown as Pick<S3Client, 'send'>, puts, put };
}

async function notes(count: number, differs = false, signer = createTestSigner()): Promise<string[]> {
  const log = await createTestLog({ signer, store: createMemoryStore() });
  const made: string[] = [];
  for (let i = 0; i < count; i++) {
    await log.writer.append(differs ? { ...testEvent, outcome: 'failure' } : testEvent);
    await log.sealer.sealOnce();
    made.push(Buffer.from(log.publication.files.get('checkpoint')!).toString());
  }
  return made;
}

test('R30 what was anchored first counts', async () => {
  const { client, puts, put } = fakeBucket();
  const anchor = openS3Anchor(client, 'b');
  const signer = createTestSigner();
  const made = await notes(4, false, signer);
  for (const note of made) await anchor.keep(note);
  await anchor.keep(made[0]!);
  assert.equal(puts[0]?.IfNoneMatch, '*');
  const forged = await notes(2, true, signer);
  await assert.rejects(anchor.keep(forged[1]!), { name: 'AuditError', code: 'corrupt' });
  // Whoever may write to the bucket can put a newer version over it, and gains nothing.
  put(puts[1]?.Key ?? '', forged[1]!);
  const listed: string[] = [];
  for await (const note of anchor.list()) listed.push(note);
  assert.deepEqual(listed, made);
});

test('a bucket that can’t be reached is unavailable', async () => {
  const send = async () => {
    throw new Error('no route');
  };
  const client = { send } as unknown as Pick<S3Client, 'send'>;
  const anchor = openS3Anchor(client, 'b');
  const [note] = await notes(1);
  await assert.rejects(anchor.keep(note!), { name: 'AuditError', code: 'unavailable' });
  await assert.rejects(anchor.list()[Symbol.asyncIterator]().next(), { name: 'AuditError', code: 'unavailable' });
});

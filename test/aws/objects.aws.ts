/** Blobs and the published log in S3. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { AuditError } from '../../lib/audit/port.ts';
import { openS3Publication } from '../../lib/audit/publication-s3.ts';
import { utf8 } from '../../lib/crypto/encoding.ts';
import { openS3Blobs } from '../../lib/store/blobs-s3.ts';
import { blobConformance } from '../conformance/blobs.ts';
import { rejectsWith } from '../conformance/store-cases.ts';
import { createBucket, s3Client } from './emulator.ts';

const client = s3Client();
after(() => client.destroy());

const textOf = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString();

blobConformance('s3 on ministack', async () => ({
  blobs: openS3Blobs(client, await createBucket(client)),
  dispose: async () => {},
}));

test('an altered blob is corrupt, and storing its bytes again heals it', async () => {
  const bucket = await createBucket(client);
  const blobs = openS3Blobs(client, bucket);
  const digest = await blobs.put(utf8('true'));
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: `blobs/${digest}`, Body: 'false' }));
  await rejectsWith('corrupt', blobs.get(digest));
  await blobs.put(utf8('true'));
  assert.equal(textOf(await blobs.get(digest)), textOf(utf8('true')));
});

test('a bucket that is not there is unavailable, not empty', async () => {
  const blobs = openS3Blobs(client, 'holdfast-no-such-bucket');
  await rejectsWith('unavailable', blobs.put(utf8('x')));
  const digest = 'a'.repeat(64) as Parameters<typeof blobs.get>[0];
  await rejectsWith('unavailable', blobs.get(digest));
  await assert.rejects(openS3Publication(client, 'holdfast-no-such-bucket').read('checkpoint'), AuditError);
});

const note = (size: number, text = '') => utf8(`holdfast.local/prod\n${size}\nroot${text}\n\n— signature\n`);

test('R29 a published tile is never replaced; the same bytes again are no error', async () => {
  const publication = openS3Publication(client, await createBucket(client), 'log/');
  await publication.write('tile/0/000', utf8('one'));
  await publication.write('tile/0/000', utf8('one'));
  await assert.rejects(publication.write('tile/0/000', utf8('two')), (error) => {
    assert(error instanceof AuditError);
    assert.equal(error.code, 'corrupt');
    return true;
  });
  assert.equal(textOf(await publication.read('tile/0/000')), textOf(utf8('one')));
  assert.equal(await publication.read('tile/0/001'), undefined);
});

test('R29 the checkpoint never goes back, whoever of several sealers comes last', async () => {
  const bucket = await createBucket(client);
  const publications = Array.from({ length: 4 }, () => openS3Publication(client, bucket));
  const sizes = Array.from({ length: 12 }, (_, index) => index + 1);
  const outcomes = await Promise.all(
    sizes.map((size) => publications[size % 4]!.publishCheckpoint(note(size), size).catch(() => undefined)),
  );
  const standing = Math.max(...sizes.filter((_, index) => outcomes[index] === true));
  assert.equal(textOf(await publications[0]!.read('checkpoint')), textOf(note(standing)));
  assert.equal(await publications[0]!.publishCheckpoint(note(standing - 1), standing - 1), false);
  assert.equal(await publications[1]!.publishCheckpoint(note(99), 99), true);
  assert.equal(textOf(await publications[0]!.read('checkpoint')), textOf(note(99)));
});

test('partial tiles are dropped, and nothing else', async () => {
  const publication = openS3Publication(client, await createBucket(client), 'log/');
  for (const path of ['tile/0/000.p/1', 'tile/0/000.p/255', 'tile/0/000', 'tile/0/001.p/1']) {
    await publication.write(path, utf8(path));
  }
  await publication.dropPartials('tile/0/000');
  await publication.dropPartials('tile/0/000');
  assert.equal(await publication.read('tile/0/000.p/1'), undefined);
  assert.equal(await publication.read('tile/0/000.p/255'), undefined);
  assert.equal(textOf(await publication.read('tile/0/000')), textOf(utf8('tile/0/000')));
  assert.equal(textOf(await publication.read('tile/0/001.p/1')), textOf(utf8('tile/0/001.p/1')));
});

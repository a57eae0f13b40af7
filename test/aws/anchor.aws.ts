/** Anchors under Object Lock: kept once, never replaced, not deletable, and the oldest version counts. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { DeleteObjectCommand, ListObjectVersionsCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { openS3Anchor } from '../../lib/audit/anchor-s3.ts';
import { formatCheckpoint } from '../../lib/audit/checkpoint.ts';
import { AuditError, type AuditErrorCode } from '../../lib/audit/port.ts';
import { generateEd25519, signEd25519 } from '../../lib/crypto/ed25519.ts';
import { signNote } from '../../lib/crypto/note.ts';
import { createLockedBucket, s3Client } from './emulator.ts';

const client = s3Client();
after(() => client.destroy());
const origin = 'holdfast.local/prod';
const { publicKey, privateKey } = generateEd25519();
const signer = { publicKey, sign: async (message: Uint8Array) => signEd25519(privateKey, message) };

const note = (size: number, root = 1) =>
  signNote(formatCheckpoint({ origin, size, root: new Uint8Array(32).fill(root) }), origin, signer);

const failsWith = (code: AuditErrorCode) => (error: unknown) => {
  assert(error instanceof AuditError, `${error}`);
  assert.equal(error.code, code);
  return true;
};

test('what is kept comes back, smallest first, and keeping it again is no error', async () => {
  const anchor = openS3Anchor(client, await createLockedBucket(client));
  assert.deepEqual(await Array.fromAsync(anchor.list()), []);
  const notes = [await note(9), await note(10), await note(100)];
  for (const each of notes.toReversed()) await anchor.keep(each);
  await Promise.all(notes.map((each) => anchor.keep(each)));
  assert.deepEqual(await Array.fromAsync(anchor.list()), notes);
});

test('R31 another root of the same size is refused, and a version written over an anchor changes nothing', async () => {
  const bucket = await createLockedBucket(client);
  const anchor = openS3Anchor(client, bucket);
  const first = await note(7);
  await anchor.keep(first);
  await assert.rejects(anchor.keep(await note(7, 2)), failsWith('corrupt'));
  // Whoever holds the sealer's rights may still write without a condition, and put a delete marker over it.
  const Key = 'anchors/0000000000000007.checkpoint';
  await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: await note(7, 3) }));
  assert.deepEqual(await Array.fromAsync(anchor.list()), [first]);
  await client.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
  assert.deepEqual(await Array.fromAsync(anchor.list()), [first]);
});

test('R31 a locked version can not be deleted', async () => {
  const bucket = await createLockedBucket(client);
  const anchor = openS3Anchor(client, bucket);
  await anchor.keep(await note(7));
  const { Versions } = await client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
  const [version] = Versions!;
  for (const bypass of [{}, { BypassGovernanceRetention: true }]) {
    await assert.rejects(
      client.send(
        new DeleteObjectCommand({ Bucket: bucket, Key: version!.Key, VersionId: version!.VersionId, ...bypass }),
      ),
    );
  }
  assert.equal((await Array.fromAsync(anchor.list())).length, 1);
});

test('an anchor that is not there is unavailable', async () => {
  const anchor = openS3Anchor(client, 'holdfast-no-such-bucket');
  await assert.rejects(anchor.keep(await note(1)), failsWith('unavailable'));
  await assert.rejects(Array.fromAsync(anchor.list()), failsWith('unavailable'));
});

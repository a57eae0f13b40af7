import assert from 'node:assert/strict';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { blobConformance } from '../../test/conformance/blobs.ts';
import { rejectsWith } from '../../test/conformance/store-cases.ts';
import { type BlobDigest, maxBlobBytes } from './blobs.ts';
import { openBlobDirectory } from './blobs-directory.ts';
import { createMemoryBlobs } from './blobs-memory.ts';
import { StoreError } from './port.ts';

blobConformance('memory', async () => ({ blobs: createMemoryBlobs(), dispose: async () => {} }));

blobConformance('directory', async () => {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-blobs-'));
  return { blobs: openBlobDirectory(join(root, 'blobs')), dispose: async () => rmSync(root, { recursive: true }) };
});

async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-blobs-'));
  try {
    await body(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function pathOf(directory: string, digest: BlobDigest): string {
  return join(directory, digest.slice(0, 2), digest.slice(2, 4), digest);
}

test('an altered, cut or grown file is corrupt, and storing its bytes again repairs it', () =>
  inDirectory(async (directory) => {
    const blobs = openBlobDirectory(directory);
    const bytes = new Uint8Array(Buffer.from('the right bytes'));
    const digest = await blobs.put(bytes);
    const path = pathOf(directory, digest);
    for (const damage of [
      () => writeFileSync(path, 'the wrong bytes'),
      () => truncateSync(path, 3),
      () => truncateSync(path, 0),
      () => truncateSync(path, maxBlobBytes + 1),
    ]) {
      damage();
      await rejectsWith('corrupt', blobs.get(digest));
      await blobs.put(bytes);
      assert.deepStrictEqual(await blobs.get(digest), bytes);
    }
  }));

test(
  'files are 0600 in 0700 directories, two levels deep, and nothing is left under way',
  { skip: process.platform === 'win32' && 'no file modes here' },
  () =>
    inDirectory(async (root) => {
      const before = process.umask(0);
      try {
        const directory = join(root, 'blobs');
        const digest = await openBlobDirectory(directory).put(Buffer.from('x'));
        const path = pathOf(directory, digest);
        assert.equal(statSync(path).mode & 0o777, 0o600);
        for (const folder of [directory, join(directory, 'incoming'), join(path, '..'), join(path, '..', '..')]) {
          assert.equal(statSync(folder).mode & 0o777, 0o700, folder);
        }
        assert.deepEqual(readdirSync(join(directory, 'incoming')), []);
      } finally {
        process.umask(before);
      }
    }),
);

test('blobs are there after opening again; files that a crash left under way go after a day, younger ones stay', () =>
  inDirectory(async (directory) => {
    const digest = await openBlobDirectory(directory).put(Buffer.from('x'));
    const [old, young] = ['old', 'young'].map((name) => join(directory, 'incoming', name)) as [string, string];
    writeFileSync(old, '');
    writeFileSync(young, '');
    const now = 1_800_000_000_000;
    utimesSync(old, 0, now / 1000 - 86_401);
    utimesSync(young, 0, now / 1000 - 86_399);
    const again = openBlobDirectory(directory, { now: () => now });
    assert.equal(await again.has(digest), true);
    assert.deepEqual([existsSync(old), existsSync(young)], [false, true]);
  }));

test('a file in place of the directory is refused, and so is a directory in place of a blob', () =>
  inDirectory(async (directory) => {
    writeFileSync(join(directory, 'file'), '');
    assert.throws(
      () => openBlobDirectory(join(directory, 'file')),
      (error) => error instanceof StoreError && error.code === 'unavailable',
    );
    const blobs = openBlobDirectory(join(directory, 'blobs'));
    const digest = await blobs.put(Buffer.from('x'));
    writeFileSync(join(directory, 'blobs', '00'), '');
    await rejectsWith('unavailable', blobs.get(`00${digest.slice(2)}` as BlobDigest));
  }));

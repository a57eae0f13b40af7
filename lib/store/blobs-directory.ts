/** Blobs as files of a directory, for the embedded control plane: `<first two hex digits>/<next two>/<digest>`. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BlobDigest,
  type BlobStore,
  blobDigest,
  checkedBlobDigest,
  maxBlobBytes,
  parseBlobDigest,
} from './blobs.ts';
import { StoreError } from './port.ts';
import { fromSystemError } from './system-errors.ts';

/** Files under way, on the same file system as their place, so that the rename is atomic. */
const incoming = 'incoming';
/** A crash leaves its unfinished file behind; one this old belongs to no running process. */
const abandonedMs = 24 * 60 * 60 * 1000;

/** Opens or creates the directory. Throws `read_only`, `full` or `unavailable`. */
export function openBlobDirectory(directory: string, options: { readonly now?: () => number } = {}): BlobStore {
  const { now = Date.now } = options;
  const subject = `blob directory ${JSON.stringify(directory)}`;
  try {
    mkdirSync(join(directory, incoming), { recursive: true, mode: 0o700 });
    removeAbandoned(join(directory, incoming), now());
  } catch (error) {
    throw fromSystemError(error, subject);
  }

  return {
    async put(bytes) {
      const digest = checkedBlobDigest(bytes);
      try {
        // A damaged file is replaced: storing its bytes again is how to heal it.
        if (!(await isIntact(directory, digest))) await writeFile(directory, digest, bytes);
        await syncPath(directory, digest);
      } catch (error) {
        throw fromSystemError(error, subject);
      }
      return digest;
    },
    async get(digest) {
      try {
        return await readBlob(directory, parseBlobDigest(digest));
      } catch (error) {
        throw fromSystemError(error, subject);
      }
    },
    async has(digest) {
      try {
        return (await stat(pathOf(directory, parseBlobDigest(digest)))).isFile();
      } catch (error) {
        if (isAbsent(error)) return false;
        throw fromSystemError(error, subject);
      }
    },
  };
}

function pathOf(directory: string, digest: BlobDigest): string {
  return join(folderOf(directory, digest), digest);
}

function folderOf(directory: string, digest: BlobDigest): string {
  return join(directory, digest.slice(0, 2), digest.slice(2, 4));
}

async function isIntact(directory: string, digest: BlobDigest): Promise<boolean> {
  try {
    return (await readBlob(directory, digest)) !== undefined;
  } catch (error) {
    if (error instanceof StoreError && error.code === 'corrupt') return false;
    throw error;
  }
}

async function readBlob(directory: string, digest: BlobDigest): Promise<Uint8Array | undefined> {
  const path = pathOf(directory, digest);
  try {
    // Whoever can write to the directory must not make us read without bound.
    if ((await stat(path)).size > maxBlobBytes) throw corrupt(path);
    const bytes = new Uint8Array(await readFile(path));
    if (blobDigest(bytes) !== digest) throw corrupt(path);
    return bytes;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** The whole file is on the disk before it gets its name: no reader, and no crash, sees a part of it. */
async function writeFile(directory: string, digest: BlobDigest, bytes: Uint8Array): Promise<void> {
  const temporary = join(directory, incoming, randomUUID());
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await mkdir(folderOf(directory, digest), { recursive: true, mode: 0o700 });
    await rename(temporary, pathOf(directory, digest));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Also for a blob that was there already: the process that wrote it may not have come to this step yet. */
async function syncPath(directory: string, digest: BlobDigest): Promise<void> {
  for (const folder of [folderOf(directory, digest), join(directory, digest.slice(0, 2)), directory]) {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

function removeAbandoned(folder: string, now: number): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const age = now - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now);
    if (age > abandonedMs) rmSync(path, { force: true });
  }
}

function corrupt(path: string): StoreError {
  return new StoreError('corrupt', `blob ${JSON.stringify(path)} was altered; store its bytes again to repair it`);
}

function isAbsent(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === 'ENOENT';
}

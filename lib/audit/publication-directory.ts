/** A publication in a directory, laid out as C2SP tlog-tiles, which any static file server can serve. */
import { constants } from 'node:fs';
import { link, mkdir, open, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { equalBytes } from '../crypto/encoding.ts';
import { maxCheckpointBytes } from './checkpoint.ts';
import { AuditError } from './port.ts';
import type { Publication } from './publication.ts';
import { openDirectorySource } from './source-directory.ts';

/** A lock older than this belongs to a process that died while it replaced the checkpoint, which takes milliseconds. */
const staleLockMs = 10_000;
const lockAttempts = 200;

export async function openPublicationDirectory(directory: string): Promise<Publication> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const source = openDirectorySource(directory);
  const checkpointPath = join(directory, 'checkpoint');
  const lockPath = join(directory, '.checkpoint.lock');
  let serial = 0;

  async function write(path: string, bytes: Uint8Array): Promise<void> {
    const target = join(directory, path);
    if (await isThere(path, bytes)) return;
    const parent = await makeDirectory(directory, dirname(target));
    const temporary = await writeTemporary(parent, bytes);
    try {
      // `link` fails where `rename` would replace: what is published stays as it is.
      await link(temporary, target);
    } catch (cause) {
      if (codeOf(cause) !== 'EEXIST') throw cause;
      await isThere(path, bytes);
    } finally {
      await unlink(temporary);
    }
    await syncDirectory(parent);
  }

  async function isThere(path: string, bytes: Uint8Array): Promise<boolean> {
    const existing = await source.read(path);
    if (existing === undefined) return false;
    if (equalBytes(existing, bytes)) return true;
    throw new AuditError('corrupt', `${join(directory, path)} is published already, with other content`);
  }

  async function writeTemporary(parent: string, bytes: Uint8Array): Promise<string> {
    serial += 1;
    const path = join(parent, `.new-${process.pid}-${serial}`);
    await rm(path, { force: true });
    const file = await open(path, 'wx', 0o644);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    return path;
  }

  async function publishCheckpoint(note: Uint8Array, size: number): Promise<boolean> {
    const release = await lock(lockPath);
    try {
      if (sizeOf(await source.read('checkpoint')) > size) return false;
      const temporary = await writeTemporary(directory, note);
      await rename(temporary, checkpointPath);
      await syncDirectory(directory);
      return true;
    } finally {
      await release();
    }
  }

  async function dropPartials(path: string): Promise<void> {
    await rm(join(directory, `${path}.p`), { recursive: true, force: true });
  }

  return { read: source.read, write, publishCheckpoint, dropPartials };
}

/** The size that a note claims, unverified: it only ever makes us refuse to replace it. */
function sizeOf(note: Uint8Array | undefined): number {
  if (note === undefined) return -1;
  const [, size = ''] = Buffer.from(note.subarray(0, maxCheckpointBytes)).toString('latin1').split('\n');
  if (!/^[0-9]{1,16}$/.test(size)) throw new AuditError('corrupt', 'the published checkpoint is not readable');
  return Number(size);
}

async function lock(path: string): Promise<() => Promise<void>> {
  for (let attempt = 0; attempt < lockAttempts; attempt++) {
    try {
      const file = await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
      await file.close();
      return () => rm(path, { force: true });
    } catch (cause) {
      if (codeOf(cause) !== 'EEXIST') throw cause;
    }
    const held = await stat(path).catch(() => undefined);
    if (held !== undefined && Date.now() - held.mtimeMs > staleLockMs) await rm(path, { force: true });
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new AuditError('unavailable', `another process holds ${path}`);
}

/** Makes what is missing of a path below `root`, each durable in its parent. A `root` that is gone is not made anew. */
async function makeDirectory(root: string, path: string): Promise<string> {
  if (path === root) return path;
  const parent = dirname(path);
  const make = () =>
    mkdir(path, { mode: 0o755 }).then(
      () => syncDirectory(parent),
      (cause: unknown) => {
        if (codeOf(cause) !== 'EEXIST') throw cause;
      },
    );
  await make().catch(async (cause: unknown) => {
    if (codeOf(cause) !== 'ENOENT' || parent === root) throw cause;
    await makeDirectory(root, parent);
    await make();
  });
  return path;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

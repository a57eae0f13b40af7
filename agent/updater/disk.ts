/** The disk as the updater sees it: each method is one change that stands or doesn't, so that every moment of dying can be tried. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from '../durable.ts';
import { systemCode } from '../errors.ts';

export interface NewFile {
  append(bytes: Uint8Array): Promise<void>;
  /** When this returns, the bytes survive the machine. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface UpdateDisk {
  /** A small file, or undefined when there is none. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** Size and SHA-256 of a plain file, or undefined when there is none, a link included. */
  measure(path: string): Promise<{ readonly size: number; readonly sha256: string } | undefined>;
  makeDirectory(path: string): Promise<void>;
  /** A file that was not there, with its final mode from the first byte. */
  create(path: string, mode: number): Promise<NewFile>;
  rename(from: string, to: string): Promise<void>;
  /** A file, if it is there. */
  remove(path: string): Promise<void>;
  /** Makes the names in a directory durable. */
  syncDirectory(path: string): Promise<void>;
}

const maxSmallFile = 1024 * 1024;

export const localDisk: UpdateDisk = {
  async read(path) {
    const status = await lstat(path).catch(absent);
    if (status === undefined || !status.isFile() || status.size > maxSmallFile) return undefined;
    return readFile(path);
  },
  async measure(path) {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const file = await open(path, flags).catch(absent);
    if (file === undefined) return undefined;
    try {
      if (!(await file.stat()).isFile()) return undefined;
      const hash = createHash('sha256');
      const buffer = Buffer.allocUnsafe(1024 * 1024);
      let size = 0;
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
        if (bytesRead === 0) return { size, sha256: hash.digest('hex') };
        hash.update(buffer.subarray(0, bytesRead));
        size += bytesRead;
      }
    } finally {
      await file.close();
    }
  },
  async makeDirectory(path) {
    await mkdir(path, { recursive: true, mode: 0o755 });
  },
  async create(path, mode) {
    const flags = constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | constants.O_WRONLY;
    const file = await open(path, flags, mode);
    return {
      append: async (bytes) => {
        await file.writeFile(bytes);
      },
      sync: () => file.sync(),
      close: () => file.close(),
    };
  },
  rename,
  remove: (path) => rm(path, { force: true }),
  syncDirectory,
};

/** When this returns, `path` holds exactly `bytes`, durably; until then it holds what it held. */
export async function writeWhole(disk: UpdateDisk, path: string, bytes: Uint8Array, mode: number): Promise<void> {
  const draft = `${path}.new`;
  await disk.remove(draft);
  const file = await disk.create(draft, mode);
  try {
    await file.append(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(draft, path);
  await disk.syncDirectory(dirname(path));
}

function absent(error: unknown): undefined {
  const code = systemCode(error);
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return undefined;
  throw error;
}

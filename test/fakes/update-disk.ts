/**
 * A disk in memory for the updater that knows what a machine's death leaves: names of directories that were synced, and
 * of files the bytes that were. It can be made to end at any change, before or after that change stands.
 */
import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import type { UpdateDisk } from '../../agent/updater/disk.ts';

type Inode = { bytes: Uint8Array; synced: Uint8Array };

export class Died extends Error {}

export type DeathAt = { readonly change: number; readonly stands: boolean };

export type FakeDisk = UpdateDisk & {
  readonly files: Map<string, Inode>;
  /** Changes that were asked for so far. */
  changes: number;
  dieAt: DeathAt | undefined;
  /** Each append from here on fails like a full disk once so many bytes are there. */
  room: number;
  put(path: string, bytes: Uint8Array): void;
  /** `kill -9` keeps what the kernel knew; `power` keeps what was synced. */
  restart(after: 'kill' | 'power'): void;
};

export function createFakeDisk(): FakeDisk {
  let durable = new Map<string, Inode>();
  const files = new Map<string, Inode>();

  const disk: FakeDisk = {
    files,
    changes: 0,
    dieAt: undefined,
    room: Number.POSITIVE_INFINITY,
    put(path, bytes) {
      const inode = { bytes, synced: bytes };
      files.set(path, inode);
      durable.set(path, inode);
    },
    restart(after) {
      disk.dieAt = undefined;
      disk.changes = 0;
      if (after === 'kill') return;
      files.clear();
      for (const [path, inode] of durable) files.set(path, { bytes: inode.synced, synced: inode.synced });
      durable = new Map(files);
    },
    read: async (path) => files.get(path)?.bytes,
    async measure(path) {
      const bytes = files.get(path)?.bytes;
      return bytes && { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    },
    makeDirectory: () => change(() => undefined),
    async create(path) {
      const inode: Inode = { bytes: new Uint8Array(), synced: new Uint8Array() };
      await change(() => {
        if (files.has(path)) throw Object.assign(new Error('exists'), { code: 'EEXIST' });
        files.set(path, inode);
      });
      return {
        append: (bytes) =>
          change(() => {
            if (inode.bytes.length + bytes.length > disk.room) {
              throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
            }
            inode.bytes = Buffer.concat([inode.bytes, bytes]);
          }),
        sync: () =>
          change(() => {
            inode.synced = inode.bytes;
          }),
        close: async () => undefined,
      };
    },
    rename: (from, to) =>
      change(() => {
        const inode = files.get(from);
        if (inode === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
        files.delete(from);
        files.set(to, inode);
      }),
    remove: (path) => change(() => void files.delete(path)),
    syncDirectory: (path) =>
      change(() => {
        for (const name of durable.keys()) if (dirname(name) === path && !files.has(name)) durable.delete(name);
        for (const [name, inode] of files) if (dirname(name) === path) durable.set(name, inode);
      }),
  };
  return disk;

  /** One change: it stands whole or not at all. */
  async function change(apply: () => void): Promise<void> {
    disk.changes += 1;
    const { dieAt } = disk;
    const dies = dieAt?.change === disk.changes;
    if (dieAt !== undefined && disk.changes > dieAt.change) throw new Died();
    if (dies && !dieAt.stands) throw new Died();
    apply();
    if (dies) throw new Died();
  }
}

/** The machine as collectors of facts see it: a view that reads, and neither writes nor starts anything. */
import { readFileSync, readlinkSync } from 'node:fs';
import { access, open, readdir } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';

export type Machine = {
  readonly platform: string;
  readonly arch: string;
  readonly release: string;
  readonly hostname: string;
  readonly memoryBytes: number;
  readonly processors: number;
  readonly processorModel: string;
  readonly timeZone: string;
  readonly interfaces: readonly Interface[];
  /** The first bytes of a file as text without white space around it; empty when there is none or it can't be read. */
  read(path: string): Promise<string>;
  /** The names in a directory, sorted; none when there is no such directory. */
  list(path: string): Promise<readonly string[]>;
  exists(path: string): Promise<boolean>;
};

export type Interface = {
  readonly name: string;
  readonly mac: string;
  /** As `192.0.2.1/24`. */
  readonly address: string;
  readonly isLoopback: boolean;
};

const maxReadBytes = 256 * 1024;

/** The machine that this process runs on. `root` is `/`, and another directory in tests. */
export function localMachine(root = '/'): Machine {
  const cpus = os.cpus();
  return {
    platform: os.platform(),
    arch: os.arch(),
    release: os.release(),
    hostname: os.hostname(),
    memoryBytes: os.totalmem(),
    processors: cpus.length,
    processorModel: cpus[0]?.model ?? '',
    get timeZone() {
      return timeZoneOf(root);
    },
    interfaces: Object.entries(os.networkInterfaces()).flatMap(([name, addresses]) =>
      (addresses ?? []).map(({ mac, cidr, address, internal }) => ({
        name,
        mac,
        address: cidr ?? address,
        isLoopback: internal,
      })),
    ),
    read: (path) => readStart(join(root, path)),
    list: async (path) => (await readdir(join(root, path)).catch(() => [])).sort(),
    exists: (path) =>
      access(join(root, path)).then(
        () => true,
        () => false,
      ),
  };
}

/**
 * As the machine names it, now: a process's own idea is from its start. `Intl`, which would take megabytes of tables into
 * memory for it, is asked where the machine names none.
 */
function timeZoneOf(root: string): string {
  const [, linked] =
    /\/zoneinfo\/(?:posix\/|right\/)?(.+)$/.exec(attempt(() => readlinkSync(join(root, 'etc/localtime')))) ?? [];
  if (linked !== undefined) return linked;
  const named = attempt(() => readFileSync(join(root, 'etc/timezone'), 'utf8')).trim();
  return named === '' ? Intl.DateTimeFormat().resolvedOptions().timeZone : named;
}

function attempt(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}

/** Files of /proc and /sys have no size before they are read. */
async function readStart(path: string): Promise<string> {
  try {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(maxReadBytes), 0, maxReadBytes, 0);
      return buffer.toString('utf8', 0, bytesRead).replaceAll('\u0000', '').trim();
    } finally {
      await file.close();
    }
  } catch (_absentOrClosed) {
    return '';
  }
}

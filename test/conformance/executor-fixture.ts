/** A place for executors to work in: a private directory, content-addressed blobs in memory, and engine runs over it. */
import { createHash } from 'node:crypto';
import { lstat, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { type ResourceOutcome, runResources } from '../../agent/engine.ts';
import { executors } from '../../agent/executors/registry.ts';
import type { Guard } from '../../agent/guard.ts';
import type { Step } from '../../agent/host.ts';
import { createLocalHost } from '../../agent/local-host.ts';
import { memoryNotifications } from '../../agent/notifications.ts';
import { machineEnvironment } from '../fakes/machine.ts';

/** A resource without its id, which its executor knows. */
export type Declared = {
  readonly type: string;
  readonly desired: { readonly [field: string]: unknown };
  readonly requires?: readonly string[];
  readonly notify?: readonly string[];
  /** A directory that is taken for the machine, made by `makeMachine`. */
  readonly root?: string;
};

export type RunSettings = {
  readonly dryRun?: boolean;
  readonly step?: (step: Step, path: string) => void;
  readonly guard?: Guard;
  readonly notified?: readonly string[];
};

const blobs = new Map<string, Uint8Array>();

/** Puts text where `context.blob` finds it, and returns the reference that a built crate has. */
export function content(text: string): { readonly sha256: string; readonly bytes: number } {
  return bytesContent(Buffer.from(text));
}

/** As `content`, for anything. */
export function bytesContent(bytes: Uint8Array): { readonly sha256: string; readonly bytes: number } {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  blobs.set(sha256, bytes);
  return { sha256, bytes: bytes.length };
}

export function blobsAsJson(): { readonly [sha256: string]: string } {
  return Object.fromEntries([...blobs].map(([sha256, bytes]) => [sha256, Buffer.from(bytes).toString('base64')]));
}

export function loadBlobs(json: { readonly [sha256: string]: string }): void {
  for (const [sha256, base64] of Object.entries(json)) {
    blobs.set(sha256, Buffer.from(base64, 'base64'));
  }
}

/** Runs of the real engine and executors on the real file system, one for each machine that is named. */
export async function run(declared: readonly Declared[], settings: RunSettings = {}): Promise<ResourceOutcome[]> {
  const outcomes: ResourceOutcome[] = [];
  for (const root of new Set(declared.map((one) => one.root))) {
    const there = declared.filter((one) => one.root === root);
    outcomes.push(...(await runOn(root, there, settings)));
  }
  return outcomes;
}

function runOn(
  root: string | undefined,
  declared: readonly Declared[],
  settings: RunSettings,
): Promise<ResourceOutcome[]> {
  const resources = declared.map((one) => {
    const executor = executors.get(one.type);
    if (executor === undefined) {
      throw new TypeError(`no executor ${one.type}`);
    }
    return { ...one, crate: 'test', id: executor.id(executor.schema.parse(one.desired)) };
  });
  const deps = {
    executors,
    host: createLocalHost({
      ...(settings.step === undefined ? {} : { step: settings.step }),
      ...(root === undefined ? {} : { root, environment: machineEnvironment(root), platform: 'linux' }),
    }),
    guard: settings.guard ?? (async () => undefined),
    notifications: memoryNotifications(settings.notified),
    async blob(sha256: string) {
      const bytes = blobs.get(sha256);
      if (bytes === undefined) {
        throw new Error(`no blob ${sha256}`);
      }
      return bytes;
    },
    now: () => 0,
    deadline: () => new AbortController().signal,
  };
  return runResources(deps, resources, { dryRun: settings.dryRun ?? false });
}

/** Runs `work` with a fresh private directory, which is removed afterwards. */
export async function withDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-executor-'));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What is in a directory: each entry's kind, mode, owner and content or target, one line each. */
export async function snapshot(directory: string): Promise<string[]> {
  const lines: string[] = [];
  for (const path of await walk(directory)) {
    const status = await lstat(path);
    const inside = status.isFile()
      ? await readFile(path, 'base64')
      : status.isSymbolicLink()
        ? await readlink(path)
        : '';
    lines.push(`${relative(directory, path)} ${status.mode.toString(8)} ${status.uid}:${status.gid} ${inside}`);
  }
  return lines;
}

/** As `snapshot`, with what changes when something is written at all: inode and times. */
export async function stamps(directory: string): Promise<string[]> {
  const lines: string[] = [];
  for (const path of [directory, ...(await walk(directory))]) {
    const { ino, mtimeNs, ctimeNs } = await lstat(path, { bigint: true });
    lines.push(`${path} ${ino} ${mtimeNs} ${ctimeNs}`);
  }
  return lines;
}

async function walk(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true });
  return entries.map((entry) => join(directory, entry)).sort();
}

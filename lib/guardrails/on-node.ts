/**
 * The node's own judgement, which nothing overrides: it has no parameter for that. On top of what a resource says, it
 * looks at what its paths really are: through symlinks, bind mounts and hard links.
 */
import { basename, dirname, join } from 'node:path';
import { type Judgement, judgementOf } from './finding.ts';
import { isWithin, normalizePath } from './paths.ts';
import { protectedPaths } from './protected-paths.ts';
import { type JudgedResource, judgeResource, judgeResourcePath, pathsOf } from './resource.ts';
import type { Scanner } from './scanner.ts';

/** What the judgement has to know of the machine. Reads only. */
export type NodeView = {
  /** The path with all symlinks resolved; undefined when there is nothing. */
  realPath(path: string): Promise<string | undefined>;
  /** Device, inode and number of links of what is there, not following a symlink. */
  identity(path: string): Promise<FileIdentity | undefined>;
  /** `/proc/self/mountinfo`; empty where there is none. */
  mountInfo(): Promise<string>;
};

export type FileIdentity = {
  readonly device: number;
  readonly inode: number;
  readonly links: number;
  readonly isDirectory: boolean;
};

/** Judges a resource by what it says and by what its paths are on this machine. */
export async function judgeOnNode(
  scanner: Scanner,
  resource: JudgedResource,
  paths: readonly string[],
  view: NodeView,
): Promise<Judgement> {
  const said = judgeResource(scanner, resource);
  if (said.verdict === 'dangerous') return said;
  const mounts = parseMountInfo(await view.mountInfo());
  const all = [...new Set([...paths, ...pathsOf(resource.desired)])];
  const found = [];
  for (const path of all) {
    for (const name of await namesOf(path, mounts, view))
      found.push(...judgeResourcePath(resource.type, name, resource.desired));
  }
  return judgementOf([...said.findings, ...found]);
}

/** All names by which the machine knows what is at a path: its own, the real one, and those of mounts and links. */
export async function namesOf(path: string, mounts: readonly Mount[], view: NodeView): Promise<string[]> {
  const names = new Set([normalizePath(path)]);
  const real = await realName(path, view);
  names.add(real);
  const followed = await view.realPath(path);
  if (followed !== undefined) names.add(followed);
  for (const name of [...names]) for (const other of throughMounts(name, mounts)) names.add(other);
  const identity = await view.identity(real);
  if (identity !== undefined && (identity.links > 1 || identity.isDirectory)) {
    for (const { path: protectedPath } of protectedPaths) {
      const its = await view.identity(protectedPath);
      if (its !== undefined && its.device === identity.device && its.inode === identity.inode) names.add(protectedPath);
    }
  }
  return [...names];
}

/** Its directories resolved, itself not: nothing that executors do follows a symlink in the last component. */
async function realName(path: string, view: NodeView): Promise<string> {
  const normal = normalizePath(path);
  const missing: string[] = [];
  for (let at = normal; at !== '/'; at = dirname(at)) {
    missing.unshift(basename(at));
    const parent = await view.realPath(dirname(at));
    if (parent !== undefined) return normalizePath(join(parent, ...missing));
  }
  return normal;
}

/** A mount: what is at `root` of a device is seen at `point`. */
export type Mount = { readonly device: string; readonly root: string; readonly point: string };

/** Reads the lines of mountinfo (proc_pid_mountinfo(5)); what isn't one is left out. */
export function parseMountInfo(text: string): readonly Mount[] {
  if (parsed.text !== text) parsed = { text, mounts: parseMounts(text) };
  return parsed.mounts;
}

/** The last one: it hardly ever changes. */
let parsed: { readonly text: string; readonly mounts: readonly Mount[] } = { text: '', mounts: [] };

function parseMounts(text: string): Mount[] {
  const mounts = text.split('\n').flatMap((line) => {
    const [, , device, root, point] = line.split(' ');
    if (device === undefined || root === undefined || point === undefined) return [];
    return [{ device, root: decode(root), point: decode(point) }];
  });
  return mounts.toSorted((a, b) => b.point.length - a.point.length);
}

function decode(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
}

/** The other places at which the same directory of the same device is mounted. */
function throughMounts(path: string, mounts: readonly Mount[]): string[] {
  // The innermost comes first.
  const holding = mounts.find(({ point }) => isWithin(path, point));
  if (holding === undefined) return [];
  const inDevice = normalizePath(`${holding.root}/${path.slice(holding.point.length)}`);
  return mounts
    .filter((other) => other.device === holding.device && other !== holding && isWithin(inDevice, other.root))
    .map((other) => normalizePath(`${other.point}/${inDevice.slice(other.root === '/' ? 0 : other.root.length)}`));
}

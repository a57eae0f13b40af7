/**
 * The node's own judgement, which nothing overrides: it has no parameter for that. On top of what a resource says, it
 * looks at what its paths really are: through symlinks, bind mounts and hard links.
 */
import { basename, dirname, join } from 'node:path';
import { type Finding, type Judgement, judgementOf } from './finding.ts';
import { type Mounts, otherPlacesOf, parseMountInfo } from './mounts.ts';
import { normalizePath } from './paths.ts';
import { protectedPaths } from './protected-paths.ts';
import { type JudgedResource, judgeResource, judgeResourcePath, pathsOf } from './resource.ts';
import type { Scanner } from './scanner.ts';

/**
 * What the judgement has to know of the machine, as it is at one moment: what it said once counts for as long as the
 * view is used. Reads only.
 */
export type NodeView = {
  /** The path with all symlinks resolved; undefined when there is nothing. */
  realPath(path: string): string | undefined;
  /** Device, inode and number of links of what is there, not following a symlink. */
  identity(path: string): FileIdentity | undefined;
  /** `/proc/self/mountinfo`; empty where there is none. */
  mountInfo(): string;
};

export type FileIdentity = {
  readonly device: number;
  readonly inode: number;
  readonly links: number;
  readonly isDirectory: boolean;
};

/** Judges a resource by what it says and by what its paths are on this machine. */
export function judgeOnNode(
  scanner: Scanner,
  resource: JudgedResource,
  paths: readonly string[],
  view: NodeView,
): Judgement {
  const mounts = parseMountInfo(view.mountInfo());
  const said = judgeResource(scanner, resource, (path, isFollowed) => placesOf(path, isFollowed, mounts, view));
  if (said.verdict === 'dangerous') return said;
  const own = pathsOf(resource.desired);
  // By these names it was judged already.
  const judged = new Set(own.map((path) => normalizePath(path)));
  const found: Finding[] = [];
  for (const path of new Set([...own, ...paths])) {
    for (const name of namesOf(path, mounts, view)) {
      if (judged.has(name)) continue;
      judged.add(name);
      found.push(...judgeResourcePath(resource.type, name, resource.desired));
    }
  }
  return judgementOf([...said.findings, ...found]);
}

/** All names by which the machine knows what is at a path: its own, the real one, and those of mounts and links. */
function namesOf(path: string, mounts: Mounts, view: NodeView, isFollowed = true): ReadonlySet<string> {
  const names = new Set([normalizePath(path)]);
  const real = realName(path, view);
  names.add(real);
  const followed = isFollowed ? view.realPath(path) : undefined;
  if (followed !== undefined) names.add(normalizePath(followed));
  for (const name of [...names]) for (const other of otherPlacesOf(name, mounts)) names.add(other);
  const identity = view.identity(real);
  if (identity !== undefined && (identity.links > 1 || identity.isDirectory)) {
    for (const protectedPath of protectedBy(view).get(identityKey(identity)) ?? []) names.add(protectedPath);
  }
  return names;
}

/**
 * The names of a path in a command, which the system reads as it stands: `..` leads out of where a symlink leads to, and
 * the last component is followed by whatever writes to it.
 */
function placesOf(path: string, isFollowed: boolean, mounts: Mounts, view: NodeView): Iterable<string> {
  const parent = view.realPath(dirname(path));
  const real = parent === undefined ? path : join(parent, basename(path));
  return namesOf(isFollowed ? (view.realPath(path) ?? real) : real, mounts, view, isFollowed);
}

const protectedOf = new WeakMap<NodeView, ReadonlyMap<string, readonly string[]>>();

/** The protected paths by what is at them, looked at once for each view. */
function protectedBy(view: NodeView): ReadonlyMap<string, readonly string[]> {
  const known = protectedOf.get(view);
  if (known !== undefined) return known;
  const paths = new Map<string, string[]>();
  for (const { path } of protectedPaths) {
    const identity = view.identity(path);
    if (identity === undefined) continue;
    const key = identityKey(identity);
    paths.set(key, [...(paths.get(key) ?? []), path]);
  }
  protectedOf.set(view, paths);
  return paths;
}

function identityKey({ device, inode }: FileIdentity): string {
  return `${device}:${inode}`;
}

/** Its directories resolved, itself not: nothing that executors do follows a symlink in the last component. */
function realName(path: string, view: NodeView): string {
  const normal = normalizePath(path);
  const missing: string[] = [];
  for (let at = normal; at !== '/'; at = dirname(at)) {
    missing.unshift(basename(at));
    const parent = view.realPath(dirname(at));
    if (parent !== undefined) return normalizePath(join(parent, ...missing));
  }
  return normal;
}

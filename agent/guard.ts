/**
 * The guard: what no release can change on a node, whoever signed it. Judged here with no override, before a resource
 * is looked at: the agent's own state and program, and the trees that make the machine run at all.
 *
 * A path is judged by what it *is*, not by how it is spelled: symlinks and `..` are resolved, and each directory on the
 * way is compared by device and inode, so that a bind mount or a case-folding file system makes no difference.
 */
import { dirname, join, resolve } from 'node:path';
import { type Look, lookAt, type Moment } from './machine-look.ts';

/** Says why a resource may not be touched, or undefined when it may. */
export type Guard = (resource: {
  readonly type: string;
  readonly desired: unknown;
  readonly paths: readonly string[];
  /** Rules by which the unknown may run: accepted in a release that two operators signed. The dangerous never may. */
  readonly accepted?: readonly string[];
  /** The same for as long as the run has changed nothing: what was looked at need not be looked at again. */
  readonly moment?: Moment;
}) => Promise<string | undefined>;

/** Protected on every machine. The root is protected by being above these. */
export const systemTrees: readonly string[] = ['/proc', '/sys', '/dev', '/boot'];

/**
 * Protects whole trees: nothing in them may be changed, nor any directory above them, because whoever can rename or
 * open a parent can replace what is below.
 */
export function protectTrees(trees: readonly string[]): Guard {
  const maps = new WeakMap<Look, TreeMap>();
  return async ({ paths, moment }) => {
    const look = lookAt(moment);
    const map = maps.get(look) ?? mapTrees(trees, look);
    maps.set(look, map);
    for (const path of paths) {
      const reason = judge(path, map, look);
      if (reason !== undefined) {
        return reason;
      }
    }
    return undefined;
  };
}

/** Asks each guard in turn; the first refusal stands. */
export function allOf(...guards: readonly Guard[]): Guard {
  return async (resource) => {
    for (const guard of guards) {
      const reason = await guard(resource);
      if (reason !== undefined) {
        return reason;
      }
    }
    return undefined;
  };
}

/** The protected trees as they are at one moment, and the directories that were judged by them. */
type TreeMap = {
  readonly trees: readonly ProtectedTree[];
  /** By real path: the tree that a directory is in, or undefined when it is in none. */
  readonly directories: Map<string, ProtectedTree | undefined>;
};

type ProtectedTree = {
  /** As it was declared. */
  readonly name: string;
  readonly path: string;
  readonly identity: string | undefined;
  readonly above: Ancestry;
};

function mapTrees(trees: readonly string[], look: Look): TreeMap {
  const protectedTrees = trees.map((name): ProtectedTree => {
    const path = look.realPath(name) ?? resolveBy(look, name);
    return { name, path, identity: identityOf(path, look), above: ancestry(path, look) };
  });
  return { trees: protectedTrees, directories: new Map() };
}

function judge(path: string, map: TreeMap, look: Look): string | undefined {
  const real = resolveBy(look, path);
  const own = identityOf(real, look);
  const tree = treeAt(real, own, map) ?? treeAround(dirname(real), map, look);
  if (tree !== undefined) {
    return `${JSON.stringify(path)} is inside ${JSON.stringify(tree.name)}, which is protected`;
  }
  const held = map.trees.find(({ above }) => above.paths.has(real) || (own !== undefined && above.identities.has(own)));
  return held && `${JSON.stringify(path)} holds ${JSON.stringify(held.name)}, which is protected`;
}

/** The protected tree of which this is the top. */
function treeAt(real: string, identity: string | undefined, { trees }: TreeMap): ProtectedTree | undefined {
  return trees.find((tree) => tree.path === real || (identity !== undefined && tree.identity === identity));
}

/** The protected tree that a directory is the top of, or in. */
function treeAround(directory: string, map: TreeMap, look: Look): ProtectedTree | undefined {
  if (map.directories.has(directory)) {
    return map.directories.get(directory);
  }
  const parent = dirname(directory);
  const tree =
    treeAt(directory, identityOf(directory, look), map) ??
    (parent === directory ? undefined : treeAround(parent, map, look));
  map.directories.set(directory, tree);
  return tree;
}

/**
 * Where a path leads: the symlinks of its directories resolved, the last component itself not, since nothing here ever
 * follows it. Components that don't exist yet stay as they are.
 */
function resolveBy(look: Look, path: string): string {
  const normal = resolve(path);
  const parent = dirname(normal);
  if (parent === normal) {
    return normal;
  }
  return join(look.realPath(parent) ?? resolveBy(look, parent), normal.slice(parent === '/' ? 1 : parent.length + 1));
}

type Ancestry = { readonly paths: ReadonlySet<string>; readonly identities: ReadonlySet<string> };

/** The path and all directories above it. */
function ancestry(path: string, look: Look): Ancestry {
  const paths = new Set<string>();
  const identities = new Set<string>();
  for (let at = path; ; at = dirname(at)) {
    paths.add(at);
    const identity = identityOf(at, look);
    if (identity !== undefined) {
      identities.add(identity);
    }
    if (dirname(at) === at) {
      return { paths, identities };
    }
  }
}

/** Device and inode of a directory; undefined for what is none. A symlink is replaced, not followed, so it is none. */
function identityOf(path: string, look: Look): string | undefined {
  const found = look.identity(path);
  return found?.isDirectory === true ? `${found.device}:${found.inode}` : undefined;
}

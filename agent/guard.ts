/**
 * The guard: what no release can change on a node, whoever signed it. Judged here with no override, before a resource
 * is looked at: the agent's own state and program, and the trees that make the machine run at all.
 *
 * A path is judged by what it *is*, not by how it is spelled: symlinks and `..` are resolved, and each directory on the
 * way is compared by device and inode, so that a bind mount or a case-folding file system makes no difference.
 */
import { realpath } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { systemCode } from './errors.ts';
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
  return async ({ paths, moment }) => {
    const look = lookAt(moment);
    for (const path of paths) {
      const reason = judge(path, trees, look);
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

function judge(path: string, trees: readonly string[], look: Look): string | undefined {
  const real = resolveBy(look, path);
  const chain = ancestry(real, look);
  const own = identityOf(real, look);
  for (const tree of trees) {
    const { path: protectedTree, identity, above } = protectedIn(tree, look);
    if (chain.paths.has(protectedTree) || (identity !== undefined && chain.identities.has(identity))) {
      return `${JSON.stringify(path)} is inside ${JSON.stringify(tree)}, which is protected`;
    }
    if (above.paths.has(real) || (own !== undefined && above.identities.has(own))) {
      return `${JSON.stringify(path)} holds ${JSON.stringify(tree)}, which is protected`;
    }
  }
  return undefined;
}

type ProtectedTree = { readonly path: string; readonly identity: string | undefined; readonly above: Ancestry };

const seen = new WeakMap<Look, Map<string, ProtectedTree>>();

/** What a protected tree really is, once for each look. */
function protectedIn(tree: string, look: Look): ProtectedTree {
  const known = seen.get(look) ?? new Map<string, ProtectedTree>();
  seen.set(look, known);
  const found = known.get(tree);
  if (found !== undefined) return found;
  const path = look.realPath(tree) ?? resolveBy(look, tree);
  const made = { path, identity: identityOf(path, look), above: ancestry(path, look) };
  known.set(tree, made);
  return made;
}

/** As `resolvePath`. */
function resolveBy(look: Look, path: string): string {
  const normal = resolve(path);
  const parent = dirname(normal);
  if (parent === normal) {
    return normal;
  }
  return join(look.realPath(parent) ?? resolveBy(look, parent), normal.slice(parent === '/' ? 1 : parent.length + 1));
}

/**
 * Where a path leads: the symlinks of its directories resolved, the last component itself not, since nothing here ever
 * follows it. Components that don't exist yet stay as they are.
 */
export async function resolvePath(path: string): Promise<string> {
  const normal = resolve(path);
  const parent = dirname(normal);
  if (parent === normal) {
    return normal;
  }
  const name = normal.slice(parent === '/' ? 1 : parent.length + 1);
  try {
    return join(await realpath(parent), name);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      return join(await resolvePath(parent), name);
    }
    throw error;
  }
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

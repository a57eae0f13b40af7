/**
 * A look at the machine for the guards: what paths really are, remembered for as long as the run has changed nothing.
 * The engine gives a new moment after every change; without one, nothing is remembered.
 */
import { lstatSync, readFileSync, realpathSync } from 'node:fs';
import type { FileIdentity, NodeView } from '../lib/guardrails/on-node.ts';
import { systemCode } from './errors.ts';

export type Look = {
  /** With all symlinks resolved; undefined when there is nothing. Throws what is no answer, as a circle of symlinks. */
  realPath(path: string): string | undefined;
  /** Of what is there, not following a symlink. */
  identity(path: string): FileIdentity | undefined;
  /** As the rules of the guardrails ask for it. What is no answer is nothing to them: other guards refuse it. */
  readonly view: NodeView;
};

/** A stretch of a run in which nothing was changed; compared by identity. */
export type Moment = object;

const looks = new WeakMap<Moment, Look>();

export function lookAt(moment: Moment | undefined): Look {
  const known = moment === undefined ? undefined : looks.get(moment);
  if (known !== undefined) return known;
  const fresh = remembering();
  if (moment !== undefined) looks.set(moment, fresh);
  return fresh;
}

type Entry = FileIdentity & { readonly isSymlink: boolean };

function remembering(): Look {
  const realPath = remember((path): string | undefined => fromParent(path) ?? realPathOf(path));
  const identity = remember(entryAt);
  const mountInfo = remember(readMountInfo).bind(undefined, '/proc/self/mountinfo');
  const view: NodeView = { realPath: (path) => unlessNoAnswer(() => realPath(path)), identity, mountInfo };
  return { realPath, identity, view };

  /**
   * By what is known of the directory: one look instead of one at each component. Undefined leaves it to the system,
   * as wherever it alone knows: at a symlink, at a missing or a closed directory, and on systems that fold case.
   */
  function fromParent(path: string): string | undefined {
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    if (!keepsCase || slash < 0 || name === '' || name === '.' || name === '..') return undefined;
    const parent = realPath(path.slice(0, slash) || '/');
    if (parent === undefined) return undefined;
    const real = parent === '/' ? `/${name}` : `${parent}/${name}`;
    return identity(real)?.isSymlink === false ? real : undefined;
  }
}

/** A path that the system returns is spelled as it was asked for. */
const keepsCase = process.platform === 'linux';

function remember<T>(ask: (path: string) => T): (path: string) => T {
  const known = new Map<string, T>();
  return (path) => {
    const before = known.get(path);
    if (before !== undefined || known.has(path)) return before as T;
    const answer = ask(path);
    known.set(path, answer);
    return answer;
  };
}

function realPathOf(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

function entryAt(path: string): Entry | undefined {
  const status = unlessNoAnswer(() => lstatSync(path, { throwIfNoEntry: false }));
  return (
    status && {
      device: status.dev,
      inode: status.ino,
      links: status.nlink,
      isDirectory: status.isDirectory(),
      isSymlink: status.isSymbolicLink(),
    }
  );
}

function readMountInfo(path: string): string {
  return unlessNoAnswer(() => readFileSync(path, 'utf8')) ?? '';
}

function unlessNoAnswer<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch {
    return undefined;
  }
}

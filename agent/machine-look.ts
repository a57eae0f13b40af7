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
  mountInfo(): string;
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

/** As the rules of the guardrails ask for it. What is no answer is nothing to them: other guards refuse it. */
export function viewOf(look: Look): NodeView {
  return {
    async realPath(path) {
      try {
        return look.realPath(path);
      } catch {
        return undefined;
      }
    },
    identity: async (path) => look.identity(path),
    mountInfo: async () => look.mountInfo(),
  };
}

function remembering(): Look {
  return {
    realPath: remember(realPath),
    identity: remember(identity),
    mountInfo: remember(() => {
      try {
        return readFileSync('/proc/self/mountinfo', 'utf8');
      } catch {
        return '';
      }
    }).bind(undefined, ''),
  };
}

function remember<T>(ask: (path: string) => T): (path: string) => T {
  const known = new Map<string, T>();
  return (path) => {
    if (known.has(path)) return known.get(path) as T;
    const answer = ask(path);
    known.set(path, answer);
    return answer;
  };
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

function identity(path: string): FileIdentity | undefined {
  let status: ReturnType<typeof lstatSync> | undefined;
  try {
    status = lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
  return status === undefined
    ? undefined
    : { device: status.dev, inode: status.ino, links: status.nlink, isDirectory: status.isDirectory() };
}

/**
 * The guard by rules: has every resource judged by `lib/guardrails` as it is on this machine, right before it is looked
 * at. There is no override: nothing lets what is dangerous through.
 */
import { lstat, readFile, realpath } from 'node:fs/promises';
import { judgeOnNode, type NodeView } from '../lib/guardrails/on-node.ts';
import { loadScanner, type Scanner } from '../lib/guardrails/scanner.ts';
import type { Guard } from './guard.ts';

/** Refuses what is dangerous, and what can not be told by reading unless two operators accepted it. */
export function protectByRules(view: NodeView = thisMachine): Guard {
  let scanner: Promise<Scanner> | undefined;
  return async ({ type, desired, paths, accepted = [] }) => {
    scanner ??= loadScanner();
    const { findings } = await judgeOnNode(await scanner, { type, id: '', desired }, paths, view);
    const found =
      findings.find(({ verdict }) => verdict === 'dangerous') ?? findings.find(({ rule }) => !accepted.includes(rule));
    return found === undefined ? undefined : `${found.rule}: ${found.reason} (${found.excerpt})`;
  };
}

const thisMachine: NodeView = {
  realPath: (path) => realpath(path).catch(() => undefined),
  async identity(path) {
    const status = await lstat(path).catch(() => undefined);
    return status === undefined
      ? undefined
      : { device: status.dev, inode: status.ino, links: status.nlink, isDirectory: status.isDirectory() };
  },
  mountInfo: () => readFile('/proc/self/mountinfo', 'utf8').catch(() => ''),
};

/**
 * The guard by rules: has every resource judged by `lib/guardrails` as it is on this machine, right before it is looked
 * at. There is no override: nothing lets what is dangerous through.
 */
import { judgeOnNode } from '../lib/guardrails/on-node.ts';
import { hasCommands } from '../lib/guardrails/resource.ts';
import type { Scanner } from '../lib/guardrails/scanner.ts';
import type { Guard } from './guard.ts';
import { lookAt } from './machine-look.ts';

/** Refuses what is dangerous, and what can not be told by reading unless two operators accepted it. */
export function protectByRules(): Guard {
  return async ({ type, desired, paths, accepted = [], moment }) => {
    const scanner = hasCommands(desired) ? await loadScanner() : withoutCommands;
    const { findings } = judgeOnNode(scanner, { type, id: '', desired }, paths, lookAt(moment).view);
    const found =
      findings.find(({ verdict }) => verdict === 'dangerous') ?? findings.find(({ rule }) => !accepted.includes(rule));
    return found === undefined ? undefined : `${found.rule}: ${found.reason} (${found.excerpt})`;
  };
}

/** Loaded when it is needed: most runs of most nodes judge no command. */
async function loadScanner(): Promise<Scanner> {
  return (await import('../lib/guardrails/scanner.ts')).scanner;
}

/** For what has no command to scan. */
const withoutCommands: Scanner = {
  scan() {
    throw new TypeError('a command was scanned where none was seen');
  },
};

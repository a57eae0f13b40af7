/**
 * A scan: what is shared while one source is read, and the frames in which its parts run. Reading is an abstract
 * execution: commands run in order, with values as far as they are known, and nothing ever touches the machine.
 */
import { describe, excerptOf, type Finding, type Position, positionIn } from '../finding.ts';
import { type RuleId, rules } from '../rules.ts';
import type { Grammar, Syntax } from './grammar.ts';
import { display } from './marks.ts';
import type { PlacesOf } from './places.ts';

/** Bounds on the work, none of them by the clock: the same source gets the same verdict everywhere. */
export const limits = {
  sourceLength: 128 * 1024,
  depth: 24,
  steps: 200_000,
  findings: 100,
  alternatives: 12,
  valueLength: 32 * 1024,
  loopRounds: 16,
} as const;

/** Source text with its tree; each nested piece of code has one of its own. */
export type Source = {
  readonly text: string;
  /** The substitutions and expansions, by where they start. */
  readonly substitutions: ReadonlyMap<number, Syntax>;
};

export type FunctionDefinition = { readonly name: string; readonly body: Syntax; readonly source: Source };

export type Variable = { readonly values: readonly string[]; readonly isList: boolean };

export type Scope = {
  readonly variables: Map<string, Variable>;
  readonly functions: Map<string, FunctionDefinition>;
  readonly aliases: Map<string, string>;
  /** Absolute, or undefined while nothing has set it. */
  cwd: string | undefined;
  /** Arguments of the function or script; undefined when they can't be known. */
  positional: readonly string[] | undefined;
  /** `$0`. */
  zero: string;
  /** Above 0 inside a branch: an assignment may or may not happen. */
  branches: number;
};

export type Frame = {
  readonly scan: Scan;
  readonly source: Source;
  readonly scope: Scope;
  readonly stdin: string;
  /** Of the outermost command, when this is code nested in it. */
  readonly at: Position | undefined;
  readonly depth: number;
  /** Functions being called, innermost last. */
  readonly calls: readonly string[];
};

export type Scan = {
  readonly grammar: Grammar;
  readonly findings: Finding[];
  /** Left of the steps. */
  steps: number;
  /** Files that the source itself writes: their content as far as known, by path. */
  readonly files: Map<string, string>;
  /** Programs under other names: what a copy or a link of one really is, by its path. */
  readonly programs: Map<string, string>;
  /** Symbolic links that the source itself makes, and where they lead. */
  readonly links: Map<string, string>;
  /** What `trap` has set to run at the end. */
  readonly traps: (() => void)[];
  /** Functions defined and not called yet. */
  readonly uncalled: Map<FunctionDefinition, Frame>;
  /** Something in the source lets SSH through the firewall, so closing the rest is not a lock-out. */
  letsSshThrough: boolean;
  /** A checksum or a signature was checked, so what is run after it is what somebody meant. */
  isVerified: boolean;
  readonly firewall: Finding[];
  firewallDenies: boolean;
  readonly placesOf: PlacesOf | undefined;
  /** Runs a node; set by the interpreter. Returns what it prints, as far as known. */
  readonly run: (node: Syntax, frame: Frame) => string;
  /** Runs code in a string, as `sh -c` does. */
  readonly runText: (text: string, frame: Frame) => string;
};

/** Takes a step; false when there are none left. */
export function step(scan: Scan): boolean {
  scan.steps -= 1;
  return scan.steps > 0;
}

export function report(
  frame: Frame,
  rule: RuleId,
  options: { offset?: number; detail?: string; excerpt: string; verdict?: Finding['verdict'] },
): void {
  const { scan } = frame;
  const finding = findingOf(frame, rule, options);
  const same = scan.findings.find((one) => one.rule === rule && one.position.offset === finding.position.offset);
  if (same !== undefined && (same.verdict === 'dangerous' || finding.verdict === 'unknown')) return;
  if (scan.findings.length < limits.findings || finding.verdict === 'dangerous') scan.findings.push(finding);
}

export function findingOf(
  frame: Frame,
  rule: RuleId,
  {
    offset = 0,
    detail = '',
    excerpt,
    verdict = rules[rule].verdict,
  }: { offset?: number; detail?: string; excerpt: string; verdict?: Finding['verdict'] },
): Finding {
  return {
    rule,
    verdict,
    position: frame.at ?? positionIn(frame.source.text, offset),
    reason: describe(rule, excerptOf(display(detail))),
    excerpt: excerptOf(display(excerpt)),
  };
}

/** A copy for a subshell: what happens in it stays in it. */
export function forkScope(scope: Scope): Scope {
  return {
    ...scope,
    variables: new Map(scope.variables),
    functions: new Map(scope.functions),
    aliases: new Map(scope.aliases),
  };
}

/** Assigns; inside a branch the old values remain possible. */
export function assign(scope: Scope, name: string, values: readonly string[], isList = false): void {
  const old = scope.branches > 0 ? (scope.variables.get(name)?.values ?? []) : [];
  const all = [...new Set([...values, ...old])].slice(0, limits.alternatives);
  scope.variables.set(name, { values: all.map((value) => value.slice(0, limits.valueLength)), isList });
}

/**
 * A scan: what is shared while one source is read, and the frames in which its parts run. Reading is an abstract
 * execution: commands run in order, with values as far as they are known, and nothing ever touches the machine.
 */
import { describe, excerptOf, type Finding, type Position, positionIn } from '../finding.ts';
import { type RuleId, rules } from '../rules.ts';
import type { Link } from './links.ts';
import { display } from './marks.ts';
import type { PlacesOf } from './places.ts';
import type { Command, Substitution } from './syntax.ts';

/** Bounds on the work, none of them by the clock: the same source gets the same verdict everywhere. */
export const limits = {
  sourceLength: 128 * 1024,
  depth: 24,
  steps: 200_000,
  findings: 100,
  alternatives: 12,
  valueLength: 32 * 1024,
  loopRounds: 64,
} as const;

/** Source text with its tree; each nested piece of code has one of its own. */
export type Source = {
  readonly text: string;
  /** By where they start. */
  readonly substitutions: ReadonlyMap<number, Substitution>;
};

export type FunctionDefinition = { readonly name: string; readonly body: Command; readonly source: Source };

export type Variable = { readonly values: readonly string[]; readonly isList: boolean };

export type Scope = {
  readonly variables: Map<string, Variable>;
  readonly functions: Map<string, FunctionDefinition>;
  readonly aliases: Map<string, string>;
  /** What is read from descriptors other than the standard ones. */
  readonly inputs: Map<string, string>;
  /** The files that such descriptors write to. */
  readonly outputs: Map<string, string>;
  /** What `pushd` has put aside, the last on top. */
  readonly directories: string[];
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
  /** Paths that a test has found missing, where this runs. */
  readonly absent: ReadonlySet<string>;
  /** Loops around it. */
  readonly loops: number;
  /** Pipes and background jobs around it. */
  readonly forks: number;
  /** How things stood when a function was called, by its name. */
  readonly entered: ReadonlyMap<string, { readonly forks: number; readonly branches: number }>;
};

export type Scan = {
  readonly findings: Finding[];
  /** Left of the steps. */
  steps: number;
  /** Files that the source itself writes: their content as far as known, by path. */
  readonly files: Map<string, string>;
  /** Programs under other names: what a copy or a link of one really is, by its path. */
  readonly programs: Map<string, string>;
  /** Links that the source itself makes, by their paths. */
  readonly links: Map<string, Link>;
  /** What `trap` has set to run at the end. */
  readonly traps: (() => void)[];
  /** Functions defined and not called yet. */
  readonly uncalled: Map<FunctionDefinition, Frame>;
  /** What reads from the path of a process substitution. */
  readonly readers: Map<string, (stdin: string) => void>;
  /** How often a function has called itself. */
  readonly recursions: Map<string, number>;
  /** Volumes that the source itself makes. */
  readonly created: Set<string>;
  /** Something in the source lets SSH through the firewall, so closing the rest is not a lock-out. */
  letsSshThrough: boolean;
  /** A checksum or a signature was checked, so what is run after it is what somebody meant. */
  isVerified: boolean;
  /** What variables have held, where it could be code. */
  readonly texts: Set<string>;
  /** Links that were taken down, until something takes them up again. */
  readonly down: Map<string, Finding[]>;
  /** The rules of chains that the source makes, by their names. */
  readonly chains: Map<string, string[]>;
  readonly firewall: Finding[];
  firewallDenies: boolean;
  readonly placesOf: PlacesOf | undefined;
  /** Runs a command; set by the interpreter. Returns what it prints, as far as known. */
  readonly run: (command: Command, frame: Frame) => string;
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
    inputs: new Map(scope.inputs),
    outputs: new Map(scope.outputs),
    directories: [...scope.directories],
  };
}

/** Assigns; inside a branch the old values remain possible. */
export function assign(scope: Scope, name: string, values: readonly string[], isList = false): void {
  const old = scope.branches > 0 ? (scope.variables.get(name)?.values ?? []) : [];
  const all = [...new Set([...values, ...old])].slice(0, limits.alternatives);
  scope.variables.set(name, { values: all.map((value) => value.slice(0, limits.valueLength)), isList });
}

/** A finding: one rule that a command or a resource breaks, with its place and the reason in words. */
import { type RuleId, rules, type Verdict } from './rules.ts';

/** Line and column from 1, offset in UTF-16 units from 0: in the source that was given, whatever was nested in it. */
export type Position = { readonly offset: number; readonly line: number; readonly column: number };

export type Finding = {
  readonly rule: RuleId;
  readonly verdict: 'dangerous' | 'unknown';
  readonly position: Position;
  readonly reason: string;
  /** The command or value it is about, shortened. */
  readonly excerpt: string;
};

export type Judgement = { readonly verdict: Verdict; readonly findings: readonly Finding[] };

const maxExcerptLength = 160;

/** The verdict of some findings: the worst of theirs, and `allowed` when there are none. */
export function judgementOf(findings: readonly Finding[]): Judgement {
  const isDangerous = findings.some(({ verdict }) => verdict === 'dangerous');
  return { verdict: isDangerous ? 'dangerous' : findings.length > 0 ? 'unknown' : 'allowed', findings };
}

export function positionIn(source: string, offset: number): Position {
  const at = Math.max(0, Math.min(offset, source.length));
  const before = source.slice(0, at);
  return { offset: at, line: before.split('\n').length, column: at - before.lastIndexOf('\n') };
}

/** Says the rule's reason, and what it is about. */
export function describe(rule: RuleId, detail: string): string {
  return detail === '' ? rules[rule].reason : `${rules[rule].reason}: ${detail}`;
}

/** On one line, without control characters. */
export function excerptOf(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f\s]+/g, ' ').trim();
  return line.length <= maxExcerptLength ? line : `${line.slice(0, maxExcerptLength)}…`;
}

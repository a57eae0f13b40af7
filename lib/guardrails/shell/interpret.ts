/**
 * The interpreter: walks the tree of a source in the order in which a shell would run it, keeps track of variables,
 * functions, files and pipes as far as they are known, and has every command judged with what it would be given.
 * Nothing is run. Each function returns what would be printed.
 */
import { assignVariable, declare } from './assignments.ts';
import { runCommand } from './command.ts';
import { evaluateText } from './evaluation.ts';
import { evaluate, truthOf } from './expressions.ts';
import { defineFunction } from './functions.ts';
import { type Parsed, parse, parseAny } from './grammar.ts';
import { missing, missingIf, where } from './guards.ts';
import { runArithmeticFor, runFor, runWhile } from './loops.ts';
import { hasHole, hole, patternOf, plain, taints } from './marks.ts';
import { redirected } from './redirect.ts';
import { type Frame, forkScope, limits, report, step } from './scan.ts';
import { combinations, inBranch, runItems } from './sequence.ts';
import type { Command, Simple, Word } from './syntax.ts';
import { rememberLast } from './variables.ts';
import { expandFields, expandText } from './word.ts';

/** Runs one command, whatever it is. */
export function runNode(command: Command, frame: Frame): string {
  if (!step(frame.scan)) return hole;
  switch (command.type) {
    case 'simple':
      return command.redirects.length === 0 ? runSimple(command, frame) : runRedirected(command, frame);
    case 'redirected':
      return runRedirected(command, frame);
    case 'pipeline':
      return runPipeline(command.stages, frame);
    case 'and-or':
      return runAndOr(command, frame);
    case 'group':
      return runItems(command.body, frame);
    case 'subshell':
      return runItems(command.body, { ...frame, scope: forkScope(frame.scope) });
    case 'function':
      return defineFunction(command, frame);
    case 'for':
      return runFor(command, frame);
    case 'while':
      return runWhile(command, frame);
    case 'arithmetic for':
      return runArithmeticFor(command, frame);
    case 'if':
      return inBranch(frame, () => runIf(command, frame));
    case 'case':
      return inBranch(frame, () => runCase(command, frame));
    case 'coproc':
      return runNode(command.body, { ...frame, scope: forkScope(frame.scope), stdin: hole });
    case 'arithmetic':
      evaluate(command.expression, frame);
      return '';
    case 'test':
      runTest(command.words, frame);
      return '';
    default:
      return command satisfies never;
  }
}

/** Runs code in a string: parses it and walks its tree in the frame's own scope. */
export function runText(text: string, frame: Frame): string {
  const { scan } = frame;
  if (frame.depth >= limits.depth || text.length > limits.sourceLength || !step(scan)) {
    report(frame, 'G0605', { excerpt: text.slice(0, 200) });
    return hole;
  }
  const parsed = parseAny(text);
  if (parsed === undefined) {
    report(frame, 'G0605', { excerpt: text.slice(0, 200) });
    return hole;
  }
  scan.steps -= Math.trunc(text.length / 16);
  const inner: Frame = { ...frame, source: { text, substitutions: parsed.substitutions }, depth: frame.depth + 1 };
  const { errorAt } = parsed;
  if (errorAt !== undefined && !isAfterExit(parsed, text, errorAt))
    report(inner, 'G0505', { offset: errorAt, excerpt: text.slice(errorAt, errorAt + 120) });
  const output = runItems(parsed.commands, inner);
  if (parsed.isAmbiguous && parsed.errorAt === undefined) runOtherwise(text, inner);
  return output;
}

/** What `dash` makes of text that means something else to Bash. Its own findings alone count, not what it can't see. */
function runOtherwise(text: string, frame: Frame): void {
  const parsed = parse(text, 'posix');
  if (parsed === undefined || parsed.errorAt !== undefined) return;
  const { scan } = frame;
  const before = scan.findings.splice(0);
  const scope = forkScope(frame.scope);
  runItems(parsed.commands, { ...frame, scope, source: { text, substitutions: parsed.substitutions } });
  const found = scan.findings.splice(0).filter(({ verdict }) => verdict === 'dangerous');
  const isNew = (one: (typeof found)[number]) =>
    !before.some(({ rule, position }) => rule === one.rule && position.offset === one.position.offset);
  scan.findings.push(...before, ...found.filter(isNew));
}

/** A shell reads no further than `exit`: behind it there may be anything, such as an archive. */
function isAfterExit({ commands }: Parsed, text: string, errorAt: number): boolean {
  return commands.some(({ command }) => {
    const name = command.type === 'simple' ? command.words[0] : undefined;
    return name !== undefined && command.end <= errorAt && text.slice(name.start, name.end) === 'exit';
  });
}

/** The index of an array and the sides of a comparison of numbers are arithmetic, commands in them included. */
function runTest(words: readonly Word[], frame: Frame): void {
  const texts = words.map(({ start, end }) => expandText(frame, start, end)[0] ?? '');
  texts.forEach((text, i) => {
    const isNumber = [texts[i - 1], texts[i + 1]].some((one) => /^-(?:eq|ne|lt|le|gt|ge)$/.test(plain(one ?? '')));
    if (isNumber || plain(texts[i - 1] ?? '') === '-v') evaluateText(text, frame);
  });
}

function runIf({ branches, otherwise }: Extract<Command, { type: 'if' }>, frame: Frame): string {
  // Within itself a function goes where its arguments lead, or it would never end.
  const isRecursive = new Set(frame.calls).size < frame.calls.length;
  const known = isRecursive ? branches.find(({ condition }) => truthOf(condition, frame) !== false) : undefined;
  if (known !== undefined && truthOf(known.condition, frame) === true) return runItems(known.body, frame);
  if (isRecursive && known === undefined) return runItems(otherwise ?? [], frame);
  const outputs = branches.map(({ condition, body }) => {
    const printed = runItems(condition, frame);
    return printed + runItems(body, where(frame, missingIf(condition, frame)));
  });
  return outputs.join('') + runItems(otherwise ?? [], frame);
}

function runCase({ subject, items }: Extract<Command, { type: 'case' }>, frame: Frame): string {
  const subjects = expandText(frame, subject.start, subject.end);
  const value = subjects.length === 1 && !hasHole(subjects[0] ?? hole) ? plain(subjects[0] ?? '') : undefined;
  let all = '';
  let chosen: string | undefined;
  for (const { patterns, body } of items) {
    const fits = patterns.some(({ start, end }) => {
      const [fields] = expandFields(frame, start, end);
      return value !== undefined && value !== '' && patternOf((fields ?? []).join('')).test(value);
    });
    const output = runItems(body, frame);
    if (fits) chosen ??= output;
    all += output;
  }
  // All of it is judged, but only one of them prints.
  return chosen ?? all;
}

function runAndOr({ first, rest }: Extract<Command, { type: 'and-or' }>, frame: Frame): string {
  let output = runNode(first, frame);
  let inner = frame;
  let before = first;
  for (const { operator, command } of rest) {
    inner = where(inner, missing(before, frame, operator === '||'));
    const own = inner;
    // What is behind an assignment happens; behind all else it may.
    const isSure = operator === '&&' && isAssignment(before);
    output += isSure ? runNode(command, own) : inBranch(own, () => runNode(command, own));
    before = command;
  }
  return output;
}

/** It succeeds, whatever else does. */
function isAssignment(command: Command): boolean {
  return command.type === 'simple' && command.words.length === 0;
}

function runPipeline(stages: readonly Command[], frame: Frame): string {
  let stdin = frame.stdin;
  let output = '';
  stages.forEach((stage, i) => {
    const next = stages[i + 1];
    if (next !== undefined && isSpokenBy(textOf(stage, frame), textOf(next, frame))) {
      report(frame, 'G0503', { offset: stage.start, excerpt: textOf(stage, frame) });
    }
    output = runNode(stage, { ...frame, stdin, scope: forkScope(frame.scope), forks: frame.forks + 1 });
    stdin = output;
  });
  return output;
}

/** A shell whose output goes to the network. */
function isSpokenBy(shell: string, next: string): boolean {
  return (
    /^\s*(?:\S*\/)?(?:ba|da|z|k)?sh\b(?!\s+-c)/.test(shell.replace(/^[\s\S]*\|/, '')) &&
    /^\s*(?:\S*\/)?(?:nc|ncat|netcat|socat|telnet|openssl\s+s_client)\b/.test(next)
  );
}

function textOf({ start, end }: { readonly start: number; readonly end: number }, frame: Frame): string {
  return frame.source.text.slice(start, end);
}

function runRedirected(command: Extract<Command, { type: 'simple' | 'redirected' }>, frame: Frame): string {
  const isSimple = command.type === 'simple';
  const body = isSimple ? { ...command, redirects: [] } : command.body;
  const isEmpty = isSimple && command.words.length === 0 && command.assignments.length === 0;
  return redirected(command, isEmpty ? undefined : body, frame, (inner) => runNode(body, inner));
}

function runSimple(command: Simple, frame: Frame): string {
  const { assignments, words, declared } = command;
  const scope = words.length === 0 ? frame.scope : forkScope(frame.scope);
  for (const one of assignments) assignVariable(one, { ...frame, scope });
  if (words.length === 0) return '';
  const environment = new Map(
    assignments.map(({ name }): [string, string] => [name, scope.variables.get(name)?.values[0] ?? hole]),
  );
  if (declared.length > 0) declare(command, frame);
  const expanded = words.map(({ start, end }) => expandFields(frame, start, end));
  const excerpt = textOf(command, frame);
  let output: string | undefined;
  for (const argv of combinations(expanded)) {
    if (declared.length > 0 && argv.length === 1) return '';
    const printed = runCommand({ argv, frame, offset: command.start, excerpt, environment });
    rememberLast(frame, argv);
    output = output === undefined || output === printed ? printed : hole + taints(output + printed);
  }
  return output ?? '';
}

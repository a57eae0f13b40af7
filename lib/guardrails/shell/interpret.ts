/**
 * The interpreter: walks the tree of a source in the order in which a shell would run it, keeps track of variables,
 * functions, files and pipes as far as they are known, and has every command judged with what it would be given.
 * Nothing is run. Each function returns what would be printed.
 */

import { assignmentOf, assignVariable, declare, unsetVariables } from './assignments.ts';
import { runCommand } from './command.ts';
import type { Syntax } from './grammar.ts';
import { hole, plain, taints } from './marks.ts';
import { redirected } from './redirect.ts';
import { parseRepaired } from './repairs.ts';
import { type Frame, forkScope, limits, report, type Scan, type Source, step } from './scan.ts';
import { expandFields, expandText } from './word.ts';

/** Runs one node, whatever it is. */
export function runNode(node: Syntax, frame: Frame): string {
  if (!step(frame.scan)) return hole;
  switch (node.type) {
    case 'comment':
    case 'heredoc_body':
      return '';
    case 'command':
      return runSimple(node, frame);
    case 'redirected_statement':
      return runRedirected(node, frame);
    case 'pipeline':
      return runPipeline(node.children, frame);
    case 'list':
      return runList(node, frame);
    case 'subshell':
    case 'command_substitution':
    case 'process_substitution':
      return runChildren(node, { ...frame, scope: forkScope(frame.scope) });
    case 'variable_assignment':
      assignVariable(node, frame);
      return '';
    case 'declaration_command':
      return declare(node, frame);
    case 'unset_command':
      return unsetVariables(node, frame);
    case 'function_definition':
      return defineFunction(node, frame);
    case 'for_statement':
      return runFor(node, frame);
    case 'while_statement':
    case 'c_style_for_statement':
      return runLoop(node, frame);
    case 'if_statement':
    case 'case_statement':
      return inBranch(frame, () => runChildren(node, frame));
    case 'arithmetic_expansion':
    case 'string':
    case 'word':
    case 'concatenation':
    case 'simple_expansion':
    case 'expansion':
      expandText(frame, node.start, node.end);
      return '';
    default:
      return runChildren(node, frame);
  }
}

/** Runs code in a string: parses it and walks its tree in the frame's own scope. */
export function runText(given: string, frame: Frame): string {
  const { scan } = frame;
  if (frame.depth >= limits.depth || given.length > limits.sourceLength || !step(scan)) {
    report(frame, 'G0605', { excerpt: given.slice(0, 200) });
    return hole;
  }
  const { text, parsed } = parseRepaired(scan.grammar, given);
  if (parsed === undefined) {
    report(frame, 'G0605', { excerpt: text.slice(0, 200) });
    return hole;
  }
  const source: Source = { text, substitutions: substitutionsOf(parsed.root) };
  const inner: Frame = { ...frame, source, depth: frame.depth + 1 };
  if (parsed.errorAt !== undefined) {
    const verdict = text.includes(hole) ? 'unknown' : 'dangerous';
    report(inner, 'G0505', {
      offset: parsed.errorAt,
      excerpt: text.slice(parsed.errorAt, parsed.errorAt + 120),
      verdict,
    });
  }
  return runNode(parsed.root, inner);
}

function substitutionsOf(root: Syntax): Map<number, Syntax> {
  const found = new Map<number, Syntax>();
  const open = [root];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (/^(?:command|process)_substitution$|^expansion$|^arithmetic_expansion$/.test(node.type))
      found.set(node.start, node);
    open.push(...node.children);
  }
  return found;
}

/** One after the other; what they print, joined. */
function runChildren(node: Syntax, frame: Frame): string {
  let output = '';
  const { children } = node;
  children.forEach((child, index) => {
    // `a & b`: the tree has the ampersand as a child of its own.
    if (child.type === 'case_item') output += inBranch(frame, () => runItem(child, frame));
    else if (child.field !== 'variable' && !isPunctuation(child)) output += runNode(child, frame);
    void index;
  });
  return output.length > limits.valueLength ? output.slice(0, limits.valueLength) + hole : output;
}

/** The patterns of a case item are no commands, but may hold some. */
function runItem(node: Syntax, frame: Frame): string {
  let output = '';
  for (const child of node.children) {
    if (child.field === 'value') expandText(frame, child.start, child.end);
    else if (!isPunctuation(child)) output += runNode(child, frame);
  }
  return output;
}

function isPunctuation({ type }: Syntax): boolean {
  return (
    /^[^a-z]*$/.test(type) ||
    /^(?:if|then|fi|else|elif|do|done|while|until|for|in|case|esac|select|function|heredoc_start|heredoc_end|time)$/.test(
      type,
    )
  );
}

function inBranch(frame: Frame, work: () => string): string {
  frame.scope.branches += 1;
  try {
    return work();
  } finally {
    frame.scope.branches -= 1;
  }
}

function runList(node: Syntax, frame: Frame): string {
  const [left, , right] = node.children;
  const first = left === undefined ? '' : runNode(left, frame);
  return right === undefined
    ? first
    : first + inBranchIf(node.children[1]?.type === '||', frame, () => runNode(right, frame));
}

function inBranchIf(condition: boolean, frame: Frame, work: () => string): string {
  return condition ? inBranch(frame, work) : work();
}

function runPipeline(children: readonly Syntax[], frame: Frame): string {
  let stdin = frame.stdin;
  let output = '';
  const stages = children.filter((child) => !isPunctuation(child));
  for (const [i, child] of stages.entries()) {
    const next = stages[i + 1];
    if (next !== undefined && isSpokenBy(textOf(child, frame), textOf(next, frame))) {
      report(frame, 'G0503', { offset: child.start, excerpt: textOf(child, frame) });
    }
    output = runNode(child, { ...frame, stdin, scope: forkScope(frame.scope) });
    stdin = output;
  }
  return output;
}

/** A shell whose output goes to the network. */
function isSpokenBy(shell: string, next: string): boolean {
  return (
    /^\s*(?:\S*\/)?(?:ba|da|z|k)?sh\b(?!\s+-c)/.test(shell.replace(/^[\s\S]*\|/, '')) &&
    /^\s*(?:\S*\/)?(?:nc|ncat|netcat|socat|telnet|openssl\s+s_client)\b/.test(next)
  );
}

function textOf({ start, end }: Syntax, frame: Frame): string {
  return frame.source.text.slice(start, end);
}

function runRedirected(node: Syntax, frame: Frame): string {
  return redirected(withLostWord(node, frame), frame, {
    run: (body, inner) => (body === undefined ? '' : runNode(body, inner)),
    pipe: (nodes, inner) => runPipeline(nodes, inner),
  });
}

/** The grammar loses a lone dash before a here-document (`make -f - <<E`): it is put back. */
function withLostWord(node: Syntax, frame: Frame): Syntax {
  const [body, redirect] = node.children;
  if (body?.type !== 'command' || redirect === undefined) return node;
  const gap = frame.source.text.slice(body.end, redirect.start);
  if (!/^\s+\S+\s*$/.test(gap)) return node;
  const start = body.end + gap.length - gap.trimStart().length;
  const word: Syntax = { type: 'word', field: 'argument', start, end: start + gap.trim().length, children: [] };
  return { ...node, children: [{ ...body, children: [...body.children, word] }, ...node.children.slice(1)] };
}

function runSimple(node: Syntax, frame: Frame): string {
  const redirects = node.children.filter(({ type }) => type.endsWith('_redirect'));
  if (redirects.length > 0) {
    const body = { ...node, children: node.children.filter((child) => !redirects.includes(child)) };
    const whole = { ...node, type: 'redirected_statement', children: [{ ...body, field: 'body' }, ...redirects] };
    return runRedirected(whole, frame);
  }
  const words = node.children.filter(
    ({ type, field }) => type !== 'variable_assignment' && (field === 'name' || field === 'argument'),
  );
  const assignments = node.children.filter(({ type }) => type === 'variable_assignment');
  const scope = words.length === 0 ? frame.scope : forkScope(frame.scope);
  for (const one of assignments) assignVariable(one, { ...frame, scope });
  if (words.length === 0) return '';
  const environment = new Map(assignments.map((one) => assignmentOf(one, { ...frame, scope })));
  const expanded = joined(words).map(({ start, end }) => expandFields(frame, start, end));
  const excerpt = frame.source.text.slice(node.start, node.end);
  let output: string | undefined;
  for (const argv of combinations(expanded)) {
    const printed = runCommand({ argv, frame, offset: node.start, excerpt, environment });
    output = output === undefined || output === printed ? printed : hole + taints(output + printed);
  }
  return output ?? '';
}

/** The grammar takes some words apart (`a$b$c/d`): without a blank between, they are one. */
function joined(words: readonly Syntax[]): { readonly start: number; readonly end: number }[] {
  const whole: { start: number; end: number }[] = [];
  for (const { start, end } of words) {
    const last = whole.at(-1);
    if (last !== undefined && last.end === start) last.end = end;
    else whole.push({ start, end });
  }
  return whole;
}

/** The argument lists that the alternatives of the words make: all of them while they are few. */
function combinations(words: readonly string[][][]): string[][] {
  const product = words.reduce((count, { length }) => Math.min(count * Math.max(length, 1), 1000), 1);
  if (product > limits.alternatives) {
    const most = Math.max(...words.map(({ length }) => length));
    return Array.from({ length: most }, (_, i) =>
      words.flatMap((alternatives) => alternatives[i % Math.max(alternatives.length, 1)] ?? []),
    );
  }
  return words.reduce<string[][]>(
    (lists, alternatives) => lists.flatMap((list) => alternatives.map((fields) => [...list, ...fields])),
    [[]],
  );
}

function defineFunction(node: Syntax, frame: Frame): string {
  const nameNode = node.children.find(({ field }) => field === 'name');
  const body = node.children.find(({ field }) => field === 'body');
  if (nameNode === undefined || body === undefined) return '';
  const { text } = frame.source;
  const name = text.slice(nameNode.start, nameNode.end);
  const definition = { name, body, source: frame.source };
  if (startsItselfWithoutEnd(text.slice(body.start, body.end), name)) {
    report(frame, 'G0302', { offset: node.start, excerpt: text.slice(node.start, node.end) });
    return '';
  }
  frame.scope.functions.set(name, definition);
  frame.scan.uncalled.set(definition, frame);
  return '';
}

/** A function that starts itself more than once, or in the background or a pipe. */
function startsItselfWithoutEnd(body: string, name: string): boolean {
  const call = `(?<![\\w./$-])${name.replace(/[^\w]/g, '\\$&')}(?![\\w.=-])`;
  return new RegExp(`${call}\\s*\\|&?\\s*${call}|${call}\\s*&(?!&)[\\s\\S]*${call}|^\\{\\s*${call}\\s*&(?!&)`).test(
    body,
  );
}

function runFor(node: Syntax, frame: Frame): string {
  const { text } = frame.source;
  const variable = node.children.find(({ field }) => field === 'variable');
  const body = node.children.find(({ field }) => field === 'body');
  const words = node.children.filter(({ field }) => field === 'value');
  if (variable === undefined || body === undefined) return runChildren(node, frame);
  const name = text.slice(variable.start, variable.end);
  const lists =
    words.length === 0
      ? [(frame.scope.positional ?? [hole]).slice()]
      : combinations(words.map(({ start, end }) => expandFields(frame, start, end)));
  let output = '';
  for (const items of lists) {
    if (items.length <= limits.loopRounds) {
      for (const item of items) {
        frame.scope.variables.set(name, { values: [item], isList: false });
        output += runNode(body, frame);
      }
    } else {
      frame.scope.variables.set(name, { values: items.slice(0, limits.loopRounds), isList: false });
      output += inBranch(frame, () => runNode(body, frame));
    }
  }
  return output;
}

function runLoop(node: Syntax, frame: Frame): string {
  const text = frame.source.text.slice(node.start, node.end);
  const isEndless = /^(?:while\s+(?:true|:|\[\s*1\s*\]|\(\(\s*1\s*\)\))|until\s+false|for\s*\(\(\s*;;\s*\)\))/.test(
    text,
  );
  if (
    isEndless &&
    /[^&>|]&\s*(?:\n|;|done\b)/.test(text) &&
    !/\b(?:sleep|wait|read|inotifywait|break|timeout|exit)\b/.test(text)
  )
    report(frame, 'G0302', { offset: node.start, excerpt: text });
  return inBranch(frame, () => {
    const body = node.children.find(({ field }) => field === 'body');
    const lines = plain(frame.stdin)
      .split('\n')
      .filter((line) => line !== '');
    const rounds = /\bread\b/.test(frame.source.text.slice(node.start, body?.start ?? node.end))
      ? lines.slice(0, limits.loopRounds)
      : [frame.stdin];
    return (rounds.length === 0 ? [hole] : rounds).map((stdin) => runChildren(node, { ...frame, stdin })).join('');
  });
}

/** At the end of a source: the bodies of functions that nothing called, with arguments that nobody knows. */
export function runUncalled(scan: Scan): void {
  for (const [{ name, body, source }, frame] of [...scan.uncalled]) {
    scan.uncalled.clear();
    const scope = { ...forkScope(frame.scope), positional: undefined };
    runNode(body, { ...frame, source, scope, stdin: hole, calls: [...frame.calls, name] });
  }
}

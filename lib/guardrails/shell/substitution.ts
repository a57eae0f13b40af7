/** Substitutions: where a `$`, backtick or process substitution ends, and what it prints as far as known. */
import { balancedEnd } from './brackets.ts';
import { evaluateText } from './evaluation.ts';
import { hole, split } from './marks.ts';
import { type Frame, limits } from './scan.ts';
import { runItems } from './sequence.ts';

/** One past the substitution that starts at `at`: by the tree where that knows it, else by its brackets. */
export function substitutionEnd(frame: Frame, at: number, to: number): number {
  const { text, substitutions } = frame.source;
  if (text[at] === '`') {
    let end = at + 1;
    while (end < to && text[end] !== '`') end += text[end] === '\\' ? 2 : 1;
    return Math.min(end + 1, to);
  }
  const next = text[at + 1] ?? '';
  if (next === '(' || next === '{' || next === '[') {
    const node = substitutions.get(at);
    return node !== undefined && node.end <= to ? node.end : balancedEnd(text, at + 1, to);
  }
  const name = /^[A-Za-z_]\w*/.exec(text.slice(at + 1, Math.min(to, at + 256)))?.[0];
  return at + 1 + (name?.length ?? 1);
}

/** What a command, process or arithmetic substitution gives. The commands in it are judged on the way. */
export function printed(
  frame: Frame,
  at: number,
  end: number,
  expand: (from: number, to: number) => string[],
  isQuoted: boolean,
): string[] {
  const { text, substitutions } = frame.source;
  const from = isArithmetic(frame, at, end);
  if (from !== undefined) {
    const to = end - (from - at - 1);
    return expand(from, to).map((expression) => `${evaluateText(expression, frame) ?? hole}`);
  }
  if (text[at] === '`') {
    const inner = text.slice(at + 1, end - 1).replace(isQuoted ? /\\([\\`$"])/g : /\\([\\`$])/g, '$1');
    return [trimmed(frame.scan.runText(inner, nested(frame, at)))];
  }
  const found = substitutions.get(at);
  const output =
    text[at] === '>'
      ? ''
      : found === undefined
        ? frame.scan.runText(text.slice(at + 2, end - 1), nested(frame, at))
        : runItems(found.body, frame);
  if (text[at] === '$') return [trimmed(output)];
  const path = `/dev/fd/${frame.scan.files.size + 64}`;
  frame.scan.files.set(path, text[at] === '>' ? '' : output);
  // What is written to it comes in there.
  if (text[at] === '>' && found !== undefined)
    frame.scan.readers.set(path, (stdin) => void runItems(found.body, { ...frame, stdin }));
  return [path];
}

/** Where the expression begins; undefined when it is no arithmetic. */
function isArithmetic({ source }: Frame, at: number, end: number): number | undefined {
  const { text, substitutions } = source;
  const found = substitutions.get(at);
  if (text.startsWith('$[', at)) return at + 2;
  const isBoth = text.startsWith('$((', at) && text.slice(at, end).endsWith('))');
  return isBoth && (found === undefined || found.type === 'arithmetic') ? at + 3 : undefined;
}

function nested(frame: Frame, at: number): Frame {
  return frame.at === undefined ? { ...frame, at: positionOf(frame, at) } : frame;
}

function positionOf(frame: Frame, offset: number) {
  const before = frame.source.text.slice(0, offset);
  return { offset, line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

function trimmed(output: string): string {
  return output.replaceAll(split, ' ').replace(/\n+$/, '').slice(0, limits.valueLength);
}

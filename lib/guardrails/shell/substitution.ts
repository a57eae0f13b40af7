/** Substitutions: where a `$`, backtick or process substitution ends, and what it prints as far as known. */
import { balancedEnd } from './brackets.ts';
import { hole, plain, split } from './marks.ts';
import { type Frame, limits } from './scan.ts';

/** One past the substitution that starts at `at`: by the tree where that knows it, else by its brackets. */
export function substitutionEnd(frame: Frame, at: number, to: number): number {
  const { text, substitutions } = frame.source;
  if (text[at] === '`') {
    let end = at + 1;
    while (end < to && text[end] !== '`') end += text[end] === '\\' ? 2 : 1;
    return Math.min(end + 1, to);
  }
  const next = text[at + 1] ?? '';
  if (next === '(' || next === '{') {
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
): string[] {
  const { text, substitutions } = frame.source;
  if (text.startsWith('$((', at) && text.slice(at, end).endsWith('))')) {
    return expand(at + 3, end - 2).map((expression) => `${arithmetic(plain(expression)) ?? hole}`);
  }
  if (text[at] === '`') {
    const inner = text.slice(at + 1, end - 1).replace(/\\([\\`$])/g, '$1');
    return [trimmed(frame.scan.runText(inner, nested(frame, at)))];
  }
  const node = substitutions.get(at);
  const output =
    node === undefined
      ? frame.scan.runText(text.slice(at + 2, end - 1), nested(frame, at))
      : frame.scan.run(node, frame);
  if (text[at] === '$') return [trimmed(output)];
  const path = `/dev/fd/${frame.scan.files.size + 64}`;
  frame.scan.files.set(path, output);
  return [path];
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

/** Whole numbers with `+ - * / %`, brackets and bases; undefined for all else. */
export function arithmetic(expression: string): number | undefined {
  const tokens = expression.replace(/\s/g, '').match(/\d+#[0-9a-zA-Z]+|0[xX][0-9a-fA-F]+|\d+|[-+*/%()]|./g) ?? [];
  let at = 0;
  const atom = (): number | undefined => {
    const token = tokens[at];
    at += 1;
    if (token === undefined || at > 500) return undefined;
    if (token === '-') return negate(atom());
    if (token === '(') {
      const value = sum();
      at += 1;
      return value;
    }
    const based = /^(\d+)#(\w+)$/.exec(token);
    if (based !== null) return Number.parseInt(based[2] ?? '', Math.min(36, Math.max(2, Number(based[1]))));
    if (/^0[0-7]+$/.test(token)) return Number.parseInt(token, 8);
    return /^\d|^0[xX]/.test(token) ? Number(token) : undefined;
  };
  const chain = (operators: string, operand: () => number | undefined): number | undefined => {
    let value = operand();
    while (value !== undefined && at < tokens.length && operators.includes(tokens[at] ?? ' ')) {
      const operator = tokens[at];
      at += 1;
      const right = operand();
      if (right === undefined) return undefined;
      value = apply(operator ?? '', value, right);
    }
    return value;
  };
  const product = () => chain('*/%', atom);
  const sum = (): number | undefined => chain('+-', product);
  const value = sum();
  return at >= tokens.length && Number.isSafeInteger(value) ? value : undefined;
}

function negate(value: number | undefined): number | undefined {
  return value === undefined ? undefined : -value;
}

function apply(operator: string, left: number, right: number): number {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return Math.trunc(left / right);
    default:
      return left % right;
  }
}

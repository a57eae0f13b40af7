/** Expressions: arithmetic in the source, and conditions as far as their truth is known. */
import { evaluateText } from './evaluation.ts';
import { hasHole, plain, unset } from './marks.ts';
import type { Frame } from './scan.ts';
import type { Command, Item, Span } from './syntax.ts';
import { expandFields, expandQuoted } from './word.ts';

/** The value of an expression in the source; undefined when it isn't known. Commands in it are judged. */
export function evaluate({ start, end }: Span, frame: Frame): number | undefined {
  const values = expandQuoted(frame, start, end);
  const results = values.map((text) => evaluateText(text, frame));
  return results.length === 1 ? results[0] : undefined;
}

/** Whether the last of the commands succeeds; undefined when nobody knows. Runs nothing. */
export function truthOf(items: readonly Item[], frame: Frame): boolean | undefined {
  const last = items.at(-1);
  return items.length === 1 && last !== undefined ? truth(last.command, frame) : undefined;
}

function truth(command: Command, frame: Frame): boolean | undefined {
  if (command.type === 'arithmetic') {
    const value = evaluate(command.expression, frame);
    return value === undefined ? undefined : value !== 0;
  }
  if (command.type === 'test') return truthOfTest(wordsOf(command.words, frame), frame);
  if (command.type !== 'simple' || command.assignments.length > 0) return undefined;
  const words = wordsOf(command.words, frame);
  const [name = '', ...args] = words ?? [];
  if (/^(?:true|:)$/.test(name)) return true;
  if (name === 'false') return false;
  if (name === 'test') return truthOfTest(args, frame);
  return name === '[' && args.at(-1) === ']' ? truthOfTest(args.slice(0, -1), frame) : undefined;
}

/** The words as they are when each has one value that is known. */
function wordsOf(words: readonly Span[], frame: Frame): string[] | undefined {
  const all: string[] = [];
  for (const { start, end } of words) {
    const alternatives = expandFields(frame, start, end);
    const fields = alternatives.length === 1 ? alternatives[0] : undefined;
    if (fields === undefined || fields.some((field) => hasHole(field) || field.includes(unset))) return undefined;
    all.push(...(fields.length === 0 ? [''] : fields.map(plain)));
  }
  return all;
}

function truthOfTest(words: readonly string[] | undefined, frame: Frame): boolean | undefined {
  if (words === undefined) return undefined;
  const [a = '', operator = '', b = ''] = words;
  if (words.length === 1) return a !== '';
  if (words.length === 2 && a === '!') return operator === '';
  if (words.length === 2 && a === '-n') return operator !== '';
  if (words.length === 2 && a === '-z') return operator === '';
  if (words.length !== 3) return undefined;
  const numbers = /^-(?:eq|ne|lt|le|gt|ge)$/.test(operator) ? [evaluateText(a, frame), evaluateText(b, frame)] : [];
  const [left, right] = numbers;
  if (left !== undefined && right !== undefined) return compare(operator, left, right);
  if (/[*?[]/.test(b)) return undefined;
  if (operator === '=' || operator === '==') return a === b;
  return operator === '!=' ? a !== b : undefined;
}

function compare(operator: string, left: number, right: number): boolean | undefined {
  switch (operator) {
    case '-eq':
      return left === right;
    case '-ne':
      return left !== right;
    case '-lt':
      return left < right;
    case '-le':
      return left <= right;
    case '-gt':
      return left > right;
    case '-ge':
      return left >= right;
    default:
      return undefined;
  }
}

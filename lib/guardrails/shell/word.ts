/**
 * Words: what the text of a word becomes when the shell expands it. Read from the source text itself and not from the
 * nodes within the word, because that text is what the shell sees; only where a `$` construct ends is taken from the tree.
 *
 * An expansion is a list of alternatives, since a variable may have several possible values. Each is one string with
 * marks (`marks.ts`), in which `split` separates fields.
 */

import { balancedEnd, skipQuoted } from './brackets.ts';
import { decodeEscapes } from './escapes.ts';
import { anyOne, fieldsOf, hole, plain, quoted, setEnd, setStart, split, star, unset, withGlobs } from './marks.ts';
import { expandParameter } from './parameter.ts';
import { type Frame, forkScope, limits, step } from './scan.ts';
import { printed, substitutionEnd } from './substitution.ts';

/** A stretch of the source, or text that brace expansion made. */
type Piece = { readonly from: number; readonly to: number } | { readonly text: string };

/** The fields that a word may become: one list for each alternative. */
export function expandFields(frame: Frame, from: number, to: number): string[][] {
  const results = braces(frame.source.text, from, to).map((pieces) => expandPieces(frame, pieces, 'fields'));
  const first = results[0] ?? [''];
  if (results.length <= 1) return first.map(fieldsOf);
  const longest = Math.max(...results.map((one) => one.length));
  return Array.from({ length: longest }, (_, i) =>
    results.flatMap((alternatives) => fieldsOf(alternatives[Math.min(i, alternatives.length - 1)] ?? '')),
  );
}

/** The word as one string, as in an assignment: neither split nor filled in by the file system. */
export function expandText(frame: Frame, from: number, to: number): string[] {
  return expandPieces(frame, [{ from, to }], 'text').map((value) => value.replaceAll(split, ' '));
}

/** The inside of double quotes or of a here-document. */
export function expandQuoted(frame: Frame, from: number, to: number): string[] {
  const alternatives = new Alternatives();
  doubleQuoted(frame, from, to, alternatives, false);
  return alternatives.values;
}

const longWord = 1000;

/** Invariant: never empty, and never more than `limits.alternatives` values. */
class Alternatives {
  values: string[] = [''];

  add(texts: readonly string[]): void {
    const [only] = texts;
    // What is unknown twice is no more unknown.
    if (
      texts.length <= 2 &&
      texts.every((text) => text === unset || text === hole) &&
      this.values.every((value) => value.endsWith(texts.at(-1) ?? '') || value.endsWith(unset))
    )
      return;
    if (only !== undefined && texts.length === 1) this.values = this.values.map((value) => clip(value + only));
    else if (this.values.length * texts.length <= limits.alternatives) {
      this.values = this.values.flatMap((value) => texts.map((text) => clip(value + text)));
    } else {
      // Too many to multiply: each text once, with the values in turn.
      const count = Math.max(this.values.length, texts.length);
      const pairs = Array.from({ length: Math.min(count, limits.alternatives) }, (_, i) =>
        clip(`${this.values[i % this.values.length]}${texts[i % texts.length]}`),
      );
      this.values = [...new Set(pairs)];
    }
    // Of a long word with many gaps the one with the most gaps says enough: each of them may be empty.
    if (this.values.length > 2 && (this.values[0]?.length ?? 0) > longWord) this.values = this.values.slice(-2);
  }
}

function clip(value: string): string {
  return value.length <= limits.valueLength ? value : `${value.slice(0, limits.valueLength)}${hole}`;
}

function expandPieces(frame: Frame, pieces: readonly Piece[], mode: 'fields' | 'text'): string[] {
  const alternatives = new Alternatives();
  pieces.forEach((piece, index) => {
    if ('text' in piece) alternatives.add([piece.text]);
    else unquoted(frame, piece.from, piece.to, alternatives, mode, index === 0);
  });
  return alternatives.values;
}

function unquoted(
  frame: Frame,
  from: number,
  to: number,
  out: Alternatives,
  mode: 'fields' | 'text',
  isStart: boolean,
): void {
  const { text } = frame.source;
  let at = from;
  while (at < to && step(frame.scan)) {
    const char = text[at] ?? '';
    if (char === '\\') {
      if (text[at + 1] !== '\n') out.add([text[at + 1] ?? '']);
      at += 2;
    } else if (char === "'") {
      const end = close(text, at + 1, to, "'");
      out.add([quoted + text.slice(at + 1, end)]);
      at = end + 1;
    } else if (char === '"' || (char === '$' && text[at + 1] === '"')) {
      const start = char === '"' ? at + 1 : at + 2;
      const end = endOfDoubleQuotes(frame, start, to);
      out.add([quoted]);
      doubleQuoted(frame, start, end, out, true);
      at = end + 1;
    } else if (char === '$' && text[at + 1] === "'") {
      let end = at + 2;
      while (end < to && text[end] !== "'") end += text[end] === '\\' ? 2 : 1;
      out.add([quoted + decodeEscapes(text.slice(at + 2, Math.min(end, to)))]);
      at = end + 1;
    } else if (isSubstitution(text, at)) {
      const { end, values } = substitute(frame, at, to, false);
      out.add(mode === 'fields' ? values.map((value) => splitFields(frame, value)) : values);
      at = end;
    } else if (mode === 'text' && '*?['.includes(char)) {
      out.add([char]);
      at += 1;
    } else if (mode === 'fields' && '?*+@!'.includes(char) && text[at + 1] === '(' && text[at + 2] !== ')') {
      const end = balancedEnd(text, at + 1, to);
      out.add(extendedGlob(frame, at, end));
      at = end;
    } else if (char === '*') {
      out.add([star]);
      at += 1;
    } else if (char === '?') {
      out.add([anyOne]);
      at += 1;
    } else if (char === '[' && text.slice(at + 2, to).includes(']')) {
      const end = text.indexOf(']', at + 2);
      out.add([`${setStart}${text.slice(at + 1, end).replace(/["'\\]/g, '')}${setEnd}`]);
      at = end + 1;
    } else if (char === '~' && (at === from ? isStart : /[=:]/.test(text[at - 1] ?? ''))) {
      const name = /^~([A-Za-z0-9_.+-]*)/.exec(text.slice(at, to))?.[1] ?? '';
      out.add([homeOf(frame, name)]);
      at += name.length + 1;
    } else {
      out.add([char]);
      at += 1;
    }
  }
}

/** `@(a|b)` and `+(a)` are one of what is in them; `!(a)` and `*(a)` could be anything, and `?(a)` nothing at all. */
function extendedGlob(frame: Frame, at: number, end: number): string[] {
  const kind = frame.source.text[at] ?? '';
  if (kind === '!' || kind === '*') return [star];
  const bounds = [at + 1, ...barsIn(frame.source.text, at + 2, end - 1), end - 1];
  const values = bounds.slice(1).flatMap((stop, i) => {
    const alternatives = new Alternatives();
    unquoted(frame, (bounds[i] ?? at) + 1, stop, alternatives, 'fields', false);
    return alternatives.values;
  });
  return [...(kind === '?' ? [''] : []), ...values].slice(0, limits.alternatives);
}

function barsIn(text: string, from: number, to: number): number[] {
  const bars: number[] = [];
  for (let i = from; i < to; i = skipQuoted(text, i, to)) if (text[i] === '|') bars.push(i);
  return bars;
}

/** What a tilde stands for (Bash, "Tilde Expansion"). */
function homeOf({ scope }: Frame, name: string): string {
  const number = /^[-+]?(\d+)$/.exec(name)?.[1];
  if (name === '') return plain(scope.variables.get('HOME')?.values[0] ?? '/root');
  if (name === 'root') return '/root';
  if (name === '+') return scope.cwd ?? hole;
  if (name === '-') return plain(scope.variables.get('OLDPWD')?.values[0] ?? hole);
  if (number === undefined) return `/home/${name}`;
  const stack = [scope.cwd ?? hole, ...scope.directories.toReversed()];
  return stack.at(name.startsWith('-') ? -1 - Number(number) : Number(number)) ?? hole;
}

function doubleQuoted(frame: Frame, from: number, to: number, out: Alternatives, escapesQuote: boolean): void {
  const { text } = frame.source;
  let at = from;
  while (at < to && step(frame.scan)) {
    const char = text[at] ?? '';
    const next = text[at + 1] ?? '';
    if (char === '\\' && (next === '\n' || '$`\\'.includes(next) || (escapesQuote && next === '"'))) {
      if (next !== '\n') out.add([next]);
      at += 2;
    } else if (isSubstitution(text, at)) {
      const { end, values } = substitute(frame, at, to, true);
      out.add(values);
      at = end;
    } else {
      const end = plainUntil(text, at + 1, to);
      out.add([text.slice(at, end)]);
      at = end;
    }
  }
}

function plainUntil(text: string, from: number, to: number): number {
  let end = from;
  while (end < to && !'\\$`'.includes(text[end] ?? '')) end += 1;
  return end;
}

function isSubstitution(text: string, at: number): boolean {
  const char = text[at];
  const next = text[at + 1] ?? '';
  if (char === '`') return true;
  if (char === '$') return /[A-Za-z0-9_({[@*#?$!-]/.test(next);
  return (char === '<' || char === '>') && next === '(';
}

type Substituted = { readonly end: number; readonly values: readonly string[] };

function substitute(frame: Frame, at: number, to: number, isQuoted: boolean): Substituted {
  const { text } = frame.source;
  const two = text.slice(at, at + 2);
  if (two === '${' || (text[at] === '$' && two !== '$(' && two !== '$[')) {
    const end = substitutionEnd(frame, at, to);
    return { end, values: expandParameter(frame, at, end, isQuoted, { expandText, expandQuoted }) };
  }
  const end = substitutionEnd(frame, at, to);
  const inner = { ...frame, scope: forkScope(frame.scope), stdin: frame.stdin };
  return { end, values: printed(inner, at, end, (start, stop) => expandQuoted(frame, start, stop), isQuoted) };
}

/** The field splitting of what an unquoted substitution gave. */
function splitFields(frame: Frame, value: string): string {
  const separators = plain(frame.scope.variables.get('IFS')?.values[0] ?? ' \t\n');
  const parts = [...value].map((char) => (separators.includes(char) ? split : char)).join('');
  return withGlobs(parts);
}

function close(text: string, from: number, to: number, quote: string): number {
  const end = text.indexOf(quote, from);
  return end === -1 || end > to ? to : end;
}

function endOfDoubleQuotes(frame: Frame, from: number, to: number): number {
  const { text } = frame.source;
  let at = from;
  while (at < to && text[at] !== '"') {
    if (text[at] === '\\') at += 2;
    else if (text[at] === '`' || (text[at] === '$' && '({'.includes(text[at + 1] ?? ' ')))
      at = substitutionEnd(frame, at, to);
    else at += 1;
  }
  return Math.min(at, to);
}

/** Brace expansion (Bash, "Brace Expansion"), which comes before all else: the words that one word becomes. */
function braces(text: string, from: number, to: number): Piece[][] {
  let words: Piece[][] = [[]];
  let at = from;
  let start = from;
  const keep = (end: number) => {
    if (end > start) words = words.map((word) => [...word, { from: start, to: end }]);
  };
  while (at < to) {
    const end = text[at] === '{' && text[at - 1] !== '$' ? braceEnd(text, at, to) : undefined;
    const parts = end === undefined ? undefined : braceParts(text, at + 1, end - 1);
    if (end === undefined || parts === undefined) {
      at = skipQuoted(text, at, to);
      continue;
    }
    keep(at);
    const before = words;
    words = parts.flatMap((part) => before.map((word) => [...word, ...part])).slice(0, 64);
    at = end;
    start = end;
  }
  keep(to);
  return words;
}

/** One past the brace that closes the one at `at`. */
function braceEnd(text: string, at: number, to: number): number | undefined {
  let depth = 0;
  for (let i = at; i < to; i = text[i] === '{' || text[i] === '}' ? i + 1 : skipQuoted(text, i, to)) {
    if (text[i] === '{') depth += 1;
    else if (text[i] === '}') {
      depth -= 1;
      if (depth === 0) return i + 1;
    }
  }
  return undefined;
}

/** The alternatives between braces; undefined when the braces mean themselves. */
function braceParts(text: string, from: number, to: number): Piece[][] | undefined {
  const range = /^(-?\d+|[A-Za-z])\.\.(-?\d+|[A-Za-z])$/.exec(text.slice(from, to));
  if (range?.[1] !== undefined && range[2] !== undefined) return sequence(range[1], range[2]);
  const commas: number[] = [];
  let depth = 0;
  for (let i = from; i < to; ) {
    const char = text[i];
    if (char === '{') depth += 1;
    if (char === '}') depth -= 1;
    if (char === ',' && depth === 0) commas.push(i);
    i = char === '{' || char === '}' ? i + 1 : skipQuoted(text, i, to);
  }
  if (commas.length === 0) return undefined;
  const bounds = [from - 1, ...commas, to];
  return bounds.slice(1).flatMap((end, i) => braces(text, (bounds[i] ?? from) + 1, end));
}

function sequence(first: string, last: string): Piece[][] {
  const isNumber = /\d/.test(first) && /\d/.test(last);
  const [a, b] = isNumber ? [Number(first), Number(last)] : [first.charCodeAt(0), last.charCodeAt(0)];
  const count = Math.min(Math.abs(b - a) + 1, 32);
  return Array.from({ length: count }, (_, i) => {
    const value = a + (a <= b ? i : -i);
    return [{ text: isNumber ? `${value}` : String.fromCharCode(value) }];
  });
}

/** Line tools: what programs that order, join, cut or make up lines print of text that is known. */
import { readOptions } from './call.ts';
import { decodeEscapes } from './escapes.ts';
import { fold } from './folding.ts';
import { hole, plain } from './marks.ts';

const maxLines = 1000;

function linesOf(text: string): string[] {
  return text.replace(/\n$/, '').split('\n');
}

function printed(lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${lines.slice(0, maxLines).join('\n')}\n`;
}

export function sorted(args: readonly string[], text: string): string {
  const { flags } = readOptions(args, ['-k', '-t', '-S', '-T', '-o']);
  const has = (...names: readonly string[]) => names.some((name) => flags.has(name));
  const byNumber = has('-n', '-g', '-V', '--numeric-sort');
  const compare = (a: string, b: string) =>
    byNumber ? Number.parseFloat(a) - Number.parseFloat(b) || (a < b ? -1 : 1) : a < b ? -1 : a > b ? 1 : 0;
  const lines = linesOf(text).toSorted(compare);
  if (has('-r', '--reverse')) lines.reverse();
  return printed(has('-u', '--unique') ? [...new Set(lines)] : lines);
}

/** `head` and `tail`, by lines or characters. */
export function ended(program: 'head' | 'tail', args: readonly string[], text: string): string {
  const { values } = readOptions(args, ['-n', '-c', '--lines', '--bytes']);
  const old = args
    .map(plain)
    .find((arg) => /^-\d+$/.test(arg))
    ?.slice(1);
  const bytes = values.get('-c') ?? values.get('--bytes');
  const count = plain(bytes ?? values.get('-n') ?? values.get('--lines') ?? old ?? '10');
  const number = Number(/\d+/.exec(count)?.[0] ?? '10');
  const isFromOther = program === 'head' ? count.startsWith('-') : count.startsWith('+');
  const items = bytes === undefined ? linesOf(text) : [...text];
  const size = items.length;
  const part =
    program === 'head'
      ? items.slice(0, isFromOther ? Math.max(0, size - number) : number)
      : items.slice(isFromOther ? Math.max(0, number - 1) : Math.max(0, size - number));
  return bytes === undefined ? printed(part) : part.join('');
}

export function pasted(args: readonly string[], text: string): string {
  const { values, flags } = readOptions(args, ['-d', '--delimiters']);
  const by = decodeEscapes(plain(values.get('-d') ?? values.get('--delimiters') ?? '\t'));
  if (flags.has('-s') || flags.has('--serial')) return `${linesOf(text).join(by.slice(0, 1))}\n`;
  const columns = Math.max(1, args.filter((arg) => plain(arg) === '-').length);
  const lines = linesOf(text);
  const rows = Array.from({ length: Math.ceil(lines.length / columns) }, (_, i) =>
    lines.slice(i * columns, (i + 1) * columns),
  );
  return printed(rows.map((row) => row.join(by.slice(0, 1))));
}

export function folded(args: readonly string[], text: string): string {
  const { values } = readOptions(args, ['-w', '--width', '-b']);
  const width = Math.max(1, Number(plain(values.get('-w') ?? values.get('--width') ?? '80')) || 80);
  const rows = linesOf(text).flatMap((line) => line.match(new RegExp(`.{1,${Math.min(width, 500)}}`, 'gu')) ?? ['']);
  return printed(rows);
}

/** `seq FIRST STEP LAST`; a long one stands for whatever is counted. */
export function counted(args: readonly string[]): string {
  const { values, operands } = readOptions(args, ['-f', '-s', '--format', '--separator']);
  const numbers = operands.map((one) => Number(plain(one)));
  const [first, step, last] =
    numbers.length === 1 ? [1, 1, numbers[0]] : numbers.length === 2 ? [numbers[0], 1, numbers[1]] : numbers;
  if (first === undefined || step === undefined || last === undefined || numbers.some(Number.isNaN) || step === 0)
    return hole;
  const count = Math.floor((last - first) / step) + 1;
  if (count > 1000) return `pid-of-everything${hole}\n`;
  const format = plain(values.get('-f') ?? values.get('--format') ?? '%g');
  const by = decodeEscapes(plain(values.get('-s') ?? values.get('--separator') ?? '\n'));
  const items = Array.from({ length: Math.max(0, count) }, (_, i) =>
    format.replace(/%[\d.]*[gfe]/, `${first + i * step}`),
  );
  return items.length === 0 ? '' : `${items.join(by)}\n`;
}

/** `date +TEXT`, where the format has nothing of a date. */
export function dated(args: readonly string[]): string {
  const format = args
    .map(plain)
    .find((arg) => arg.startsWith('+'))
    ?.slice(1);
  if (format === undefined) return hole;
  return `${format
    .replace(/%n/g, '\n')
    .replace(/%t/g, '\t')
    .replace(/%%/g, '%')
    .replace(/%[-_0^#]?[A-Za-z]/g, hole)}\n`;
}

/** A filter of `jq` that is no more than a literal, decoded or not. */
export function queried(args: readonly string[]): string {
  const filter = args.map(plain).find((arg) => !arg.startsWith('-')) ?? '';
  const [, value, base64] = /^\s*"((?:[^"\\]|\\.)*)"\s*(?:\|\s*(@base64d)\s*)?$/.exec(filter) ?? [];
  if (value !== undefined) {
    const text = decodeEscapes(value);
    return `${base64 === undefined ? text : Buffer.from(text, 'base64').toString('utf8')}\n`;
  }
  const numbers = /^\s*\[([\d,\s]+)\]\s*\|\s*implode\s*$/.exec(filter)?.[1];
  return numbers === undefined ? hole : `${String.fromCharCode(...numbers.split(',').map(Number).slice(0, 4000))}\n`;
}

/** A program of `awk` that does nothing but print: literals, fields and what they come to. */
export function printedByAwk(args: readonly string[], text: string): string | undefined {
  const { operands, values } = readOptions(args, ['-F', '-v', '-f']);
  const code = plain(operands[0] ?? '');
  if (values.has('-f') || code.length > 2000) return undefined;
  const given = args.flatMap((arg, i) => (plain(args[i - 1] ?? '') === '-v' ? [plain(arg)] : []));
  const prelude = given
    .map((one) =>
      one.replace(/^(\w+)=([\s\S]*)$/, (_, name: string, value: string) => `${name}=${JSON.stringify(value)};`),
    )
    .join('');
  const [, isBegin, body] = /^\s*(BEGIN\s*)?\{([^{}]*)\}\s*$/.exec(code) ?? [];
  if (body === undefined) return undefined;
  const by = plain(values.get('-F') ?? '');
  const rows = isBegin === undefined ? linesOf(text).slice(0, 100) : [''];
  if (isBegin === undefined && (text.includes(hole) || text === '')) return undefined;
  const output = rows.map((row) => {
    const fields = row.trim().split(by === '' ? /\s+/ : by);
    const filled = body
      .replace(/\$NF\b/g, JSON.stringify(fields.at(-1) ?? ''))
      .replace(/\$(\d+)/g, (_, number: string) =>
        JSON.stringify(number === '0' ? row : (fields[Number(number) - 1] ?? '')),
      );
    return printedLiteral(fold(`${prelude}${withSubstrings(filled)}`));
  });
  return output.includes(undefined) ? undefined : output.join('');
}

/** Its strings begin at 1. */
function withSubstrings(code: string): string {
  return code.replace(
    /\bsubstr\(([^,()]+),\s*(\d+)/g,
    (_, text: string, from: string) => `substr(${text},${Math.max(0, Number(from) - 1)}`,
  );
}

function printedLiteral(code: string): string | undefined {
  const statements = code.split(';').map((one) => one.trim());
  let output = '';
  for (const statement of statements) {
    if (statement === '' || /^\w+\s*=\s*"/.test(statement)) continue;
    const [, verb, literal] = /^(printf?)\s*\(?\s*("(?:[^"\\]|\\[\s\S])*")\s*\)?$/.exec(statement) ?? [];
    if (literal === undefined) return undefined;
    output += decodeEscapes(literal.slice(1, -1)) + (verb === 'print' ? '\n' : '');
  }
  return output;
}

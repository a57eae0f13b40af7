/** The stream editor: what a program of `sed` makes of text that is known (POSIX.1-2024, "sed"). */
import { readOptions } from './call.ts';
import { hole, plain } from './marks.ts';
import { type SafeExpression, safeExpression } from './safe-expression.ts';

const maxLines = 400;
const maxCommands = 60;

type Command = {
  readonly from: SafeExpression | number | '$' | undefined;
  readonly to: SafeExpression | number | '$' | undefined;
  readonly isNegated: boolean;
  readonly run: (state: State) => void;
};

type State = { line: string; isDeleted: boolean; readonly extra: string[]; isQuit: boolean };

/** A line that it would take too long to match. */
class TooLong extends Error {
  override readonly name = 'TooLong';
}

function checked(pattern: SafeExpression, line: string): string {
  if (!pattern.fits(line)) throw new TooLong();
  return line;
}

function matched(pattern: SafeExpression, line: string): boolean {
  return pattern.expression.test(checked(pattern, line));
}

/** Undefined: the program does something that isn't followed. */
export function edited(args: readonly string[], text: string): string | undefined {
  try {
    return run(args, text);
  } catch (error) {
    if (error instanceof TooLong) return undefined;
    throw error;
  }
}

function run(args: readonly string[], text: string): string | undefined {
  const { values, operands, flags } = readOptions(args, ['-e', '-f', '--expression', '--file', '-l']);
  if (values.has('-f') || values.has('--file')) return undefined;
  const isExtended = ['-E', '-r', '--regexp-extended'].some((flag) => flags.has(flag));
  const isQuiet = ['-n', '--quiet', '--silent'].some((flag) => flags.has(flag));
  const written = args.flatMap((arg, i) =>
    /^(?:-[a-zA-Z]*e|--expression)$/.test(plain(args[i - 1] ?? ''))
      ? [plain(arg)]
      : (/^--expression=([\s\S]+)$/.exec(plain(arg))?.[1] ?? []),
  );
  const programs = written.length > 0 ? written : [plain(operands[0] ?? '')];
  const commands = parse(programs.join('\n'), isExtended);
  const lines = text.replace(/\n$/, '').split('\n');
  if (commands === undefined || lines.length > maxLines) return undefined;
  const output: string[] = [];
  const inRange = new Set<Command>();
  for (const [index, line] of lines.entries()) {
    const state: State = { line, isDeleted: false, extra: [], isQuit: false };
    for (const command of commands) {
      if (state.isDeleted || !applies(command, state.line, index + 1, lines.length, inRange)) continue;
      command.run(state);
    }
    output.push(...state.extra);
    if (!isQuiet && !state.isDeleted) output.push(state.line);
    if (state.isQuit) break;
  }
  return output.length === 0 ? '' : `${output.join('\n')}\n`;
}

function applies(command: Command, line: string, number: number, last: number, inRange: Set<Command>): boolean {
  const { from, to, isNegated } = command;
  const fits = (address: Command['from']) =>
    address === '$'
      ? number === last
      : typeof address === 'number'
        ? number === address
        : address === undefined || matched(address, line);
  let isIn: boolean;
  if (to === undefined) isIn = fits(from);
  else if (inRange.has(command)) {
    isIn = true;
    if (fits(to) || (typeof to === 'number' && number >= to)) inRange.delete(command);
  } else {
    isIn = fits(from);
    if (isIn && !(typeof to === 'number' && to <= number)) inRange.add(command);
  }
  return isIn !== isNegated;
}

/** The commands of a program; undefined when one of them is not known here. */
function parse(program: string, isExtended: boolean): Command[] | undefined {
  const commands: Command[] = [];
  let rest = program;
  while (rest.trim() !== '' && commands.length < maxCommands) {
    rest = rest.replace(/^[\s;]+/, '');
    if (rest === '') break;
    const first = address(rest, isExtended);
    if (first === undefined) return undefined;
    rest = first.rest;
    const second = rest.startsWith(',') ? address(rest.slice(1), isExtended) : undefined;
    if (second !== undefined) rest = second.rest;
    const [, negation = ''] = /^(\s*!?\s*)/.exec(rest) ?? [];
    const isNegated = negation.includes('!');
    const found = command(rest.slice(negation.length), isExtended);
    if (found === undefined) return undefined;
    commands.push({ from: first.value, to: second?.value, isNegated, run: found.run });
    rest = found.rest;
  }
  return commands;
}

function address(
  text: string,
  isExtended: boolean,
): { readonly value: Command['from']; readonly rest: string } | undefined {
  const [number] = /^\d+/.exec(text) ?? [];
  if (number !== undefined) return { value: Number(number), rest: text.slice(number.length) };
  if (text.startsWith('$')) return { value: '$', rest: text.slice(1) };
  const [whole, source] = /^\/((?:\\[\s\S]|[^/\\])*)\//.exec(text) ?? [];
  if (whole === undefined || source === undefined) return { value: undefined, rest: text };
  const value = expression(source, isExtended, '');
  return value === undefined ? undefined : { value, rest: text.slice(whole.length) };
}

function command(
  text: string,
  isExtended: boolean,
): { readonly run: (state: State) => void; readonly rest: string } | undefined {
  const name = text[0] ?? '';
  if (name === 's' || name === 'y') return replacing(text, isExtended);
  const rest = text.slice(1);
  switch (name) {
    case 'd':
      return {
        run: (state) => {
          state.isDeleted = true;
        },
        rest,
      };
    case 'p':
      return { run: (state) => void state.extra.push(state.line), rest };
    case 'q':
      return {
        run: (state) => {
          state.isQuit = true;
        },
        rest: rest.replace(/^\s*\d+/, ''),
      };
    case 'i':
    case 'c':
    case 'a': {
      const [line = ''] = /^[^\n]*/.exec(rest.replace(/^\s*\\?\n?\s*/, '')) ?? [];
      const run = (state: State) => {
        if (name === 'i') state.extra.push(line);
        else if (name === 'a') state.line = `${state.line}\n${line}`;
        else state.line = line;
      };
      return { run, rest: rest.replace(/^\s*\\?\n?\s*[^\n]*/, '') };
    }
    default:
      return undefined;
  }
}

function replacing(text: string, isExtended: boolean): ReturnType<typeof command> {
  const mark = text[1] ?? '';
  if (mark === '' || /[\s\\\w]/.test(mark)) return undefined;
  const parts: string[] = [];
  let at = 2;
  for (let part = ''; at < text.length && parts.length < 2; at += 1) {
    const char = text[at] ?? '';
    if (char === '\\' && at + 1 < text.length) {
      part += text[at + 1] === mark ? mark : `\\${text[at + 1]}`;
      at += 1;
    } else if (char === mark) {
      parts.push(part);
      part = '';
    } else part += char;
  }
  const [what, by] = parts;
  if (what === undefined || by === undefined) return undefined;
  const [flags = ''] = /^[gpiIM0-9]*/.exec(text.slice(at)) ?? [];
  const rest = text.slice(at + flags.length);
  if (/^[ew]/.test(rest)) return undefined;
  if (text.startsWith('y')) {
    const [from, to] = [[...what], [...by]];
    return {
      run: (state) => {
        state.line = [...state.line].map((char) => to[from.indexOf(char)] ?? char).join('');
      },
      rest,
    };
  }
  const pattern = expression(what, isExtended, `${flags.includes('g') ? 'g' : ''}${/[iI]/.test(flags) ? 'i' : ''}`);
  if (pattern === undefined) return undefined;
  const run = (state: State) => {
    const before = state.line;
    state.line = checked(pattern, before).replace(pattern.expression, (...match: unknown[]) => filled(by, match));
    if (flags.includes('p') && state.line !== before) state.extra.push(state.line);
  };
  return { run, rest };
}

/** The replacement: `&`, `\1`, and the changes of case that GNU has. */
function filled(by: string, match: readonly unknown[]): string {
  let change: 'U' | 'L' | 'E' = 'E';
  const cased = (text: string) => (change === 'U' ? text.toUpperCase() : change === 'L' ? text.toLowerCase() : text);
  return by.replace(
    /\\([ULE])|\\(\d)|\\n|\\([\s\S])|&|[\s\S]/g,
    (whole, kind?: 'U' | 'L' | 'E', group?: string, char?: string) => {
      if (kind !== undefined) {
        change = kind;
        return '';
      }
      if (group !== undefined) return cased(`${match[Number(group)] ?? ''}`);
      if (whole === '\\n') return '\n';
      if (char !== undefined) return cased(char);
      return cased(whole === '&' ? `${match[0] ?? ''}` : whole);
    },
  );
}

/** A basic or extended regular expression; undefined when it is not understood, or could take for ever. */
function expression(source: string, isExtended: boolean, flags: string): SafeExpression | undefined {
  if (source.includes(hole)) return undefined;
  const classes: Readonly<Record<string, string>> = {
    upper: 'A-Z',
    lower: 'a-z',
    digit: '0-9',
    alpha: 'A-Za-z',
    alnum: 'A-Za-z0-9',
    space: '\\s',
    blank: ' \\t',
    punct: '!-\\/:-@\\[-`{-~',
  };
  const text = source.replace(/\[:(\w+):\]/g, (whole, name: string) => classes[name] ?? whole);
  const turned = isExtended
    ? text
    : text.replace(/\[[^\]]*\]|\\([(){}|+?])|([(){}|+?])/g, (whole, escaped?: string, bare?: string) =>
        escaped !== undefined ? escaped : bare !== undefined ? `\\${bare}` : whole,
      );
  return safeExpression(turned, flags);
}

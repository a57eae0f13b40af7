/** Output: what programs print that only change text. Anything else prints what is known only when it runs. */

import { type Call, readOptions } from './call.ts';
import { copiedBy } from './copies.ts';
import { decodeEscapes } from './escapes.ts';
import { counted, dated, ended, folded, pasted, printedByAwk, queried, sorted } from './line-tools.ts';
import { listing, picksColumn, wellKnownContent } from './listings.ts';
import { decoded, downloaded, hasGlob, hole, plain, star, taints, withoutGlobs } from './marks.ts';
import { decoders, downloaders, filters, settingPrinters } from './output-kinds.ts';
import { interpretersThatPrint, printedBy } from './printers.ts';
import { contentOf } from './redirect.ts';
import { edited } from './sed.ts';
import { cut, decode, map, translate } from './text-tools.ts';

/** What a program that doesn't do anything else prints. */
export function outputOf(call: Call, program: string): string {
  const { argv, frame } = call;
  const args = argv.slice(1);
  const { stdin } = frame;
  const listed = listing(program, args);
  if (listed !== undefined) return listed;
  switch (program) {
    case 'echo':
      return echo(args);
    case 'printf':
      return formatPrintf(args);
    case 'cat':
    case 'nl':
      return catenate(call, args);
    case 'tac':
      return catenate(call, args)
        .replace(/\n$/, '')
        .split('\n')
        .reverse()
        .map((line) => `${line}\n`)
        .join('');
    case 'tee':
      return stdin;
    case 'pwd':
      return frame.scope.cwd ?? `/${hole}`;
    case 'mktemp':
      return `/tmp/tmp.${hole}\n`;
    case 'basename':
      return `${plain(args[0] ?? hole)
        .replace(/\/+$/, '')
        .replace(/^.*\//, '')}\n`;
    case 'dirname':
      return `${plain(args[0] ?? hole).replace(/\/[^/]*$/, '') || '/'}\n`;
    case 'realpath':
    case 'readlink':
      return `${plain(args.find((arg) => !arg.startsWith('-')) ?? hole)}\n`;
    case 'find':
      return foundBy(args);
    case 'ls':
      return listedBy(args);
    case 'pgrep':
    case 'pidof':
      return `pid-of-${plain(args.findLast((arg) => !arg.startsWith('-')) ?? '')}${hole}\n`;
    case 'rev':
      return `${map(input(call, args), (text) =>
        text
          .split('\n')
          .map((line) => [...line].reverse().join(''))
          .join('\n'),
      )}`;
    case 'tr':
      return map(stdin, (text) => translate(text, args));
    case 'sed':
      return editedBy(call, args);
    case 'cut':
      return eachLine(input(call, readOptions(args, ['-d', '-f', '-c', '-b']).operands), (text) => cut(text, args));
    case 'base64':
    case 'base32':
    case 'basenc':
    case 'openssl':
    case 'xxd':
      if (program === 'openssl' && plain(args[0] ?? '') === 's_client') return hole + downloaded;
      return decode(
        program,
        args,
        input(
          call,
          readOptions(args, ['-w', '-in', '-k', '-s', '-l', '-c']).operands.filter(
            (one) => !/^(?:enc|base64)$/.test(one),
          ),
        ),
      );
    case 'seq':
      return counted(args);
    case 'date':
      return dated(args);
    case 'yes':
      return `${args.length === 0 ? 'y' : args.map(plain).join(' ')}\n`.repeat(4);
    case 'jq':
      return queried(args);
    case 'paste':
      return knownOr(call, args, (text) => pasted(args, text), ['-d']);
    case 'fold':
      return knownOr(call, args, (text) => folded(args, text), ['-w']);
    case 'iconv':
      return knownOr(call, args, (text) => text.replaceAll('\0', ''), ['-f', '-t', '--from-code', '--to-code']);
    case 'head':
    case 'tail':
      return knownOr(call, args, (text) => ended(program, args, text), ['-n', '-c']);
    case 'sort':
      return knownOr(call, args, (text) => sorted(args, text), ['-k', '-t', '-S', '-T', '-o']);
    case 'dd':
      return args.some((arg) => plain(arg).startsWith('of=')) ? '' : copiedBy(call);
    case 'uniq':
    case 'grep':
    case 'egrep':
      return filtered(call, args);
    default:
      if (settingPrinters.has(program)) return '';
      if (interpretersThatPrint.test(program)) {
        const printed = printedBy(program, args) ?? columnOf(call, program, args) ?? awkOf(call, program, args);
        if (printed !== undefined) return printed;
      }
      if (downloaders.has(program)) return hole + downloaded;
      if (/awk$/.test(program) && /holdfast/i.test(withoutBrackets(args)))
        return stdin.startsWith('pid-of-') ? `pid-of-holdfast-agent${hole}\n` : 'holdfast-agent\n';
      if (/awk$/.test(program) && /^\/dev\/sd\ue000\n$/.test(stdin)) return stdin;
      if (decoders.has(program)) return hole + decoded + taints(stdin);
      return filters.has(program) ? hole + taints(stdin) : hole;
  }
}

/** The output of a tool where all that it reads is known; a listing stays one. */
function knownOr(
  call: Call,
  args: readonly string[],
  change: (text: string) => string,
  withValue: readonly string[],
): string {
  const files = readOptions(args, withValue).operands.filter((one) => plain(one) !== '-' && !/^-\d+$/.test(plain(one)));
  const text = input(call, files);
  if (text === '' || text.includes(hole) || text.includes(star))
    return filtered({ ...call, frame: { ...call.frame, stdin: text } }, args);
  return change(plain(text)) + taints(text);
}

function editedBy(call: Call, args: readonly string[]): string {
  const isWritten = args.some((arg) => /^(?:-[a-zA-Z]*e|--expression)/.test(plain(arg)));
  const { operands } = readOptions(args, ['-e', '--expression', '-f', '-l']);
  const text = input(call, operands.slice(isWritten ? 0 : 1));
  if (text.includes(hole)) return hole + taints(text);
  return (edited(args, plain(text)) ?? hole) + taints(text);
}

function awkOf(call: Call, program: string, args: readonly string[]): string | undefined {
  if (!/awk$/.test(program)) return undefined;
  const { operands } = readOptions(args, ['-F', '-v', '-f']);
  const text = input(
    call,
    operands.slice(1).filter((one) => !/^\w+=/.test(plain(one))),
  );
  const printed = printedByAwk(args.map(withoutGlobs), plain(text));
  return printed === undefined ? undefined : printed + taints(text);
}

/** `awk '{print $2}'` of one line that stands for all of a kind. */
function columnOf(call: Call, program: string, args: readonly string[]): string | undefined {
  if (!/awk$/.test(program)) return undefined;
  const { operands, values } = readOptions(args, ['-F', '-v']);
  const code = withoutGlobs(plain(operands[0] ?? ''));
  // Whoever has a low number belongs to the system.
  if (
    /\$3\s*(?:<=?\s*\d|==?\s*["']?0)/.test(code) &&
    !/(?:!~|!=)[^&|]*root/.test(code) &&
    operands.slice(1).some((file) => /passwd|group/.test(plain(file)))
  )
    return 'root\n';
  if (!picksColumn(code)) return undefined;
  const text = input(call, operands.slice(1));
  const separator = plain(values.get('-F') ?? '');
  if (separator === ':') return eachLine(text, (known) => cut(known, ['-d:', '-f1']));
  return /^(?:\/dev\/sd|pid-of-)|\nlibc6\n/.test(text) || !text.includes(hole) ? text : undefined;
}

/** What is known of it, changed line by line; a line that is not known stays so. */
function eachLine(text: string, change: (text: string) => string): string {
  return text
    .split('\n')
    .map((line) => map(line, change))
    .join('\n');
}

function echo(args: readonly string[]): string {
  let at = 0;
  let escapes = false;
  let newline = '\n';
  for (; at < args.length && /^-[neE]+$/.test(args[at] ?? ''); at += 1) {
    if (args[at]?.includes('e') === true) escapes = true;
    if (args[at]?.includes('n') === true) newline = '';
  }
  const text = withoutGlobs(args.slice(at).join(' ')).replaceAll('\ue007', '').replaceAll('\ue005', '');
  return (escapes || /\\(?:x[0-9a-f]|0\d|\d\d)/i.test(text) ? decodeEscapes(text) : text) + newline;
}

/** `printf`: the format is used again while there are arguments. */
export function formatPrintf(args: readonly string[]): string {
  const operands = plain(args[0] ?? '') === '--' ? args.slice(1) : args;
  const format = decodeEscapes(withoutGlobs(plain(operands[0] ?? '')));
  const values = operands.slice(1).map((value) => withoutGlobs(plain(value)));
  let output = '';
  let next = 0;
  do {
    const start = next;
    output += format.replace(/%(%|[-+ #0]*\d*(?:\.\d+)?([a-zA-Z]))/g, (_, whole: string, kind: string | undefined) => {
      if (whole === '%') return '%';
      const value = values[next] ?? '';
      next += 1;
      return printOne(kind ?? 's', value);
    });
    if (next === start) break;
  } while (next < values.length && output.length < 10_000);
  return (
    output +
    (operands.some((one) => one.includes(decoded)) ? decoded : '') +
    (operands.some((one) => one.includes(downloaded)) ? downloaded : '')
  );
}

function printOne(kind: string, value: string): string {
  if (value.includes(hole)) return value;
  if (kind === 'b') return decodeEscapes(value);
  if (kind === 'c') return value.slice(0, 1);
  const number = /^['"]./.test(value) ? (value.codePointAt(1) ?? 0) : Number(value);
  if (kind === 'd' || kind === 'i') return Number.isFinite(number) ? `${number}` : '0';
  if (kind === 'o') return number.toString(8);
  if (kind === 'x' || kind === 'X') return number.toString(16);
  return value;
}

function catenate(call: Call, args: readonly string[]): string {
  return input(
    call,
    args.filter((arg) => !/^-./.test(arg)),
  );
}

/** Without a test that picks some, the tree itself stands for all that is found in it. */
function foundBy(args: readonly string[]): string {
  const root = plain(args.find((arg) => !arg.startsWith('-')) ?? '.');
  const format = args.findIndex((arg) => plain(arg) === '-printf');
  if (format >= 0)
    return decodeEscapes(plain(args[format + 1] ?? ''))
      .replace(/%p/g, root)
      .replace(/%P/g, args.length === 3 ? '' : hole)
      .replace(/%f/g, root.replace(/^.*\//, ''))
      .replace(/%%/g, '%')
      .replace(/%[a-zA-Z]/g, hole);
  const name = plain(args[args.findIndex((arg) => plain(arg) === '-name') + 1] ?? '');
  if (/\/s?bin\/?$/.test(root) && /^\w[\w.-]*$/.test(name) && args.some((arg) => plain(arg) === '-name'))
    return `${root.replace(/\/+$/, '')}/${name}\n`;
  const isPicky = args.some((arg) =>
    /^-(?:i?name|i?path|i?regex|[acm]time|[acm]min|size|user|group|newer|perm|empty)/.test(arg),
  );
  return isPicky ? `${root.replace(/\/+$/, '')}/${hole}\n` : `${root.replace(/\/+$/, '')}/${star}\n`;
}

/** Names in the working directory, unless a path is listed by itself. */
function listedBy(args: readonly string[]): string {
  const path = plain(args.find((arg) => !arg.startsWith('-')) ?? '');
  const isItself = path.startsWith('/') && (args.some((arg) => /^-\w*d/.test(arg)) || /\/s?bin\/[^/]+$/.test(path));
  if (hasGlob(path)) return `${path.startsWith('/') ? '' : './'}${path}\n`;
  return isItself ? `${path}\n` : `./${star}\n`;
}

/** The content of the files named, or the standard input when there are none. */
function input(call: Call, files: readonly string[]): string {
  if (files.length === 0) return call.frame.stdin === '' ? '' : call.frame.stdin;
  return files
    .map((file) =>
      plain(file) === '-'
        ? call.frame.stdin
        : (pidIn(file) ?? wellKnownContent(plain(file)) ?? contentOf(call.frame, file)),
    )
    .join('');
}

/** `[h]oldfast`, by which a search does not find itself. */
function withoutBrackets(args: readonly string[]): string {
  return withoutGlobs(args.map(plain).join(' ')).replace(/\[(\w)\]/g, '$1');
}

function pidIn(file: string): string | undefined {
  const name = /^(?:\/var)?\/run\/(?:.*\/)?([^/]+)\.pid$/.exec(plain(file))?.[1];
  return name === undefined ? undefined : `pid-of-${name}${hole}\n`;
}

/** Lines are taken out or sorted: of one that is known, it stays. */
function filtered(call: Call, args: readonly string[]): string {
  const { stdin } = call.frame;
  const lines = plain(stdin).trim().split('\n');
  if (/holdfast/i.test(withoutBrackets(args)) && !stdin.startsWith('pid-of-')) return 'holdfast-agent\n';
  if (stdin !== '' && !stdin.includes(hole) && !stdin.includes(star)) return stdin;
  // Some of what was listed, but nobody knows which.
  if (lines.length === 1 && stdin.includes(star)) return stdin.replaceAll(star, hole);
  // Some of all: which, nobody knows.
  if (stdin.startsWith('pid-of-everything')) {
    const named = withoutBrackets(args.filter((arg) => !plain(arg).startsWith('-')).slice(0, 1));
    const isLeftOut = args.some((arg) => /^-\w*v/.test(plain(arg)));
    if (isLeftOut || !/[a-z]{2}/i.test(named)) return stdin;
    return `pid-of-${named.replace(/[^\w.@-]/g, '')}${hole}\n`;
  }
  const isPath = lines.length === 1 && /^\.?\/[^\n]*$|^pid-of-|^\ue000@\ue000$/.test(lines[0] ?? '');
  return isPath && args.length > 0 ? stdin : hole + taints(stdin);
}

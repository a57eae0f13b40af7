/** Commands that get what they run from their input: `xargs`, `parallel` and `crontab`. */
import { type Call, reportCall } from './call.ts';
import { decodeEscapes } from './escapes.ts';
import { jobPattern, runJob } from './jobs.ts';
import { decoded, downloaded, hole, plain, withGlobs } from './marks.ts';
import { contentOf } from './redirect.ts';
import { runCode } from './shells.ts';

type Again = (argv: readonly string[], changes?: Partial<Call>) => string;

/** The arguments come from the standard input, or from a file. */
export function xargs(
  call: Call,
  values: ReadonlyMap<string, string>,
  operands: readonly string[],
  again: Again,
): string {
  const file = values.get('-a') ?? values.get('--arg-file');
  const stdin = file === undefined ? call.frame.stdin : contentOf(call.frame, file);
  const marker = plain(
    values.get('-I') ?? values.get('--replace') ?? (call.argv.some((arg) => plain(arg) === '-i') ? '{}' : ''),
  );
  const origin = (stdin.includes(downloaded) ? downloaded : '') + (stdin.includes(decoded) ? decoded : '');
  const separator = decodeEscapes(plain(values.get('-d') ?? values.get('--delimiter') ?? ''));
  const text = plain(stdin);
  const isWhole = call.argv.some((arg) => /^(?:-\w*0|--null)$/.test(plain(arg))) && !text.includes(hole);
  const items =
    text.trim() === ''
      ? []
      : (marker !== ''
          ? text.trim().split('\n')
          : separator.length === 1
            ? text.trim().split(separator)
            : isWhole
              ? text.replace(/\n$/, '').split('\0')
              : text.trim().split(/[\s\0]+/)
        ).slice(0, 32);
  // A pattern that was expanded before it was printed.
  const known = items.map((item) => withGlobs(item.replace(/^(["'])(.*)\1$/, '$2')) + origin);
  const isEndless =
    /^y(?:es)?\ny(?:es)?\n/.test(text) && /^0$/.test(plain(values.get('-P') ?? values.get('--max-procs') ?? ''));
  if (isEndless) reportCall(call, 'G0302');
  const command = operands.length === 0 ? ['echo'] : operands;
  const inner = { frame: { ...call.frame, stdin: '' } };
  if (marker !== '') {
    const rounds = known.length === 0 ? [hole] : known;
    return rounds
      .map((item) =>
        again(
          command.map((part) => part.replaceAll(marker, item)),
          inner,
        ),
      )
      .join('');
  }
  // `xargs sh -c` without more gives the items as the code.
  return again([...command, ...(known.length === 0 ? [hole] : known)], inner);
}

/** The arguments come after `:::`, or line by line from the standard input. */
export function parallel(call: Call, operands: readonly string[], again: Again): string {
  const at = operands.findIndex((one) => /^::::?\+?$/.test(plain(one)));
  const command = at === -1 ? operands : operands.slice(0, at);
  const args = call.argv.map(plain);
  const file = args[args.findIndex((arg) => /^(?:-a|--arg-file)$/.test(arg)) + 1];
  const isFile = args.some((arg) => /^(?:-a|--arg-file)$/.test(arg));
  const input = isFile ? contentOf(call.frame, file) : call.frame.stdin;
  const items = at === -1 ? plain(input).trim().split('\n') : operands.slice(at + 1);
  const inner = { ...call, frame: { ...call.frame, stdin: '' } };
  for (const item of items.slice(0, 32)) {
    const isPlaced = command.some((part) => part.includes('{}'));
    if (command.length === 0) runCode(inner, item);
    else if (command.length === 1 && /\s/.test(plain(command[0] ?? '')))
      runCode(inner, `${command[0]?.replaceAll('{}', item)}${isPlaced ? '' : ` ${item}`}`);
    else again(isPlaced ? command.map((part) => part.replaceAll('{}', item)) : [...command, item], inner);
  }
  return hole;
}

export function crontab(
  call: Call,
  flags: ReadonlySet<string>,
  values: ReadonlyMap<string, string>,
  operands: readonly string[],
): string {
  const user = plain(values.get('-u') ?? 'root');
  if (flags.has('-r') && user === 'root') {
    reportCall(call, 'G0408');
    return '';
  }
  if (flags.has('-l')) return `${hole}\n`;
  const isStdin = plain(operands[0] ?? '-') === '-';
  const table = isStdin ? call.frame.stdin : contentOf(call.frame, operands[0]);
  if (!isStdin && table === '' && user === 'root') reportCall(call, 'G0408');
  for (const line of plain(table).split('\n')) {
    if (!/^\s*#/.test(line)) runJob(line, (code) => runCode(call, code), jobPattern);
  }
  return '';
}

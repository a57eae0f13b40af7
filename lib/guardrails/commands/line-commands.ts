/** Programs that read commands of their own, line by line, from their input or a file, or as their first arguments. */
import { type Call, programOf, readOptions, touch } from '../shell/call.ts';
import { hole, plain } from '../shell/marks.ts';
import { contentOf } from '../shell/redirect.ts';
import type { Judge, Judges } from './judge.ts';

const maxLines = 200;

/** Each line, with the program's own name in front where it isn't one by itself. */
function runLines(call: Call, text: string, prefix: readonly string[], again: Parameters<Judge>[1]): void {
  for (const line of plain(text).split('\n').slice(0, maxLines)) {
    const words = line.trim().split(/\s+/);
    if (words[0] !== '' && !line.startsWith(hole) && !/^\s*[#]/.test(line))
      again([...prefix, ...words], { frame: { ...call.frame, stdin: '' } });
  }
}

/** `ip -batch FILE`, and `-` for the input. */
const ip: Judge = (call, again) => {
  const args = call.argv.slice(1).map(plain);
  const at = args.findIndex((arg) => /^-b(?:a(?:t(?:ch?)?)?)?$/.test(arg));
  if (at === -1) return;
  const file = args[at + 1] ?? '-';
  runLines(call, file === '-' ? call.frame.stdin : contentOf(call.frame, file), ['ip'], again);
};

/** `yum shell`, and its like. */
const packageShell: Judge = (call, again) => {
  const { operands } = readOptions(call.argv.slice(1));
  if (plain(operands[0] ?? '') !== 'shell') return;
  const file = operands[1];
  runLines(call, file === undefined ? call.frame.stdin : contentOf(call.frame, file), ['yum', '-y'], again);
};

/** The commands of LVM, all in one program. */
const lvm: Judge = (call, again) => {
  const args = call.argv.slice(1);
  if (args.length > 0) again(args);
  else runLines(call, call.frame.stdin, [], again);
};

/** `cmake -E`: its portable tools. */
const cmake: Judge = (call, again) => {
  const args = call.argv.slice(1);
  if (plain(args[0] ?? '') !== '-E') return;
  const verb = plain(args[1] ?? '');
  const rest = args.slice(2);
  if (verb === 'rm') again(['rm', ...rest]);
  else if (/^remove(?:_directory)?$/.test(verb))
    for (const path of rest.filter((one) => !plain(one).startsWith('-')))
      touch(call, path, verb === 'remove' ? 'remove' : 'remove tree');
  else if (/^copy|^rename$/.test(verb)) again([verb === 'rename' ? 'mv' : 'cp', ...rest]);
};

/** A program of many names: the first argument says which. */
const multi: Judge = (call, again) => {
  const args = call.argv.slice(1);
  const name = plain(args[0] ?? '');
  if (/^[a-z]/.test(name)) again(args);
  else if (name.startsWith('-') && /iptables|xtables/.test(programOf(call.argv[0] ?? ''))) again(['iptables', ...args]);
};

/** A query tool that is told to write its output to a file. */
const output: Judge = (call) => {
  const texts = [...call.argv.slice(1).map(plain), ...plain(call.frame.stdin).split('\n')];
  for (const text of texts)
    for (const [, path, outfile, written] of text.matchAll(
      /(?:^|\n|;)\s*(?:\.output|\.once|\.backup|\\o|\\g|tee|\\T)\s+["']?(\/[^\s"';]+)|INTO\s+(?:OUT|DUMP)FILE\s+'([^']+)'|\bwritefile\(\s*'([^']+)'/gi,
    ))
      touch(call, path ?? outfile ?? written ?? '', 'replace');
};

export const lineCommandJudges: Judges = {
  ip,
  yum: packageShell,
  dnf: packageShell,
  dnf5: packageShell,
  tdnf: packageShell,
  lvm,
  cmake,
  ...Object.fromEntries(
    ['xtables-nft-multi', 'xtables-legacy-multi', 'xtables-multi', 'busybox.static'].map((name) => [name, multi]),
  ),
  sqlite3: output,
  psql: output,
  mysql: output,
  mariadb: output,
};

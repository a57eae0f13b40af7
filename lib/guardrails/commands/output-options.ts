/** Programs that write where an option or operand says, beside what they are for. One row for each. */
import { normalizePath } from '../paths.ts';
import { protectedPaths } from '../protected-paths.ts';
import { type Call, readOptions, touch } from '../shell/call.ts';
import { plain } from '../shell/marks.ts';
import { runCode } from '../shell/shells.ts';
import type { Judge, Judges } from './judge.ts';

type Row = {
  readonly programs: string;
  /** Options whose value is a file that is written. */
  readonly options?: string;
  /** Other options that take a value. */
  readonly values?: string;
  /** Operands that are written, counted from 0; negative from the end. */
  readonly operands?: readonly number[];
  /** Operands that are written only when there are more than this. */
  readonly above?: number;
  /** Names of files begin with it. */
  readonly prefix?: { readonly option?: string; readonly operand?: number };
};

const rows: readonly Row[] = [
  { programs: 'strace ltrace perf time gtime', options: '-o --output', values: '-e -p -s -u -f' },
  {
    programs: 'script',
    options: '-O -I -B -T --log-out --log-io --log-timing',
    values: '-c -o --command',
    operands: [0],
  },
  { programs: 'tcpdump tshark dumpcap', options: '-w', values: '-i -c -s -r -G -C -z -Z' },
  {
    programs: 'curl',
    options: '-D --dump-header -c --cookie-jar --trace --trace-ascii --stderr --libcurl --etag-save --hsts --alt-svc',
  },
  {
    programs: 'wget',
    options: '-o -a --output-file --append-output --save-cookies --hsts-file --warc-file --rejected-log',
  },
  { programs: 'openssl', options: '-out -keyout -writerand' },
  { programs: 'age rage minisign', options: '-o --output -s -x' },
  { programs: 'uniq', values: '-f -s -w', operands: [1] },
  { programs: 'xxd', values: '-c -g -l -o -s -n', operands: [1] },
  { programs: 'shuf', options: '-o --output', values: '-n -i' },
  { programs: 'ptx', operands: [1] },
  { programs: 'objcopy', values: '-I -O -B -j -R', operands: [-1] },
  { programs: 'strip patchelf execstack chrpath prelink upx', options: '-o', values: '-R -K', operands: [0, 1, 2] },
  { programs: 'ar', operands: [1] },
  { programs: 'ld gcc cc g++ clang as nasm tcc go rustc', options: '-o' },
  { programs: 'split', values: '-a -b -C -l -n --filter', prefix: { operand: 1 } },
  { programs: 'csplit', values: '-b -n', prefix: { option: '-f' } },
  { programs: 'csplit', values: '-f -n', prefix: { option: '-b' } },
  { programs: 'ffmpeg sox convert magick', operands: [-1], above: 0 },
  { programs: 'mysqldump', options: '-r --result-file' },
  { programs: 'pg_dump pg_dumpall pg_restore', options: '-f --file' },
  { programs: 'pandoc jc xsltproc xmllint', options: '-o --output' },
  { programs: 'logger systemd-cat', options: '--file' },
  { programs: 'genisoimage mkisofs xorriso mksquashfs', options: '-o -output', operands: [-1], above: 1 },
  { programs: 'update-ca-trust keytool', options: '-keystore' },
  { programs: 'htpasswd htdigest', values: '-C -n', operands: [0] },
  { programs: 'mkfifo', operands: [0] },
  { programs: 'iptables-save ip6tables-save', options: '-f --file' },
  { programs: 'dot gnuplot', options: '-o' },
  { programs: 'logsave', operands: [0] },
  { programs: 'screen', options: '-Logfile' },
  { programs: 'rlwrap', options: '-l --logfile -H --history-filename' },
  { programs: 'varnishncsa varnishlog', options: '-w' },
  { programs: 'less', options: '-o -O --log-file --LOG-FILE' },
];

const judge =
  (own: readonly Row[]): Judge =>
  (call) => {
    for (const row of own) judgeRow(call, row);
  };

function judgeRow(call: Call, { options = '', values = '', operands = [], above = -1, prefix }: Row): void {
  const written = options.split(' ').filter((one) => one !== '');
  const args = call.argv.slice(1);
  const texts = args.map(plain);
  // Long options of some programs have one dash: they are looked for as they are.
  texts.forEach((arg, i) => {
    const [, name = arg, attached] = /^(--?[\w-]+)=([\s\S]*)$/.exec(arg) ?? [];
    if (written.includes(name)) write(call, attached ?? texts[i + 1] ?? '');
    const glued = /^-[A-Za-z]/.test(arg) && arg.length > 2 && !arg.startsWith('--') ? arg.slice(0, 2) : undefined;
    if (glued !== undefined && written.includes(glued) && !written.includes(arg) && /^[/|]/.test(arg.slice(2)))
      write(call, arg.slice(2));
  });
  const read = readOptions(args, [...written, ...values.split(' ').filter((one) => one !== '')]);
  for (const index of operands) {
    const path = read.operands.at(index);
    if (path !== undefined && read.operands.length > above) write(call, plain(path));
  }
  const start = prefix?.option === undefined ? read.operands[prefix?.operand ?? -1] : read.values.get(prefix.option);
  const value = prefix?.option === undefined ? start : optionValue(texts, prefix.option);
  if (prefix !== undefined && value !== undefined) writeAll(call, plain(value));
}

function optionValue(texts: readonly string[], option: string): string | undefined {
  const at = texts.indexOf(option);
  return at === -1 ? undefined : texts[at + 1];
}

function write(call: Call, path: string): void {
  if (path.startsWith('|')) runCode(call, path.slice(1));
  else if (path !== '-' && path !== '') touch(call, path, 'empty');
}

/** Whatever begins with it: a device, or a protected file. */
function writeAll(call: Call, prefix: string): void {
  if (prefix === '') return;
  const start = normalizePath(prefix, call.frame.scope.cwd);
  const found = protectedPaths.find(
    ({ path, protection }) => protection !== 'standing' && path.startsWith(start) && path !== start,
  );
  touch(call, found?.path ?? `${start}a`, 'empty');
}

/** `socat`: an address that is opened may be written to, unless data only flows the other way. */
const socat: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  const addresses = args.filter((arg) => !arg.startsWith('-'));
  addresses.forEach((address, i) => {
    const [, path = '', options = ''] = /^(?:OPEN|FILE|GOPEN|CREATE|CREAT|OPEN-\w+):([^,]+)(.*)$/i.exec(address) ?? [];
    const isRead = (args.includes('-u') && i === 0) || (args.includes('-U') && i === 1) || /rdonly/.test(options);
    if (path !== '' && !isRead) touch(call, path, 'empty');
  });
};

const xfsIo: Judge = (call) => {
  const texts = call.argv.map(plain);
  if (texts.some((arg) => /^(?:-c)?\s*(?:truncate|pwrite|fpunch|fzero|fcollapse|finsert|mwrite)\b/.test(arg)))
    for (const path of texts.slice(1)) if (path.startsWith('/')) touch(call, path, 'empty');
};

const byProgram = new Map<string, Row[]>();
for (const row of rows)
  for (const name of row.programs.split(' ')) byProgram.set(name, [...(byProgram.get(name) ?? []), row]);

export const outputOptionJudges: Judges = {
  ...Object.fromEntries([...byProgram].map(([name, own]) => [name, judge(own)])),
  socat,
  xfs_io: xfsIo,
};

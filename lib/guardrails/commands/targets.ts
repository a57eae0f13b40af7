/** Programs that write, replace or remove what an option or operand names: packers, unpackers, transfers, editors. */
import { judgePath } from '../judge-path.ts';
import { normalizePath } from '../paths.ts';
import { type Call, programOf, readOptions, reportCall, touch } from '../shell/call.ts';
import { hole, plain, withGlobs } from '../shell/marks.ts';
import { judgePlace } from '../shell/places.ts';
import { contentOf } from '../shell/redirect.ts';
import { judgeWrite } from '../shell/write.ts';
import type { Judge, Judges } from './judge.ts';

/** `gzip FILE` puts another file in its place. */
const packer: Judge = (call) => {
  const { flags, operands } = readOptions(call.argv.slice(1), ['-S', '--suffix', '-T', '-b', '-o']);
  const keeps = ['-c', '-k', '-l', '-t', '--stdout', '--keep', '--list', '--test', '--to-stdout'];
  if (!keeps.some((flag) => flags.has(flag))) for (const path of operands) touch(call, path, 'move');
};

/** What is written where an option says. */
const toOption =
  (...names: readonly string[]): Judge =>
  (call) => {
    const { values } = readOptions(call.argv.slice(1), names);
    for (const name of names) write(call, values.get(name));
  };

/** The last operand is written, unless it is on another machine. */
const toLast =
  (withValue: readonly string[], action: 'replace' | 'edit' = 'replace'): Judge =>
  (call) => {
    const { operands } = readOptions(call.argv.slice(1), withValue);
    const target = operands.at(-1) ?? '';
    if (operands.length > 1 && !/^[^/]*:/.test(plain(target))) touch(call, target, action);
  };

function write(call: Call, path: string | undefined): void {
  if (path === undefined || plain(path) === '-') return;
  judgeWrite(call.frame, path, {
    isAppend: false,
    content: hole,
    offset: call.offset,
    excerpt: call.excerpt,
    isPrepared: true,
  });
}

/** Every operand is changed in its place, if an option says so or none is needed. */
const inPlace =
  (options: readonly string[] = [], values: readonly string[] = []): Judge =>
  (call) => {
    const texts = call.argv.map(plain);
    // Only told about.
    if (texts.some((arg) => /^(?:-i[a-z]{1,8}|--info(?:=.*)?)$/.test(arg) && arg !== '-inplace')) return;
    if (options.length > 0 && !texts.some((arg) => options.some((one) => arg === one || arg.startsWith(`${one}=`))))
      return;
    for (const path of readOptions(call.argv.slice(1), values).operands)
      if (plain(path).startsWith('/')) touch(call, path, 'edit');
  };

/** An editor that is told what to do, so that nobody looks at what it does. */
const editor: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  const isTold =
    call.frame.stdin !== '' ||
    args.some((arg) =>
      /^(?:-c|--cmd|-es|-Es|-s|-e|\+.+|-sc|-scx|--eval|-eval|--execute|--?batch|-f|--funcall)$/.test(arg),
    );
  if (!isTold) return;
  const isEmptied = args.some((arg) =>
    /(?:^|[|+:])\s*(?:silent!?\s+)?(?:%|1,\$|g\/.*\/)\s*d(?:elete)?\b|erase-buffer/.test(arg),
  );
  const { operands } = readOptions(
    call.argv.slice(1).filter((arg) => !/^-[eE]?s?$/.test(plain(arg))),
    ['-c', '--cmd', '-S', '-u', '-T', '-i', '-f', '-l', '--eval', '--load', '--funcall', '--execute'],
  );
  for (const path of [...operands, ...args.filter((_, i) => /^--(?:visit|find-file|file)$/.test(args[i - 1] ?? ''))])
    if (plain(path).startsWith('/')) touch(call, path, isEmptied ? 'empty' : 'edit');
};

const patch: Judge = (call) => {
  const { operands, values } = readOptions(call.argv.slice(1), ['-i', '-p', '-d', '-o', '-B', '-F', '-r', '-z']);
  const target = operands[0];
  if (target !== undefined) touch(call, target, 'edit');
  write(call, values.get('-o'));
  const { cwd } = call.frame.scope;
  const given = values.get('-d') ?? values.get('--directory') ?? cwd;
  if (given === undefined) return;
  const directory = normalizePath(given, cwd);
  const file = values.get('-i') ?? values.get('--input') ?? operands[1];
  const text = plain(file === undefined ? call.frame.stdin : contentOf(call.frame, file));
  const depth = Number(plain(values.get('-p') ?? values.get('--strip') ?? ''));
  const names = [...text.matchAll(/^(?:\+\+\+|---)\s+([^\s\ue000]+)/gm)].slice(0, 100).map(([, name = '']) => name);
  for (const name of target === undefined ? names : []) {
    const parts = name.split('/');
    const kept = values.has('-p') || values.has('--strip') ? parts.slice(depth) : parts.slice(-1);
    touch(call, `${directory}/${kept.join('/')}`, 'edit');
  }
  if (names.length === 0 && target === undefined && text !== '' && isSystem(directory))
    reportCall(call, 'G0603', directory, 'unknown');
};

/** Where everything of a system is below. */
const system = /^\/(?:etc|bin|sbin|lib|lib64|boot|root|usr|var\/lib)?$/;

function isSystem(directory: string): boolean {
  return system.test(directory);
}

/**
 * Unpacking: what is in the archive, nobody knows, but members that are named, and where they go. Over the whole of a
 * system's tree it is unknown; when it is said to replace what is there, it is dangerous.
 */
function unpack(call: Call, directory: string, members: readonly string[], replaces: boolean): void {
  const { cwd } = call.frame.scope;
  const place = normalizePath(directory, cwd);
  for (const member of members) {
    const path = normalizePath(`${place}/${plain(member)}`);
    const isAll = /[*?]/.test(path) && judgePath(withGlobs(path), 'remove') !== undefined;
    if (isAll || judgePlace(call.frame, path, 'replace') !== undefined)
      touch(call, isAll ? withGlobs(path) : path, isAll ? 'remove' : 'replace');
  }
  if (members.length > 0 || !system.test(place)) return;
  if (replaces) reportCall(call, 'G0105', place);
  else reportCall(call, 'G0603', place, 'unknown');
}

const tarValues =
  '-f -C -T -X -I -b --file --directory --files-from --exclude --exclude-from --strip-components --transform --owner --group --mode'.split(
    ' ',
  );

/** After `tar`'s own options; the first may come without a dash. */
export function unpackTar(call: Call): void {
  const args = call.argv.slice(1).map(plain);
  const [first = ''] = args;
  const bundle = /^-?[a-zA-Z]+$/.test(first) ? first.replace(/^-/, '') : '';
  const dashed = bundle !== '' && !first.startsWith('-') ? [`-${first}`, ...call.argv.slice(2)] : call.argv.slice(1);
  const { values, operands, flags } = readOptions(dashed, tarValues);
  const archive = values.get('-f') ?? values.get('--file');
  if (['-c', '-r', '-u', '--create', '--append', '--update'].some((flag) => flags.has(flag))) write(call, archive);
  const isExtract = ['-x', '--extract', '--get'].some((flag) => flags.has(flag));
  if (!isExtract || ['-O', '--to-stdout', '--to-command'].some((flag) => flags.has(flag))) return;
  const directory = values.get('-C') ?? values.get('--directory') ?? call.frame.scope.cwd;
  if (directory === undefined) return;
  const replaces = ['--overwrite', '-U', '--unlink-first', '--recursive-unlink', '--overwrite-dir'];
  unpack(
    call,
    directory,
    values.has('-T') ? [] : operands,
    replaces.some((flag) => flags.has(flag)),
  );
}

const unzip: Judge = (call) => {
  const { values, operands, flags } = readOptions(call.argv.slice(1), ['-d', '-x', '-P']);
  if (['-l', '-t', '-p', '-z', '-v', '-Z'].some((flag) => flags.has(flag))) return;
  const directory = values.get('-d') ?? call.frame.scope.cwd;
  if (directory !== undefined) unpack(call, directory, operands.slice(1), flags.has('-o'));
};

const cpio: Judge = (call) => {
  const { values, flags, operands } = readOptions(call.argv.slice(1), ['-D', '--directory', '-F', '-I', '-E', '-H']);
  const directory = values.get('-D') ?? values.get('--directory') ?? call.frame.scope.cwd;
  // Passed through from one tree to another.
  if (flags.has('-p') && operands[0] !== undefined) unpack(call, operands[0], [], flags.has('-u'));
  if ((flags.has('-i') || flags.has('--extract')) && !flags.has('-t') && directory !== undefined)
    unpack(call, directory, operands, flags.has('-u') || flags.has('--unconditional'));
};

const awk: Judge = (call) => {
  const { values, operands } = readOptions(call.argv.slice(1), ['-F', '-v', '-f', '-i', '--include']);
  if (plain(values.get('-i') ?? values.get('--include') ?? '') !== 'inplace') return;
  for (const path of operands.slice(values.has('-f') ? 0 : 1)) touch(call, path, 'edit');
};

const outputOption =
  /^(?:-o|-O|-o[NGXSA]|--?(?:out|output|out-?file|output-?file|log-?file|Logfile|log-output|report-?file|result-?file|save|save-to|save-as|write-to|dump-file|trace-file|file-out|csv-out|pcap-file))$/;

/** Any program: what it says it writes to is judged, where that may never be anybody's output. */
export function judgeOutputOption(call: Call): void {
  if (
    call.argv.length > 64 ||
    /^(?:ps|mount|ssh|scp|apt|apt-get|lsblk|column|dracut|mkinitr[a-z]+|mkinitcpio|ukify|ip6?tables-save)$/.test(
      programOf(call.argv[0] ?? ''),
    )
  )
    return;
  call.argv.slice(1).forEach((arg, i) => {
    const text = plain(arg);
    const value = outputOption.test(text)
      ? (call.argv[i + 2] ?? '')
      : outputOption.test(text.replace(/=.*$/s, '')) && text.startsWith('--')
        ? (/^[^=]*=([\s\S]+)$/.exec(arg)?.[1] ?? '')
        : '';
    const isMade = /^grub2?-mkconfig$/.test(programOf(call.argv[0] ?? '')) && plain(value).startsWith('/boot/');
    if (!isMade && plain(value).startsWith('/') && judgePath(value, 'edit') !== undefined)
      touch(call, value, 'replace');
  });
}

const qemuImg: Judge = (call) => {
  const { operands } = readOptions(call.argv.slice(1), ['-f', '-O', '-o', '-s', '-S', '-m', '-t', '-T', '-b', '-F']);
  const verb = plain(operands[0] ?? '');
  const target = verb === 'create' ? operands[1] : verb === 'convert' ? operands.at(-1) : undefined;
  if (target !== undefined) touch(call, target, 'empty');
};

const sevenZip: Judge = (call) => {
  const directory = call.argv.map(plain).find((arg) => /^-o\//.test(arg));
  const replaces = call.argv.some((arg) => /^-(?:aoa|y)$/.test(plain(arg)));
  if (/^[ex]$/.test(plain(call.argv[1] ?? '')) && directory !== undefined)
    unpack(call, directory.slice(2), [], replaces);
};

/** `unrar x ARCHIVE [FILE…] DIRECTORY/` */
const unrar: Judge = (call) => {
  const { operands } = readOptions(call.argv.slice(1), []);
  const directory = operands.slice(2).findLast((one) => plain(one).endsWith('/')) ?? call.frame.scope.cwd;
  const replaces = call.argv.some((arg) => /^-(?:o\+|y)$/.test(plain(arg)));
  if (/^[ex]$/.test(plain(operands[0] ?? '')) && directory !== undefined) unpack(call, directory, [], replaces);
};

/** Options of one dash may be long there, so they are looked for as they are. */
function unpackTo(options: readonly string[], forced: readonly string[] = []): Judge {
  return (call) => {
    const args = call.argv.slice(1).map(plain);
    const at = args.findIndex((arg) => options.includes(arg));
    const attached = args.find((arg) => options.some((option) => arg.startsWith(`${option}=`)));
    const directory = attached?.replace(/^[^=]*=/, '') ?? (at === -1 ? undefined : args[at + 1]);
    if (directory !== undefined)
      unpack(
        call,
        directory,
        [],
        args.some((arg) => forced.includes(arg)),
      );
  };
}

/** `pax -r`, and `pax -rw FILE… DIRECTORY`. */
const pax: Judge = (call) => {
  const { flags, operands } = readOptions(call.argv.slice(1), ['-f', '-s', '-o', '-x', '-b']);
  const directory = flags.has('-w') ? operands.at(-1) : call.frame.scope.cwd;
  if (!flags.has('-r') || directory === undefined) return;
  const members = flags.has('-w') ? operands.slice(0, -1).map((one) => plain(one).replace(/^.*\//, '')) : operands;
  unpack(call, directory, members, false);
};

/** `rename EXPRESSION FILE…`, `rename FROM TO FILE…` */
const renamer: Judge = (call) => {
  const { operands } = readOptions(call.argv.slice(1), ['-e', '-E', '-d']);
  for (const path of operands.slice(1)) if (plain(path).startsWith('/')) touch(call, path, 'move');
};

export const targetJudges: Judges = {
  ...Object.fromEntries(
    ['gzip', 'bzip2', 'xz', 'zstd', 'lzma', 'lz4', 'compress', 'lzop', 'gunzip', 'bunzip2', 'unxz'].map((name) => [
      name,
      packer,
    ]),
  ),
  gpg: toOption('-o', '--output'),
  gpg2: toOption('-o', '--output'),
  openssl: toOption('-out'),
  scp: toLast(['-i', '-P', '-o', '-F', '-c', '-l', '-S', '-J']),
  rsync: toLast([], 'replace'),
  patch,
  unzip,
  cpio,
  bsdcpio: cpio,
  ...Object.fromEntries(['7z', '7za', '7zr', '7zz'].map((name) => [name, sevenZip])),
  unrar,
  rar: unrar,
  unsquashfs: unpackTo(['-d', '-dest'], ['-f', '-force']),
  unar: unpackTo(['-o', '-output-directory'], ['-f', '-force-overwrite']),
  ar: unpackTo(['--output']),
  bsdunzip: unzip,
  pax,
  awk,
  gawk: awk,
  ...Object.fromEntries(
    'dos2unix unix2dos mac2unix recode rpl sd crudini ini-file fromdos todos nkf detab uconv'
      .split(' ')
      .map((name) => [name, inPlace()]),
  ),
  yq: inPlace(['-i', '--inplace', '-yi']),
  xmlstarlet: inPlace(['-L', '--inplace']),
  xml: inPlace(['-L', '--inplace']),
  tidy: inPlace(['-m', '-modify']),
  shfmt: inPlace(['-w']),
  jaq: inPlace(['-i', '--in-place']),
  dasel: inPlace(['put', 'delete']),
  vim: editor,
  vi: editor,
  nvim: editor,
  ex: editor,
  emacs: editor,
  ...Object.fromEntries(
    ['rename', 'prename', 'file-rename', 'perl-rename', 'rename.ul'].map((name) => [name, renamer]),
  ),
  mmv: (call) => touch(call, withGlobs(plain(call.argv.find((arg) => plain(arg).startsWith('/')) ?? '')), 'move'),
  zip: (call) => write(call, readOptions(call.argv.slice(1), ['-x', '-i', '-P', '-T', '-TT']).operands[0]),
  'qemu-img': qemuImg,
};

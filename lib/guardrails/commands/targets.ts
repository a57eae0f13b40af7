/** Programs that write, replace or remove what an option or operand names: packers, unpackers, transfers, editors. */
import { judgePath } from '../judge-path.ts';
import { normalizePath } from '../paths.ts';
import { type Call, programOf, readOptions, reportCall, touch } from '../shell/call.ts';
import { hole, plain, withGlobs } from '../shell/marks.ts';
import { judgePlace } from '../shell/places.ts';
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

/** Every operand is changed in its place. */
const inPlace: Judge = (call) => {
  for (const path of readOptions(call.argv.slice(1), ['-c', '--cmd', '-S', '-s', '-u', '-T', '-i']).operands)
    if (plain(path).startsWith('/')) touch(call, path, 'edit');
};

/** An editor that is told what to do, so that nobody looks at what it does. */
const editor: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  const isTold = call.frame.stdin !== '' || args.some((arg) => /^(?:-c|--cmd|-es|-Es|-s|-e|\+.+|-sc|-scx)$/.test(arg));
  if (isTold) inPlace(call, () => '');
};

const patch: Judge = (call) => {
  const { operands, values } = readOptions(call.argv.slice(1), ['-i', '-p', '-d', '-o', '-B', '-F', '-r', '-z']);
  const target = operands[0];
  if (target !== undefined) touch(call, target, 'edit');
  write(call, values.get('-o'));
};

const system = /^\/(?:etc|bin|sbin|lib|lib64|boot|root|usr|var\/lib)?$/;

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
    const value = /^(?:-o|-O|--out|--output|--outfile|--output-file)$/.test(text)
      ? (call.argv[i + 2] ?? '')
      : (/^(?:--output|--out|--outfile|--output-file)=([\s\S]+)$/.exec(arg)?.[1] ?? '');
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
  '7z': (call) => {
    const directory = call.argv.map(plain).find((arg) => /^-o\//.test(arg));
    if (/^[ex]$/.test(plain(call.argv[1] ?? '')) && directory !== undefined)
      unpack(
        call,
        directory.slice(2),
        [],
        call.argv.some((arg) => plain(arg) === '-aoa'),
      );
  },
  awk,
  gawk: awk,
  vim: editor,
  vi: editor,
  nvim: editor,
  ex: editor,
  emacs: editor,
  mmv: (call) => touch(call, withGlobs(plain(call.argv.find((arg) => plain(arg).startsWith('/')) ?? '')), 'move'),
  zip: (call) => write(call, readOptions(call.argv.slice(1), ['-x', '-i', '-P', '-T', '-TT']).operands[0]),
  'qemu-img': qemuImg,
};

/** Programs that remove, move, copy, link or change files and their modes. */

import { judgePath } from '../judge-path.ts';
import { normalizePath } from '../paths.ts';
import { type Call, findingOfCall, programOf, readOptions, reportCall, touch } from '../shell/call.ts';
import { rememberLink } from '../shell/links.ts';
import { hasHole, hole, plain, withoutRuns } from '../shell/marks.ts';
import { contentOf } from '../shell/redirect.ts';
import { judgeSettings } from '../shell/settings.ts';
import { judgeWrite } from '../shell/write.ts';
import type { Judge, Judges } from './judge.ts';
import { judgeMode } from './modes.ts';
import { unpackTar } from './targets.ts';

const rm: Judge = (call) => {
  const { flags, operands } = readOptions(call.argv.slice(1), ['--interactive']);
  const isRecursive =
    call.isForTree === true ||
    ['-r', '-R', '--recursive'].some((flag) => flags.has(flag)) ||
    [...flags].some((flag) => /^--r/.test(flag));
  for (const path of operands) remove(call, path, isRecursive);
  if (flags.has('--no-preserve-root') && operands.length === 0) reportCall(call, 'G0603');
};

/** Relative to a directory that nothing has set, all of it: the agent's own is the root. */
function remove(call: Call, path: string, isRecursive: boolean): void {
  const { cwd } = call.frame.scope;
  if (
    cwd === undefined &&
    isRecursive &&
    /^(?:\.{0,2}\/?)*(?:[\ue001.]*\ue001[\ue001.]*|\.\.?|\.\.?\/)?$/.test(plain(path)) &&
    plain(path) !== ''
  ) {
    reportCall(call, 'G0101', path);
    return;
  }
  const isHostKey = !isRecursive && judgePath(path, 'remove', cwd)?.rule === 'G0402' && /ssh_host_/.test(plain(path));
  // New ones may be made in the same breath.
  if (isHostKey) call.frame.scan.down.set('host keys', [findingOfCall(call, 'G0402', path)]);
  else touch(call, path, isRecursive ? 'remove tree' : 'remove');
  // A unit that nothing wants any more is disabled.
  const unit = /^\/etc\/systemd\/system\/[^/]+\.(?:wants|requires)\/([^/]+)$/.exec(normalizePath(path, cwd))?.[1];
  if (unit !== undefined) reportUnit(call, unit);
}

const unlink: Judge = (call) => {
  for (const path of readOptions(call.argv.slice(1), ['-n', '-s', '--size', '--iterations']).operands)
    touch(call, path, call.isForTree === true ? 'remove tree' : 'remove');
};

const shred: Judge = (call) => {
  for (const path of readOptions(call.argv.slice(1), ['-n', '-s', '--size', '--iterations']).operands)
    touch(call, path, 'empty');
};

const mv: Judge = (call) => {
  const { operands, target } = sourcesAndTarget(call, ['-S', '-t', '--suffix', '--target-directory']);
  for (const path of operands) touch(call, path, 'move');
  if (target !== undefined) put(call, operands, target);
};

const cp: Judge = (call) => {
  const { operands, target } = sourcesAndTarget(call, [
    '-S',
    '-t',
    '--suffix',
    '--target-directory',
    '-m',
    '-o',
    '-g',
    '--mode',
    '--owner',
    '--group',
    '--context',
  ]);
  const options = readOptions(call.argv.slice(1), ['-m', '-o', '-g', '--mode', '--owner', '--group', '-t']);
  if (programOf(call.argv[0] ?? '') === 'install') {
    judgeMode(
      call,
      options.values.get('-m') ?? options.values.get('--mode') ?? '',
      operands.concat(target ?? []),
      false,
    );
    if (options.flags.has('-d')) return;
  }
  if (target !== undefined) put(call, operands, target);
};

function sourcesAndTarget(
  call: Call,
  withValue: readonly string[],
): { operands: readonly string[]; target: string | undefined } {
  const { operands, values } = readOptions(call.argv.slice(1), withValue);
  const named = values.get('-t') ?? values.get('--target-directory');
  if (named !== undefined) return { operands, target: `${named}/` };
  return operands.length > 1
    ? { operands: operands.slice(0, -1), target: operands.at(-1) }
    : { operands, target: undefined };
}

/** The sources at the target: under their own names where that is a directory. */
function put(call: Call, sources: readonly string[], target: string): void {
  const { scan, scope } = call.frame;
  const isDirectory = sources.length > 1 || /\/\.?$/.test(plain(target));
  const raw = normalizePath(target, scope.cwd);
  for (const source of sources) {
    const name = plain(source).replace(/\/+$/, '').replace(/^.*\//, '');
    const places = isDirectory ? [`${target.replace(/\/+$/, '')}/${name}`] : [target, `${target}/${name}`];
    for (const place of places.slice(0, hasHole(name) ? 1 : 2)) {
      const isEmpty = plain(source) === '/dev/null';
      const content = isEmpty ? '' : contentOf(call.frame, source);
      // A tree that the source itself has filled: each file of it arrives.
      const from = `${normalizePath(source, scope.cwd).replace(/\/$/, '')}/`;
      const inside = /\/\.$/.test(plain(source)) || !isDirectory ? '' : `/${name}`;
      for (const [path, text] of [...scan.files]
        .filter(([path]) => path.startsWith(from) && from !== '//')
        .slice(0, 50))
        judgeWrite(call.frame, `${raw === '/' ? '' : raw}${inside}/${path.slice(from.length)}`, {
          isAppend: false,
          content: text,
          offset: call.offset,
          excerpt: call.excerpt,
          isPrepared: text !== '',
        });
      const isRaw = /^\/dev\//.test(raw) && place !== target;
      if (!isRaw)
        judgeWrite(call.frame, place, {
          isAppend: false,
          content,
          offset: call.offset,
          excerpt: call.excerpt,
          isPrepared: !isEmpty,
        });
      const real = scan.programs.get(normalizePath(source, scope.cwd)) ?? name;
      if (/\/s?bin\//.test(normalizePath(source, scope.cwd)) || scan.programs.has(normalizePath(source, scope.cwd))) {
        const path = normalizePath(place, scope.cwd);
        // These do what their name says.
        scan.programs.set(path, /^(?:busybox|toybox)$/.test(real) ? programOf(path) : real);
        scan.files.delete(path);
      } else if (content === hole && !scan.files.has(normalizePath(source, scope.cwd))) {
        // A file that was there before is as good under its new name.
        scan.files.delete(normalizePath(place, scope.cwd));
      }
    }
  }
}

const ln: Judge = (call) => {
  const { flags, operands, values } = readOptions(call.argv.slice(1), ['-S', '-t', '--suffix', '--target-directory']);
  const source = operands[0];
  const given = values.get('-t') ?? values.get('--target-directory') ?? operands[1];
  if (source === undefined) return;
  const name = plain(source).replace(/\/+$/, '').replace(/^.*\//, '');
  const isInside = given === undefined || values.size > 0 || /\/\.?$|^\.$/.test(plain(given));
  const target = isInside ? `${plain(given ?? '.').replace(/\/\.?$/, '')}/${name}` : given;
  const unit = /^\/etc\/systemd\/system\/([^/]+\.\w+)$/.exec(plain(target))?.[1];
  if (unit === 'default.target' && !/\/(?:multi-user|graphical|runlevel[2345])\.target$/.test(plain(source)))
    reportCall(call, 'G0305', source);
  if (plain(source) === '/dev/null' && unit !== undefined) reportUnit(call, unit);
  const { scan, scope } = call.frame;
  if (flags.has('-n') || flags.has('-T')) touch(call, target, 'move');
  if (flags.has('-f') || flags.has('--force')) touch(call, target, plain(source) === '/dev/null' ? 'empty' : 'replace');
  const path = normalizePath(target, scope.cwd);
  const real = scan.programs.get(normalizePath(source, scope.cwd)) ?? programOf(source);
  // These do what their name says.
  if (/^(?:busybox|toybox)$/.test(real)) scan.programs.set(path, programOf(path));
  else if (/\/s?bin\//.test(plain(source)) || scan.programs.has(normalizePath(source, scope.cwd)))
    scan.programs.set(path, real);
  const isSymbolic = flags.has('-s') || flags.has('--symbolic');
  rememberLink(call.frame, target, source, isSymbolic ? 'symbolic' : 'hard');
};

function reportUnit(call: Call, unit: string): void {
  call.frame.scan.runText(`systemctl mask ${unit}`, { ...call.frame, at: undefined, source: call.frame.source });
}

/** An empty file, if there was none. */
const touchFile: Judge = (call) => {
  const { files } = call.frame.scan;
  for (const path of readOptions(call.argv.slice(1), ['-d', '-t', '-r', '--date', '--reference']).operands) {
    const name = normalizePath(path, call.frame.scope.cwd);
    if (!files.has(name) && files.size < 200) files.set(name, '');
    judgeSettings(call.frame, path, { content: '', offset: call.offset, excerpt: call.excerpt });
  }
};

const truncate: Judge = (call) => {
  for (const path of readOptions(call.argv.slice(1), ['-s', '-r', '--size', '--reference']).operands)
    write(call, path, '', false);
};

const tee: Judge = (call) => {
  const { flags, operands } = readOptions(call.argv.slice(1));
  for (const path of operands) write(call, path, call.frame.stdin, flags.has('-a') || flags.has('--append'));
};

const sponge: Judge = (call) => {
  for (const path of readOptions(call.argv.slice(1)).operands) write(call, path, hole, call.argv.includes('-a'));
};

function write(call: Call, path: string, content: string, isAppend: boolean): void {
  judgeWrite(call.frame, path, { isAppend, content, offset: call.offset, excerpt: call.excerpt });
}

/** Every script of `sed`, from options and files, in their order. */
function scriptsOf(call: Call): string {
  const args = call.argv.slice(1);
  return args
    .flatMap((arg, i) => {
      const [, option, attached = ''] = /^(-[a-zA-Z]*[ef]|--expression|--file)(?:=?([\s\S]*))$/.exec(plain(arg)) ?? [];
      if (option === undefined) return [];
      const value = attached === '' ? (args[i + 1] ?? '') : attached;
      return [/f$|^--file/.test(option) ? contentOf(call.frame, value) : plain(value)];
    })
    .join('\n');
}

const sed: Judge = (call, _again) => {
  const { flags, operands, values } = readOptions(call.argv.slice(1), ['-e', '-f', '--expression', '--file']);
  const hasScript = ['-e', '-f', '--expression', '--file'].some((name) => values.has(name));
  const program = plain(hasScript ? scriptsOf(call) : (operands[0] ?? ''));
  const executed =
    /(?:^|[;\n{]|\d|\$|\/)\s*e\s+([^;\n]+)|^(?:\d+|\$|\/[^/]*\/)?s(.)(?:\\.|(?!\2).)*\2((?:\\.|(?!\2).)*)\2[gpi0-9]*e/.exec(
      withoutRuns(program),
    );
  const code = executed?.[1] ?? executed?.[3];
  if (code !== undefined && code.trim() !== '')
    call.frame.scan.runText(code.replace(/\\(.)/g, '$1'), { ...call.frame, at: undefined });
  const files = hasScript ? operands : operands.slice(1);
  const inserted = [
    ...withoutRuns(program).matchAll(
      /(?:^|[;\n}])\s*(?:\d+|\$|\/(?:\\.|[^/])*\/)?\s*[iac]\\?\s*([^\n]+)|\bs(.)(?:\\.|(?!\2).)*\2((?:\\.|(?!\2).)*)\2/g,
    ),
  ]
    .map((match) => match[1] ?? match[3] ?? '')
    .join('\n');
  const isInPlace =
    flags.has('-i') || flags.has('--in-place') || [...flags].some((flag) => flag.startsWith('--in-place'));
  const empties = /^\s*(?:1,\$|\/\.?\*?\/)?\s*d\s*;?\s*$/.test(program);
  if (isInPlace) {
    for (const path of files) {
      touch(call, path, empties ? 'empty' : 'edit');
      judgeSettings(call.frame, path, {
        content: inserted.replace(/\\n/g, '\n').replaceAll('\\/', '/').replaceAll('\\"', '"'),
        offset: call.offset,
        excerpt: call.excerpt,
      });
    }
  }
  const written = /(?:^|[;\n}/])\s*w\s+(\/\S+)/.exec(withoutRuns(program))?.[1];
  if (written !== undefined) write(call, written, hole, false);
};

const sort: Judge = (call) => {
  const { values } = readOptions(call.argv.slice(1), ['-o', '--output', '-k', '-t', '-S', '-T']);
  const target = values.get('-o') ?? values.get('--output');
  if (target !== undefined) touch(call, target, 'replace');
};

const rsync: Judge = (call) => {
  const { operands, flags, values } = readOptions(call.argv.slice(1), [
    '-e',
    '--rsh',
    '--exclude',
    '--include',
    '-f',
    '--filter',
    '--bwlimit',
    '--log-file',
    '--chmod',
    '--chown',
  ]);
  const shell = values.get('-e') ?? values.get('--rsh');
  if (shell !== undefined && !/^\s*\S*ssh\b/.test(plain(shell)))
    call.frame.scan.runText(plain(shell), { ...call.frame, at: undefined });
  const target = operands.at(-1) ?? '';
  if ([...flags].some((flag) => flag.startsWith('--del')) && !plain(target).includes(':'))
    touch(call, target, 'remove tree');
  if (flags.has('--remove-source-files'))
    for (const path of operands.slice(0, -1)) if (!plain(path).includes(':')) touch(call, path, 'remove tree');
};

/** What `-T` names, where it is known. */
function listed(call: Call): string[] {
  const args = call.argv.map(plain);
  const at = args.findIndex((arg) => /^(?:-\w*T|--files-from)$/.test(arg));
  const content = at === -1 ? '' : plain(args[at + 1] === '-' ? call.frame.stdin : contentOf(call.frame, args[at + 1]));
  return content.split(/[\n\0]/, 100).filter((line) => line.startsWith('/'));
}

const tar: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  for (const [i, arg] of args.entries()) {
    const code =
      /^--(?:checkpoint-action=exec|to-command|use-compress-program|rmt-command|info-script)=(.+)$/.exec(arg)?.[1] ??
      (/^-I$|^-F$|^--to-command$|^--use-compress-program$/.test(arg) ? args[i + 1] : undefined);
    if (code !== undefined) call.frame.scan.runText(code, { ...call.frame, at: undefined });
  }
  unpackTar(call);
  if (args.includes('--remove-files'))
    for (const path of [...readOptions(call.argv.slice(1), ['-f', '-C', '-T']).operands, ...listed(call)])
      touch(call, path, 'remove tree');
};

export const fileJudges: Judges = {
  rm,
  unlink,
  srm: rm,
  trash: rm,
  shred,
  wipe: shred,
  scrub: shred,
  mv,
  cp,
  install: cp,
  ln,
  link: ln,
  touch: touchFile,
  truncate,
  tee,
  sponge,
  sed,
  gsed: sed,
  sort,
  rsync,
  tar,
  bsdtar: tar,
};

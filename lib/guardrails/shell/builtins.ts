/** The shell's own commands that change what others mean: `cd`, `eval`, `.`, `alias`, `read`, `set`, `trap` and so on. */

import { normalizePath } from '../paths.ts';
import { type Call, programOf, quote, readOptions, reportCall, touch } from './call.ts';
import { decodeEscapes } from './escapes.ts';
import { evaluateText } from './evaluation.ts';
import { resolved } from './links.ts';
import { listing } from './listings.ts';
import { hole, plain, split, taints, withGlobs, withoutGlobs } from './marks.ts';
import { formatPrintf } from './output.ts';
import { contentOf } from './redirect.ts';
import { assign } from './scan.ts';
import { runCode } from './shells.ts';
import { assignTo } from './variables.ts';

type Again = (argv: readonly string[], changes?: Partial<Call>) => string;

/** What the built-in prints; undefined when the name is none of these. */
export function runBuiltin(call: Call, name: string, again: Again): string | undefined {
  const { frame, argv } = call;
  const args = argv.slice(1);
  const { scope } = frame;
  switch (name) {
    case 'cd':
    case 'chdir': {
      const target = args.find((arg) => !/^-(?:[LPe@]+|-)$/.test(plain(arg))) ?? '/root';
      changeDirectory(call, target);
      return '';
    }
    case 'pushd':
    case 'popd':
      turnStack(call, name, args);
      return '';
    case 'eval':
      return runCode(call, args.join(' '));
    case '.':
    case 'source':
      return source(call, args);
    case 'exec':
      return runInstead(args, again);
    case 'command':
    case 'builtin': {
      if (/^-[vV]$/.test(plain(args[0] ?? ''))) return listing('which', args.slice(1));
      const operands = args
        .filter((arg, i) => i > 0 || plain(arg) !== '-p')
        .filter((arg, i) => i > 0 || plain(arg) !== '--');
      // Functions and aliases of that name are passed over.
      const bare = { ...scope, functions: new Map(), aliases: new Map() };
      const printed = again(operands, { frame: { ...frame, scope: bare } });
      scope.cwd = bare.cwd;
      return printed;
    }
    // Words of the grammar, where the parser took one for a name.
    case '{':
    case '}':
    case 'if':
    case 'then':
    case 'else':
    case 'elif':
    case 'while':
    case 'until':
    case 'do':
      return again(args);
    case 'time': {
      const { values, operands } = readOptions(args, ['-f', '-o', '--output', '--format'], true);
      const file = values.get('-o') ?? values.get('--output');
      if (file !== undefined) touch(call, file, 'empty');
      return again(operands);
    }
    case 'coproc':
    case '!':
      return again(readOptions(args, ['-f', '-o'], true).operands);
    case 'alias':
      for (const arg of args) {
        const [, alias, value] = /^([^=]+)=([\s\S]*)$/.exec(plain(arg)) ?? [];
        if (alias !== undefined && value !== undefined) scope.aliases.set(alias, value);
      }
      return '';
    case 'unalias':
      for (const arg of args) scope.aliases.delete(plain(arg));
      return '';
    case 'set': {
      const at = args.findIndex((arg) => plain(arg) === '--');
      const operands =
        at >= 0
          ? args.slice(at + 1)
          : readOptions(args, ['-o'], true).operands.filter((arg, i) => i > 0 || !arg.startsWith('+'));
      if (at >= 0 || operands.length > 0) scope.positional = operands;
      return '';
    }
    case 'shift':
      scope.positional = scope.positional?.slice(Number(plain(args[0] ?? '1')) || 1);
      return '';
    case 'trap':
      // It runs at the end, with what the variables hold then.
      if (args.length > 1 && !plain(args[0] ?? '').startsWith('-') && frame.scan.traps.length < 32)
        frame.scan.traps.push(() => runCode({ ...call, frame: { ...frame, stdin: '' } }, args[0] ?? ''));
      return '';
    case 'read':
    case 'mapfile':
    case 'readarray':
      read(call, name, args);
      return '';
    case 'printf':
      if (plain(args[0] ?? '') !== '-v') return undefined;
      expandIndex(call, args[1]);
      assignTo(frame, plain(args[1] ?? ''), [formatPrintf(args.slice(2))]);
      return '';
    case 'unset':
      for (const arg of args) {
        expandIndex(call, arg);
        if (scope.branches === 0) scope.variables.delete(plain(arg));
      }
      return '';
    case 'let':
      for (const arg of args) evaluateText(withoutGlobs(arg), frame);
      return '';
    case 'export':
    case 'local':
    case 'readonly':
    case 'declare':
    case 'typeset':
      declareNames(call, args);
      return '';
    case 'getopts':
      options(call, args);
      return '';
    case 'hash': {
      const { values, operands } = readOptions(args, ['-p']);
      const path = values.get('-p');
      if (path !== undefined) frame.scan.programs.set(plain(operands[0] ?? ''), programOf(path));
      return '';
    }
    case 'enable': {
      const library = readOptions(args, ['-f']).values.get('-f');
      if (library !== undefined && /^\/?(?:tmp|var\/tmp|dev\/shm)\//.test(plain(library)))
        reportCall(call, 'G0504', library);
      return '';
    }
    case 'test':
    case '[':
      args.forEach((arg, i) => {
        if (plain(args[i - 1] ?? '') === '-v') expandIndex(call, arg);
        if (/^-(?:eq|ne|lt|le|gt|ge)$/.test(plain(arg)))
          for (const side of [args[i - 1], args[i + 1]]) expandIndex(call, side);
      });
      return '';
    case ':':
    case 'true':
    case 'false':
    case 'return':
    case 'exit':
    case 'wait':
    case 'umask':
    case 'ulimit':
    case 'sleep':
      return '';
    default:
      return undefined;
  }
}

/** `exec -a NAME`: a program of many names does what this one says. */
function runInstead(args: readonly string[], again: Again): string {
  const { operands, values } = readOptions(args, ['-a'], true);
  const name = values.get('-a');
  const isMulti = /^(?:busybox|toybox)(?:\.\w+)?$/.test(programOf(operands[0] ?? ''));
  return again(name !== undefined && isMulti ? [programOf(name), ...operands.slice(1)] : operands);
}

function changeDirectory({ frame }: Call, target: string): void {
  const { scope } = frame;
  const before = scope.cwd;
  const old = scope.variables.get('OLDPWD')?.values[0];
  scope.cwd =
    plain(target) === '-'
      ? (old ?? hole)
      : normalizePath(resolved(frame, withoutGlobs(plain(target)), undefined), scope.cwd);
  scope.variables.set('OLDPWD', { values: [before ?? `/${hole}`], isList: false });
}

/** `pushd` and `popd`: what is below the directory on top. */
function turnStack(call: Call, name: string, args: readonly string[]): void {
  const { scope } = call.frame;
  const target = args.find((arg) => !/^[-+]/.test(plain(arg)));
  if (name === 'popd') changeDirectory(call, scope.directories.pop() ?? hole);
  else if (target === undefined) {
    const [top, below] = [scope.cwd ?? hole, scope.directories.pop()];
    changeDirectory(call, below ?? hole);
    scope.directories.push(top);
  } else {
    scope.directories.push(scope.cwd ?? hole);
    changeDirectory(call, target);
  }
}

/** Names without a value, and assignments that came out of an expansion. */
function declareNames({ frame }: Call, args: readonly string[]): void {
  const flags = args.filter((arg) => /^-/.test(plain(arg))).join('');
  for (const arg of args.filter((one) => !/^[-+]/.test(plain(one)))) {
    const [, variable, value] = /^(\w+(?:\[[^\]]*\])?)=([\s\S]*)$/.exec(plain(arg)) ?? [];
    const name = variable ?? plain(arg);
    if (flags.includes('i')) frame.scope.variables.set(`${name}=`, { values: ['integer'], isList: false });
    if (flags.includes('A')) frame.scope.variables.set(`${name}=`, { values: ['map'], isList: false });
    if (value === undefined) continue;
    if (flags.includes('n')) assign(frame.scope, `&${name}`, [value]);
    else
      assignTo(
        frame,
        name,
        /^\(.*\)$/s.test(value) ? [value.slice(1, -1).trim().replace(/\s+/g, split)] : [value],
        /^\(/.test(value),
      );
  }
}

/** `getopts`: each option that is there, and the values of those that have one. */
function options({ frame }: Call, args: readonly string[]): void {
  const { scope } = frame;
  const [spec = '', name = 'OPT', ...given] = args.map(plain);
  const list = given.length > 0 ? given : scope.positional;
  const { flags, values } = readOptions(
    list ?? [],
    [...spec.matchAll(/(\w):/g)].map(([, letter]) => `-${letter}`),
    true,
  );
  const isKnown = list !== undefined && !list.some((one) => one.includes(hole));
  assign(scope, name, isKnown ? [...flags].map((flag) => flag.slice(1)) : [hole]);
  assign(scope, 'OPTARG', isKnown && values.size > 0 ? [...values.values()] : isKnown ? [''] : [hole]);
}

/** The index of an array element is arithmetic, and what is in that is expanded once more: `a[$(command)]`. */
function expandIndex({ frame }: Call, name: string | undefined): void {
  const index = /\[(.*)\]/s.exec(withoutGlobs(plain(name ?? '')))?.[1];
  if (index !== undefined) evaluateText(index, frame);
}

/** Code of a file runs in this very shell. One that was there before is trusted like a program; a name we can't see isn't. */
function source(call: Call, args: readonly string[]): string {
  const path = args[0] ?? '';
  const content = contentOf(call.frame, path);
  if (content !== hole) return runCode(call, content);
  const name = plain(path);
  if (name.replaceAll(hole, '').replace(/[/.]/g, '') === '' || /^\/dev\/(?:fd\/|stdin)/.test(name)) {
    reportCall(call, 'G0602', path);
  }
  return hole;
}

function read(call: Call, name: string, args: readonly string[]): void {
  const { scope, stdin } = call.frame;
  const { operands, flags, values } = readOptions(
    args,
    name === 'read' ? ['-d', '-n', '-N', '-p', '-t', '-u', '-i'] : ['-d', '-n', '-O', '-s', '-u', '-c', '-C'],
  );
  const names = operands.map(plain);
  const text = plain(stdin).replace(/\n+$/, '');
  if (name !== 'read') {
    const delimiter = decodeEscapes(plain(values.get('-d') ?? '\n'));
    const items = text
      .split(delimiter === '' ? '\0' : delimiter)
      .filter((item, i, all) => item !== '' || i < all.length - 1);
    assign(scope, names[0] ?? 'MAPFILE', [items.join(split)], true);
    const callback = values.get('-C');
    if (callback !== undefined) for (const item of items.slice(0, 16)) runCode(call, `${callback} 0 ${quote([item])}`);
    return;
  }
  const line = text.split('\n')[0] ?? '';
  const isKnown = !line.includes(hole) && line !== '';
  const separators = call.environment?.get('IFS') ?? scope.variables.get('IFS')?.values[0] ?? ' \t';
  const words = isKnown
    ? line.split(new RegExp(`[${separators.replace(/[\]\\^-]/g, '\\$&') || '\\n'}]+`)).filter((word) => word !== '')
    : [];
  if (flags.has('-a')) {
    assign(scope, names[0] ?? 'REPLY', [isKnown ? words.map(withGlobs).join(split) : hole], true);
    return;
  }
  if (names.length === 0) assign(scope, 'REPLY', [isKnown ? line : hole]);
  names.forEach((one, i) => {
    const value = i === names.length - 1 ? words.slice(i).join(' ') : (words[i] ?? '');
    const unknown = (line.includes(hole) && names.length === 1 ? line : hole) + taints(stdin);
    assign(scope, one, [isKnown ? value : unknown]);
  });
}

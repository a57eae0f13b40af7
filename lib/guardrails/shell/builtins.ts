/** The shell's own commands that change what others mean: `cd`, `eval`, `.`, `alias`, `read`, `set`, `trap` and so on. */

import { normalizePath } from '../paths.ts';
import { type Call, programOf, readOptions, reportCall } from './call.ts';
import { listing } from './listings.ts';
import { hole, plain, split, taints, withGlobs, withoutGlobs } from './marks.ts';
import { formatPrintf } from './output.ts';
import { contentOf } from './redirect.ts';
import { assign } from './scan.ts';
import { runCode } from './shells.ts';

type Again = (argv: readonly string[], changes?: Partial<Call>) => string;

/** What the built-in prints; undefined when the name is none of these. */
export function runBuiltin(call: Call, name: string, again: Again): string | undefined {
  const { frame, argv } = call;
  const args = argv.slice(1);
  const { scope } = frame;
  switch (name) {
    case 'cd':
    case 'pushd':
    case 'chdir': {
      const target = args.find((arg) => !plain(arg).startsWith('-')) ?? '/root';
      scope.cwd = normalizePath(withoutGlobs(plain(target)), scope.cwd);
      return '';
    }
    case 'popd':
      scope.cwd = hole;
      return '';
    case 'eval':
      return runCode(call, args.join(' '));
    case '.':
    case 'source':
      return source(call, args);
    case 'exec':
      return again(readOptions(args, ['-a'], true).operands);
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
    case 'coproc':
    case 'time':
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
      assign(scope, plain(args[1] ?? ''), [formatPrintf(args.slice(2))]);
      return '';
    case 'export':
    case 'local':
    case 'readonly':
    case 'declare':
    case 'typeset':
      for (const arg of args) {
        const [, variable, value] = /^(\w+)=([\s\S]*)$/.exec(plain(arg)) ?? [];
        if (variable !== undefined && value !== undefined) assign(scope, variable, [value]);
      }
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
    case ':':
    case 'true':
    case 'false':
    case 'test':
    case '[':
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
  const { operands, flags } = readOptions(
    args,
    name === 'read' ? ['-d', '-n', '-N', '-p', '-t', '-u', '-i'] : ['-d', '-n', '-O', '-s', '-u', '-c', '-C'],
  );
  const names = operands.map(plain);
  const text = plain(stdin).replace(/\n+$/, '');
  if (name !== 'read') {
    assign(scope, names[0] ?? 'MAPFILE', [text.replaceAll('\n', split)], true);
    return;
  }
  const line = text.split('\n')[0] ?? '';
  const isKnown = !line.includes(hole) && line !== '';
  const separators = scope.variables.get('IFS')?.values[0] ?? ' \t';
  const words = isKnown
    ? line.split(new RegExp(`[${separators.replace(/[\]\\^-]/g, '\\$&') || '\\n'}]+`)).filter((word) => word !== '')
    : [];
  if (flags.has('-a')) assign(scope, names[0] ?? 'REPLY', [isKnown ? words.map(withGlobs).join(split) : hole], true);
  else if (names.length === 0) assign(scope, 'REPLY', [isKnown ? line : hole]);
  names.forEach((one, i) => {
    const value = i === names.length - 1 ? words.slice(i).join(' ') : (words[i] ?? '');
    const unknown = (line.includes(hole) && names.length === 1 ? line : hole) + taints(stdin);
    assign(scope, one, [isKnown ? value : unknown]);
  });
}

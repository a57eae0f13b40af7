/** Shells: `sh -c`, `sh file`, and code on the standard input of one. */
import { normalizePath } from '../paths.ts';
import { type Call, reportCall, reportDownloaded } from './call.ts';
import { decoded, downloaded, hole, plain, withoutGlobs } from './marks.ts';
import { contentOf } from './redirect.ts';
import type { Scope, Variable } from './scan.ts';

const shells = new Set([
  'sh',
  'bash',
  'dash',
  'ash',
  'zsh',
  'ksh',
  'mksh',
  'pdksh',
  'ksh93',
  'rbash',
  'rzsh',
  'csh',
  'tcsh',
  'fish',
  'yash',
  'sash',
  'posh',
  'lksh',
  'oksh',
  'loksh',
  'osh',
  'ysh',
  'bosh',
  'mrsh',
  'es',
  'rc',
  'elvish',
  'nu',
  'xonsh',
]);

export function isShell(program: string): boolean {
  return shells.has(program.replace(/[\d.]+$/, '')) || /^(?:ba|z)sh-/.test(program);
}

/** Runs what a shell is given to run. */
export function runShell(call: Call, program: string): string {
  const args = call.argv.slice(1);
  // The script itself once more, with other arguments.
  if (plain(call.argv[0] ?? '') === call.frame.scope.zero && !/^-\w*[cs]/.test(plain(args[0] ?? '')))
    return runItself(call);
  for (let i = 0; i < args.length; i += 1) {
    const arg = plain(args[i] ?? '');
    if (/^-[a-zA-Z]*c[a-zA-Z]*$/.test(arg) || arg === '--command') {
      const at = args.findIndex((one, index) => index > i && !/^[-+]/.test(plain(one)));
      const positional = args.slice(at + 2);
      return runCode(call, written(program, args[at] ?? ''), at === -1 ? undefined : positional, args[at + 1]);
    }
    if (/^--(?:rcfile|init-file)$/.test(arg)) runScript(call, args[i + 1] ?? '', []);
    if (/^--(?:rcfile|init-file)$/.test(arg) || /^[-+][a-zA-Z]*[oO]$/.test(arg)) i += 1;
    else if (/^-[a-zA-Z]*s[a-zA-Z]*$/.test(arg) || arg === '-') return runStdin(call, program, args.slice(i + 1));
    else if (/^-[a-zA-Z]*n[a-zA-Z]*$/.test(arg) && !arg.startsWith('-nor')) return '';
    else if (!/^[-+]/.test(arg)) return runScript(call, args[i] ?? '', args.slice(i + 1));
  }
  return runStdin(call, program);
}

/** In `zsh` and `csh`, `>!` is what `>|` is elsewhere. */
function written(program: string, code: string): string {
  return /^(?:zsh|t?csh)/.test(program) ? code.replace(/(>&?)!(?=[\s/])/g, '$1') : code;
}

function runItself(call: Call): string {
  if (call.frame.forks > 0 && /\$0["']?\s*[&|]\s*["']?\$0/.test(call.frame.source.text)) reportCall(call, 'G0302');
  return call.frame.stdin === '' ? hole : runStdin(call, 'sh');
}

/** Code in a string that a program runs as a shell would. */
export function runCode(call: Call, code: string, positional?: readonly string[], zero?: string): string {
  const { frame } = call;
  judgeOrigin(call, code);
  const text = withoutGlobs(plain(code)).replaceAll('\ue006', ' ');
  if (text.trim() === '') return '';
  if (text.replaceAll(hole, '').trim() === '') {
    if (!code.includes(downloaded) && !code.includes(decoded)) reportCall(call, 'G0602', text);
    return hole;
  }
  const scope = {
    ...frame.scope,
    positional: positional ?? frame.scope.positional,
    zero: zero ?? frame.scope.zero,
    ...(call.environment === undefined || call.environment.size === 0
      ? {}
      : { variables: withEnvironment(frame.scope, call.environment) }),
  };
  return frame.scan.runText(text, { ...frame, scope, at: frame.at ?? positionOf(call) });
}

/** What stands in front of `sh -c` is there for its code. */
function withEnvironment({ variables }: Scope, environment: ReadonlyMap<string, string>): Map<string, Variable> {
  const all = new Map(variables);
  for (const [name, value] of environment) all.set(name, { values: [value], isList: false });
  return all;
}

function runStdin(call: Call, program: string, positional: readonly string[] = []): string {
  const { stdin } = call.frame;
  // At the top the agent gives commands an empty input.
  if (stdin === '') return '';
  if (stdin === hole) {
    reportCall(call, 'G0602', `standard input of ${program}`);
    return hole;
  }
  return runCode({ ...call, frame: { ...call.frame, stdin: hole } }, stdin, positional);
}

function runScript(call: Call, path: string, rest: readonly string[]): string {
  const content = path === '/dev/stdin' ? call.frame.stdin : contentOf(call.frame, path);
  if (content.includes(downloaded) || content.includes(decoded)) {
    judgeOrigin(call, content, /^\/dev\/fd\//.test(plain(path)) || path === '/dev/stdin');
    if (content.replace(/[\ue000\ue008\ue009]/g, '').trim() === '') return hole;
  } else if (content === hole) {
    // A file that was there before is like a program that was; one whose name isn't known is not, nor one just written.
    const isWritten = call.frame.scan.files.has(normalizePath(path, call.frame.scope.cwd));
    if (isWritten || /^\/dev\/fd\/|^\/dev\/stdin/.test(plain(path)) || plain(path).replaceAll(hole, '') === '')
      reportCall(call, 'G0602', path);
    return hole;
  }
  return runCode(call, content, rest);
}

function judgeOrigin(call: Call, code: string, isPipe = true): void {
  if (code.includes(downloaded)) {
    if (isPipe) reportCall(call, 'G0501');
    else reportDownloaded(call);
  } else if (code.includes(decoded)) reportCall(call, 'G0502');
}

function positionOf(call: Call) {
  const before = call.frame.source.text.slice(0, call.offset);
  return { offset: call.offset, line: before.split('\n').length, column: call.offset - before.lastIndexOf('\n') };
}

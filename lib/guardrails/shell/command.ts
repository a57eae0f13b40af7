/** Commands: finds out which program a call really runs, and hands it to whoever knows that program. */

import { isPassive, judgeRest } from '../commands/nets.ts';
import { judges } from '../commands/registry.ts';
import { judgeOutputOption } from '../commands/targets.ts';
import { normalizePath } from '../paths.ts';
import { runBuiltin } from './builtins.ts';
import { type Call, programOf, quote, reportCall, reportDownloaded } from './call.ts';
import { codeOf, injects, isRun, shellCodeOf } from './environment.ts';
import { callFunction } from './functions.ts';
import { interpreters, judgeCode, runInterpreter } from './interpreters.ts';
import { decoded, downloaded, hasGlob, hasHole, hole, patternOf, plain, unset, withoutGlobs } from './marks.ts';
import { outputOf } from './output.ts';
import { type Frame, limits, step } from './scan.ts';
import { isShell, runCode, runShell } from './shells.ts';
import { valuesOf } from './variables.ts';
import { runWrapped, wrappers } from './wrappers.ts';

/** Runs one command and returns what it prints. */
export function runCommand(call: Call): string {
  const { frame } = call;
  if (!step(frame.scan) || frame.depth > limits.depth) {
    reportCall(call, 'G0605');
    return hole;
  }
  const argv = call.argv.filter((field, index) => index > 0 || field.replaceAll(unset, '') !== '');
  const name = plain(argv[0] ?? '');
  if (name === '') return argv.length > 1 ? runCommand({ ...call, argv: argv.slice(1) }) : '';
  judgeEnvironment(call);
  const alias = frame.scope.aliases.get(name);
  if (alias !== undefined && !frame.calls.includes(`alias ${name}`)) {
    // A blank at its end: the next word may be an alias as well.
    const [next = '', ...rest] = argv.slice(1);
    const second = /\s$/.test(alias) ? frame.scope.aliases.get(plain(next)) : undefined;
    const code = second === undefined ? `${alias} ${quote(argv.slice(1))}` : `${alias} ${second} ${quote(rest)}`;
    return frame.scan.runText(code, { ...frame, at: positionOf(call), calls: [...frame.calls, `alias ${name}`] });
  }
  const definition = frame.scope.functions.get(name);
  if (definition !== undefined) return callFunction({ ...call, argv }, definition);
  if (hasGlob(name)) return runMatching({ ...call, argv }, name);
  const program = programOf(name);
  if (hasHole(program) && program.replaceAll(hole, '').length > 1) return runPartly({ ...call, argv }, program);
  if (hasHole(program) || program === '') {
    // Without arguments `"$@"` is nothing at all.
    const isArguments = /^\s*(?:exec\s+)?["']?\$\{?[@*]/.test(call.excerpt) && frame.scope.positional === undefined;
    const isInstalled = /^\/(?:etc|opt|(?:usr\/)?(?:local\/)?(?:lib|libexec|share))\/(?:[^/\ue000]+\/)*\ue000*$/.test(
      name,
    );
    if (isInstalled && name.startsWith('/etc/init.d/'))
      judges.get('service')?.({ ...call, argv: ['service', hole, ...argv.slice(1)] }, () => hole);
    else if (name.includes(hole) && !isArguments && !isInstalled)
      reportCall(call, argv[0]?.includes(downloaded) || argv[0]?.includes(decoded) ? 'G0602' : 'G0601', name);
    return hole;
  }
  return runNamed({ ...call, argv }, program);
}

/** A program of whose name some is known: unknown where it could be one that does harm, and like any other where not. */
function runPartly(call: Call, program: string): string {
  const { frame } = call;
  const pattern = patternOf(program);
  for (const name of frame.scope.functions.keys())
    if (pattern.test(name)) runCommand({ ...call, argv: [name, ...call.argv.slice(1)] });
  const path = plain(call.argv[0] ?? '');
  const isOpen = /^\/?(?:tmp|var\/tmp|dev\/shm|home)\//.test(path) || (path.startsWith(hole) && path.includes('/'));
  const known = [...judges.keys(), ...wrappers.keys(), ...interpreters, 'sh', 'bash', 'dash', 'eval', 'exec', 'source'];
  const isHarmful = known.some((name) => pattern.test(name) && !isPassive(name));
  if (isHarmful || isOpen) reportCall(call, 'G0601', path);
  return hole;
}

/** A program whose name is known. */
export function runNamed(call: Call, program: string): string {
  const { frame, argv } = call;
  frame.scan.steps -= argv.length;
  const path = normalizePath(argv[0] ?? '', frame.scope.cwd);
  const real =
    frame.scan.programs.get(path) ??
    (argv[0]?.includes('/') === true ? undefined : programOnPath(frame, program)) ??
    program;
  const written = argv[0]?.includes('/') === true ? frame.scan.files.get(path) : undefined;
  if (written !== undefined && real === program) return runFile(call, written);
  const again = (next: readonly string[], changes: Partial<Call> = {}) =>
    runCommand({ ...call, ...changes, argv: next });
  const builtin = runBuiltin({ ...call }, real, again);
  if (builtin !== undefined) return builtin;
  if (/^\/etc\/(?:rc\.d\/)?init\.d\//.test(path)) {
    judges.get('service')?.({ ...call, argv: ['service', program, ...argv.slice(1)] }, again);
    return hole;
  }
  if (isShell(real)) return runShell(call, real);
  const wrapper = wrappers.get(real);
  if (wrapper !== undefined) {
    judges.get(real)?.(call, again);
    return runWrapped(call, wrapper, again);
  }
  if (interpreters.has(real.replace(/[\d.]+$/, ''))) runInterpreter(call, real.replace(/[\d.]+$/, ''));
  const judge = judges.get(real) ?? judges.get(real.replace(/\..*$/, ''));
  judge?.(call, again);
  judgeRest(call, real, judge !== undefined || interpreters.has(real.replace(/[\d.]+$/, '')));
  judgeOutputOption(call);
  return outputOf(call, real);
}

/** What a copy or link of a program really is, where the shell would find it. */
function programOnPath(frame: Frame, name: string): string | undefined {
  const { programs } = frame.scan;
  if (programs.size === 0) return undefined;
  const directories = valuesOf(frame, 'PATH', true).flatMap((value) => plain(value).split(':'));
  const found = directories.find((directory) => programs.has(normalizePath(`${directory}/${name}`)));
  return found === undefined ? programs.get(name) : programs.get(normalizePath(`${found}/${name}`));
}

/** Code in a file that the source itself wrote or downloaded. */
export function runFile(call: Call, content: string): string {
  const { frame } = call;
  if (content.includes(downloaded)) {
    reportDownloaded(call, call.argv[0]);
    return hole;
  }
  const text = plain(content);
  if (text.includes(hole) && text.replaceAll(hole, '').trim() === '') {
    reportCall(call, 'G0602', call.argv[0]);
    return hole;
  }
  if (/^#!.*\b(?:python|perl|ruby|node|php)/.test(text)) {
    const program = /\b(python|perl|ruby|node|php)/.exec(text)?.[1] ?? 'python';
    runInterpreter({ ...call, argv: [program, '-c', text] }, program);
    return hole;
  }
  if (/^#!/.test(text) && !/^#!.*sh\b/.test(text)) return hole;
  return frame.scan.runText(text, {
    ...frame,
    at: positionOf(call),
    scope: { ...frame.scope, positional: call.argv.slice(1) },
  });
}

/** A name with wildcards: whichever program that we know of it could be. */
function runMatching(call: Call, name: string): string {
  const pattern = patternOf(name.startsWith('/') ? name : `/bin/${name.replace(/^.*\//, '')}`);
  const known = [...judges.keys(), ...wrappers.keys(), ...interpreters, 'sh', 'bash', 'dash', 'eval'];
  const directory = name.slice(0, name.lastIndexOf('/'));
  const candidates = known.filter((program) =>
    ['/bin', '/sbin', '/usr/bin', '/usr/sbin'].some((directory) => pattern.test(`${directory}/${program}`)),
  );
  for (const program of candidates.slice(0, 40)) runNamed({ ...call, argv: [program, ...call.argv.slice(1)] }, program);
  // A directory of hooks that is spelled out is run as it was installed.
  const isInstalled = candidates.length === 0 && /^\/(?:usr|etc|opt|lib)\//.test(directory) && !hasGlob(directory);
  if (!isInstalled) reportCall(call, 'G0601', withoutGlobs(name));
  return hole;
}

function judgeEnvironment(call: Call): void {
  const { frame } = call;
  for (const [name, value] of call.environment ?? []) {
    if (injects(name, value)) reportCall(call, 'G0504', `${name}=${value}`);
    const shellCode = shellCodeOf(name, value);
    if (shellCode !== undefined) runCode({ ...call, environment: new Map() }, shellCode);
    const code = codeOf(name, value);
    if (code !== undefined) judgeCode(call, code);
    const mark = `variable ${name}`;
    if (isRun(name, value) && !frame.calls.includes(mark))
      runCode(
        { ...call, frame: { ...frame, calls: [...frame.calls, mark] } },
        plain(value)
          .replace(/^\s*\|\s*/, '')
          .replaceAll('%s', 'file'),
      );
  }
}

function positionOf(call: Call) {
  const { frame, offset } = call;
  if (frame.at !== undefined) return frame.at;
  const before = frame.source.text.slice(0, offset);
  return { offset, line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

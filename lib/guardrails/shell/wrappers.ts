/** Wrappers: programs whose arguments are another command. One row says how to find it. */

import { type Call, programOf, quote, readOptions, reportCall, touch } from './call.ts';
import { crontab, parallel, xargs } from './fed-commands.ts';
import { hole, plain, quoted } from './marks.ts';
import { settingPrinters } from './output-kinds.ts';
import { isProgram } from './programs.ts';
import { contentOf } from './redirect.ts';
import { runCode } from './shells.ts';
import { isTelling, trial } from './trial.ts';

type Again = (argv: readonly string[], changes?: Partial<Call>) => string;

export type Wrapper = {
  /** Options that take a value. */
  readonly values: readonly string[];
  /** Operands before the command. */
  readonly skip: number;
  /** Options whose value is code for a shell. */
  readonly code: readonly string[];
  /** All operands together are code for a shell. */
  readonly isJoined: boolean;
  /** The command begins with the first word that is the name of a program. */
  readonly isLoose?: boolean;
};

function wrapper(values = '', options: Partial<Wrapper> = {}): Wrapper {
  const list = values === '' ? [] : values.split(' ').map((one) => (one.length === 1 ? `-${one}` : `--${one}`));
  return {
    values: [...list, ...(options.code ?? [])],
    skip: options.skip ?? 0,
    code: options.code ?? [],
    isJoined: options.isJoined ?? false,
    isLoose: options.isLoose ?? false,
  };
}

const plainWrapper = wrapper();

export const wrappers: ReadonlyMap<string, Wrapper> = new Map([
  ['sudo', wrapper('u g h p C r t T U D R user group host prompt chroot role type chdir close-from')],
  ['doas', wrapper('u C')],
  ['gosu', wrapper('', { skip: 1 })],
  ['su-exec', wrapper('', { skip: 1 })],
  ['setuser', wrapper('', { skip: 1 })],
  ['env', wrapper('u C S unset chdir split-string')],
  ['timeout', wrapper('k s kill-after signal', { skip: 1 })],
  ['gtimeout', wrapper('k s', { skip: 1 })],
  ['nice', wrapper('n adjustment')],
  ['ionice', wrapper('c n p P u class classdata')],
  ['chrt', wrapper('T P D', { skip: 1 })],
  ['taskset', wrapper('', { skip: 1 })],
  ['stdbuf', wrapper('i o e input output error')],
  ['strace', wrapper('e o p s u P E a I O S X b')],
  ['ltrace', wrapper('e o p s u n a l x')],
  ['valgrind', plainWrapper],
  ['numactl', wrapper('N C m i p')],
  ['chroot', wrapper('', { skip: 1 })],
  ['fakechroot', plainWrapper],
  ['arch-chroot', wrapper('u', { skip: 1 })],
  ['schroot', wrapper('c d u chroot directory user')],
  ['choom', wrapper('n p adjust pid')],
  ['nsenter', wrapper('t S G target setuid setgid')],
  ['unshare', wrapper('S G R w setuid setgid root wd')],
  ['setpriv', wrapper('reuid regid groups securebits')],
  ['capsh', wrapper('', { code: ['-c'] })],
  ['su', wrapper('g G s w group shell', { code: ['-c', '--command', '--session-command'], skip: 99 })],
  ['runuser', wrapper('u g G s w user group shell', { code: ['-c', '--command', '--session-command'] })],
  ['flock', wrapper('w E timeout wait', { skip: 1, code: ['-c', '--command'] })],
  ['lockf', wrapper('t', { skip: 1 })],
  [
    'systemd-run',
    wrapper(
      'p M E u H property machine setenv unit description slice on-active on-boot on-calendar on-startup on-unit-active uid gid nice working-directory service-type timer-property',
    ),
  ],
  ['systemd-inhibit', wrapper('what who why mode')],
  ['systemd-cat', wrapper('t p')],
  ['systemd-nspawn', wrapper('D M')],
  ['start-stop-daemon', wrapper('p n u c g d k r N s pidfile name user chuid group chdir signal retry nicelevel')],
  ['script', wrapper('o O I B T E', { code: ['-c', '--command'], skip: 99 })],
  ['watch', wrapper('n interval', { isJoined: true })],
  ['parallel', wrapper('j I a S jobs joblog arg-file results', { isJoined: true })],
  ['entr', plainWrapper],
  ['ssh', wrapper('b c D e F i J L l m O o p Q R S W w E I B', { skip: 1, isJoined: true })],
  ['sshpass', wrapper('p f d e P')],
  ['sg', wrapper('', { code: ['-c'], skip: 99 })],
  ['expect', wrapper('f', { skip: 99 })],
  ['xterm', wrapper('T title geometry')],
  ['dbus-run-session', plainWrapper],
  ['xvfb-run', wrapper('n s')],
  ['perf', wrapper('o e', { skip: 1 })],
  ['cgexec', wrapper('g')],
  ['ip-netns-exec', wrapper('', { skip: 1 })],
  ['rlwrap', plainWrapper],
  ['logsave', wrapper('', { skip: 1 })],
  ['proxychains4', wrapper('f')],
  ['setarch', wrapper('', { skip: 1 })],
  ['chpst', wrapper('u U b e n l L')],
  ['softlimit', wrapper('m d s l a f c')],
  ['s6-setuidgid', wrapper('', { skip: 1 })],
  ['daemonize', wrapper('a c e o p l u E')],
  ['daemon', wrapper('n u')],
  ['gdb', wrapper('ex x p', { skip: 0 })],
  ['tmux', plainWrapper],
  ['screen', wrapper('S c t')],
  ['xargs', wrapper('I n P L d s E a max-args max-procs delimiter max-lines replace arg-file')],
  ['at', wrapper('f q', { skip: 99 })],
  ['batch', wrapper('', { skip: 99 })],
  ['crontab', wrapper('u', { skip: 99 })],
  ...[
    'bwrap',
    'firejail',
    'flatpak',
    'flatpak-spawn',
    'toolbox',
    'distrobox-enter',
    'distrobox-host-exec',
    'nsjail',
    'minijail0',
    'runcon',
    'openvt',
    'chvt',
    'open',
    'newrole',
    'machinectl',
    'ssh-agent',
    'dbus-launch',
    'aa-exec',
    'chronic',
    'ifne',
    'run-one',
    'faketime',
    'grc',
    'distcc',
    'ccache',
    'zrun',
    'gnome-terminal',
    'konsole',
    'xfce4-terminal',
    'alacritty',
    'kitty',
    'foot',
    'urxvt',
    'rxvt',
    'run-this-one',
    'keep-one-running',
    'tini',
    'dumb-init',
    'catatonit',
    'setlock',
    'envdir',
    'envuidgid',
    'setuidgid',
    'pgrphack',
    'fghack',
    'nq',
    'tsp',
    'sem',
    'dzdo',
    'please',
    'run0',
    'sudo-rs',
    'multitime',
    'gtime',
    'uclampset',
    'schedtool',
    'trickle',
    'tsocks',
    'torify',
    'systemd-socket-activate',
    'hyperfine',
    'stress-ng',
    'trace-cmd',
    'uftrace',
    'rr',
    'heaptrack',
    'gdbserver',
    'memusage',
    'sotruss',
    'pkexec',
    'lxc-execute',
    'lxc-unshare',
    'cset',
    'k5start',
    'krenew',
    'pagsh',
    'with-lock-ex',
    'lckdo',
    'cpulimit',
    'timelimit',
    'nocache',
    'eatmydata',
    'nix-shell',
    'chamber',
    'aws-vault',
    'doppler',
    'sops',
    'envchain',
    'teller',
  ].map((name) => [name, wrapper('', { isLoose: true })] as const),
  ...[
    'nohup',
    'setsid',
    'busybox',
    'toybox',
    'fakeroot',
    'proot',
    'unbuffer',
    'caffeinate',
    'linux32',
    'linux64',
    'torsocks',
    'proxychains',
    'catchsegv',
    'prlimit',
    'ktrace',
    'dtruss',
    'retry',
    'ts',
    'pexec',
    'coproc',
    'ld.so',
  ].map((name) => [name, plainWrapper] as const),
  ...['ld-linux-x86-64.so.2', 'ld-linux-aarch64.so.1', 'ld-linux.so.2', 'ld-musl-x86_64.so.1'].map(
    (name) => [name, wrapper('library-path preload')] as const,
  ),
]);

/** Runs the command within the call. */
export function runWrapped(call: Call, found: Wrapper, again: Again): string {
  const program = programOf(call.argv[0] ?? '');
  const { flags, values, operands } = readOptions(call.argv.slice(1), found.values, true);
  for (const name of found.code) {
    const all = readOptions(call.argv.slice(1), found.values);
    const code = all.values.get(name);
    if (code !== undefined) return runCode(call, code);
  }
  switch (program) {
    case 'parallel':
      return parallel(call, operands, again);
    case 'xargs':
      return xargs(call, values, operands, again);
    case 'at':
    case 'batch':
      return atJob(call, values);
    case 'crontab':
      return crontab(call, flags, values, operands);
    case 'env':
      return environment(call, operands, again);
    case 'sudo':
    case 'doas':
      return elevated(call, flags, operands, again);
    case 'systemd-run':
      // What the manager does when it fails, or when it is done.
      for (const [, action] of call.argv
        .map(plain)
        .join(' ')
        .matchAll(/\b(?:OnFailure|OnSuccess|FailureAction|SuccessAction|JobTimeoutAction|StartLimitAction)=(\S+)/g))
        if (/^(?:poweroff|reboot|halt|kexec|exit|emergency|rescue)/.test(action ?? ''))
          reportCall(call, 'G0301', action);
      break;
    case 'start-stop-daemon':
      return startStop(call, values, again);
    case 'gdb':
      return gdb(call, values, operands, again);
    case 'tmux':
    case 'screen': {
      const at = operands.findIndex((one) => /[\s;]/.test(plain(one)) || isProgram(programOf(one)));
      return at >= 0
        ? operands.length > at + 1 && !/\s/.test(plain(operands[at] ?? ''))
          ? again(operands.slice(at))
          : runCode(call, operands.slice(at).join(' '))
        : program === 'screen' && operands.length > 0
          ? again(operands)
          : hole;
    }
    case 'prlimit': {
      const pid = plain(call.argv[call.argv.findIndex((one) => /^(?:-p|--pid)$/.test(plain(one))) + 1] ?? '');
      if (/^(?:1$|pid-of-)/.test(pid) && call.argv.some((one) => /=\d/.test(plain(one))))
        return again(['kill', '-9', pid]);
      break;
    }
    case 'expect': {
      const code = readOptions(call.argv.slice(1), ['-c', '-f']).values.get('-c');
      const spawned = /(?:spawn|system|exec)\s+([^;\n]+)/.exec(plain(code ?? ''))?.[1];
      return spawned === undefined ? hole : runCode({ ...call, frame: { ...call.frame, stdin: hole } }, spawned);
    }
    case 'xterm': {
      const at = call.argv.findIndex((one) => plain(one) === '-e');
      return at >= 0 ? again(call.argv.slice(at + 1)) : '';
    }
    case 'su':
      // Without a command: a shell on the standard input.
      return call.frame.stdin === '' || call.frame.stdin === hole ? '' : runCode(call, call.frame.stdin);
    case 'ssh':
      for (const [, code = ''] of plain(contentOf(call.frame, values.get('-F') ?? '/dev/null')).matchAll(
        /^\s*(?:Proxy|Local|KnownHosts)Command[\s=]+(?!none)(.+)$/gim,
      ))
        runCode(call, code);
      for (const arg of call.argv) {
        const code = /^(?:-o)?(?:Proxy|Local|KnownHosts)Command=(.+)$/i.exec(plain(arg))?.[1];
        if (code !== undefined && code !== 'none') runCode(call, code);
      }
      // What another machine is told, nobody has to know here.
      if (operands.slice(1).every((one) => plain(one).replaceAll(hole, '').trim() === '') && operands.length > 1)
        return hole;
      if (operands.length <= 1)
        return call.frame.stdin === ''
          ? ''
          : program === 'ssh' && call.frame.stdin !== hole
            ? runCode(call, call.frame.stdin)
            : hole;
      break;
    default:
  }
  judgeValues(call, values);
  const all = dropAssignments(operands.slice(found.skip));
  // Options may stand behind what is skipped, and of some wrappers there are too many to know.
  const at =
    found.isLoose === true
      ? all.findIndex((arg) => isProgram(programOf(arg)))
      : all.findIndex((arg) => !/^-./.test(plain(arg)));
  const inner = at === -1 ? [] : all.slice(at);
  if (inner.length === 0) return settingPrinters.has(program) ? '' : hole;
  if (found.isJoined) return runCode(call, quoteOnlyHoles(inner));
  return again(inner);
}

/** What is taken for the value of an option may be the command, where a version of the wrapper has the option without one. */
function judgeValues(call: Call, values: ReadonlyMap<string, string>): void {
  for (const value of values.values()) {
    const at = call.argv.indexOf(value);
    if (at < 2 || !isProgram(programOf(value))) continue;
    const found = trial(call.frame, (frame) => void frame.scan.runText(quote(call.argv.slice(at)), frame));
    const told = found.find(({ rule }) => isTelling(rule));
    if (told !== undefined) reportCall(call, 'G0606', told.reason);
  }
}

/** A job of `at`: from a file, or the input. */
function atJob(call: Call, values: ReadonlyMap<string, string>): string {
  const file = values.get('-f');
  const code = file === undefined ? call.frame.stdin : contentOf(call.frame, file);
  return code === '' || code === hole ? '' : runCode(call, code);
}

function dropAssignments(args: readonly string[]): readonly string[] {
  const at = args.findIndex((arg) => !/^\w+=/.test(plain(arg)));
  return at === -1 ? [] : args.slice(at);
}

function quoteOnlyHoles(args: readonly string[]): string {
  return args.map((arg) => arg.replaceAll(quoted, '')).join(' ');
}

function elevated(call: Call, flags: ReadonlySet<string>, operands: readonly string[], again: Again): string {
  const inner = dropAssignments(operands);
  if (inner.length > 0) return flags.has('-e') ? '' : again(inner);
  const isShell = ['-s', '-i', '--shell', '--login'].some((flag) => flags.has(flag));
  return isShell && call.frame.stdin !== '' ? runCode(call, call.frame.stdin) : '';
}

function environment(call: Call, operands: readonly string[], again: Again): string {
  const at = call.argv.findIndex((arg) => /^(?:-[a-zA-Z0]*S|--split-string)/.test(plain(arg)));
  if (at > 0) {
    const [, attached = ''] = /^(?:-[a-zA-Z0]*S|--split-string=?)([\s\S]*)$/.exec(call.argv[at] ?? '') ?? [];
    const rest = attached === '' ? call.argv.slice(at + 1) : [attached, ...call.argv.slice(at + 1)];
    return runCode(call, rest.map((arg, i) => (i === 0 ? arg : quote([arg]))).join(' '));
  }
  const first = operands.findIndex((arg, i) => !(i === 0 && arg === '-') && !/^[^=\s]+=/.test(plain(arg)));
  const inner = first === -1 ? [] : operands.slice(first);
  const assigned = operands.slice(0, operands.length - inner.length).map((one): [string, string] => {
    const [name = '', ...rest] = plain(one).split('=');
    return [name, rest.join('=')];
  });
  return inner.length === 0 ? hole : again(inner, { environment: new Map(assigned) });
}

function startStop(call: Call, values: ReadonlyMap<string, string>, again: Again): string {
  const args = call.argv.slice(1).map(plain);
  const at = args.findIndex((arg) => /^(?:-x|-a|--exec|--startas)$/.test(arg));
  const exec =
    args.find((arg) => /^--(?:exec|startas)=/.test(arg))?.split('=')[1] ?? (at >= 0 ? args[at + 1] : undefined);
  const rest = args.includes('--') ? call.argv.slice(call.argv.findIndex((arg) => plain(arg) === '--') + 1) : [];
  if (args.includes('--start') || args.includes('-S')) return exec === undefined ? '' : again([exec, ...rest]);
  const target = exec ?? values.get('--name') ?? values.get('-n');
  return target === undefined || /^\ue000*$/.test(programOf(target)) ? '' : again(['killall', programOf(target)]);
}

function gdb(call: Call, values: ReadonlyMap<string, string>, operands: readonly string[], again: Again): string {
  const args = call.argv.slice(1).map(plain);
  const commands = args.flatMap((arg, i) =>
    /^--?(?:ex|eval-command)$/.test(arg)
      ? [args[i + 1] ?? '']
      : /^--?(?:x|command)$/.test(arg)
        ? plain(contentOf(call.frame, args[i + 1])).split('\n', 100)
        : [],
  );
  for (const command of commands) {
    const [, written] =
      /^\s*(?:(?:dump|append)\s+(?:\w+\s+)*?(?:value|memory)|generate-core-file|gcore|save\s+\w+|set\s+logging\s+file|maint(?:enance)?\s+print\s+\w+)\s+(\/\S+)/.exec(
        command,
      ) ?? [];
    if (written !== undefined) touch(call, written, 'empty');
    const code = /^\s*(?:!|shell\s+|python\s+import os;?\s*os\.system\()(.*)$/.exec(command)?.[1];
    if (code !== undefined) runCode(call, code.replace(/^["']|["']\)?$/g, ''));
  }
  const pid =
    args[args.findIndex((arg) => /^(?:-p|--pid)$/.test(arg)) + 1] ??
    args.find((arg) => /^(?:\d+|pid-of-)/.test(arg)) ??
    '';
  const isAttached = args.some((arg) => /^(?:-p|--pid(?:=.*)?)$/.test(arg)) || /^pid-of-/.test(pid);
  const ends = commands.some((command) => /\b(?:kill|call|print|p|signal|set|jump|run)\b/.test(command));
  if (isAttached && ends) again(['kill', '-9', args.find((arg) => arg.startsWith('--pid='))?.slice(6) ?? pid]);
  const at = args.indexOf('--args');
  void values;
  void operands;
  return at >= 0 ? again(call.argv.slice(at + 2)) : hole;
}

/** Options and subcommands whose value is run: as code for a shell, or as a program. One row for each. */
import { normalizePath } from '../paths.ts';
import type { Call } from '../shell/call.ts';
import { decoded, downloaded, hole, plain } from '../shell/marks.ts';
import { contentOf } from '../shell/redirect.ts';
import { runCode } from '../shell/shells.ts';
import type { Judge, Judges } from './judge.ts';

type Row = {
  readonly programs: string;
  /** Options whose value is code for a shell. */
  readonly code?: string;
  /** Options whose value is a program. */
  readonly program?: string;
  /** Words behind which all that follows is a command. */
  readonly command?: readonly (readonly string[])[];
  /** In any argument: the code that it holds. */
  readonly within?: RegExp;
};

const rows: readonly Row[] = [
  { programs: 'rsync', code: '--rsync-path', program: '-e --rsh' },
  { programs: 'scp sftp', program: '-S -D' },
  {
    programs: 'ssh scp sftp autossh sshfs mosh check_by_ssh',
    within: /^(?:-o)?\s*(?:Proxy|Local|KnownHosts|Remote)Command[= ](?!none)(.+)$/i,
  },
  { programs: 'split gsplit', code: '--filter' },
  { programs: 'tcpdump', program: '-z' },
  { programs: 'zip', code: '-TT --unzip-command' },
  { programs: 'man', code: '-P --pager -H --html' },
  { programs: 'script scriptreplay', code: '-c --command' },
  { programs: 'fd fdfind', command: [['-x'], ['-X'], ['--exec'], ['--exec-batch']] },
  { programs: 'rg', program: '--pre --hostname-bin' },
  { programs: 'nodemon', code: '-x --exec' },
  { programs: 'watchexec entr inotifywait chokidar', code: '-c --command', command: [['--']] },
  { programs: 'npm npx yarn pnpm', code: '-c --call', command: [['exec'], ['exec', '--']] },
  {
    programs: 'git',
    code: '-x --exec --extcmd --tree-filter --env-filter --index-filter --msg-filter --commit-filter --tag-name-filter --parent-filter --setup -u --upload-pack --receive-pack',
  },
  {
    programs: 'git',
    command: [
      ['submodule', 'foreach'],
      ['submodule', 'foreach', '--recursive'],
      ['bisect', 'run'],
    ],
  },
  { programs: 'git', within: /^ext::(.+)$/ },
  { programs: 'mysql mariadb', within: /(?:^|;|\n)\s*(?:\\!|system\s)\s*([^\n;]+)/i },
  { programs: 'psql', within: /(?:^|;|\n)\s*\\!\s*([^\n]+)/ },
  { programs: 'psql', within: /\b(?:TO|FROM)\s+PROGRAM\s+'((?:[^']|'')+)'/i },
  { programs: 'sqlite3', within: /(?:^|\n)\s*\.(?:shell|system)\s+(.+)/ },
  { programs: 'dc', within: /!\s*([^\n]+)/ },
  {
    programs: 'ansible-playbook ansible',
    within:
      /^[\s-]*(?:ansible\.(?:builtin|legacy)\.)?(?:shell|command|raw|cmd|script|win_shell|win_command|_raw_params):\s*["']?([^|>\s].*?)["']?\s*$/,
  },
  { programs: 'm4', within: /\be?syscmd\(\s*[`[]?(.+?)['\]]?\s*\)|\bsyscmd\(\s*[`[]?(.+?)['\]]?\s*\)/ },
  { programs: 'mispipe', within: /^(.+)$/ },
  { programs: 'borg', code: '--rsh --content-from-command' },
  { programs: 'restic rclone', code: '--password-command --stdin-from-command' },
  {
    programs: 'certbot letsencrypt',
    code: '--pre-hook --post-hook --deploy-hook --renew-hook --manual-auth-hook --manual-cleanup-hook',
  },
  { programs: 'acme.sh', code: '--reloadcmd --pre-hook --post-hook --renew-hook' },
  { programs: 'msmtp mbsync', code: '--passwordeval' },
  { programs: 'wpa_cli', program: '-a' },
  { programs: 'mdadm', program: '--program --alert' },
  { programs: 'udhcpc', program: '-s --script' },
  { programs: 'dhclient', program: '-sf' },
  { programs: 'batcat bat', code: '--pager' },
  { programs: 'nano pico', program: '-s --speller' },
  { programs: 'pidstat', command: [['-e']] },
  { programs: 'xdotool', command: [['exec'], ['exec', '--sync']] },
  { programs: 'bundle bundler', command: [['exec']] },
  {
    programs: 'tex latex pdftex pdflatex xetex xelatex luatex lualatex etex',
    within: /\\write18\s*\{([^}]*)\}|os\.execute\(\s*["'](.+?)["']\s*\)/,
  },
  { programs: 'troff groff nroff', within: /^\.\s*(?:sy|pso|pi)\s+(.+)$/m },
  { programs: 'pic', within: /^sh\s+\S(.+)\S\s*$/m },
  { programs: 'gnuplot', within: /\bsystem\s*\(?\s*["'](.+?)["']|^\s*!\s*(.+)$/ },
  {
    programs: 'rpm rpmbuild rpmspec rpmquery rpmdb rpmverify',
    within: /%\((.+)\)|(?:os|posix)\.exec(?:ute)?\(\s*["'](.+?)["']\s*\)/,
  },
  { programs: 'rpm', code: '--pipe' },
  { programs: 'dpkg', code: '--pre-invoke --post-invoke --status-logger' },
  { programs: 'apt apt-get aptitude', within: /(?:-Invoke|-Pkgs)(?:::)?\s*=\s*"?\{?"?(.+?)"?\}?"?$/i },
  { programs: 'lftp', within: /(?:^|;)\s*!\s*([^;]+)/ },
  { programs: 'sftp ftp telnet debugfs mail mailx mutt ed ex gdb lldb', within: /^(?:--exec=)?~?!\s*(.+)$/m },
  { programs: 'lldb', within: /^(?:platform\s+)?shell\s+(.+)$/ },
  { programs: 'gdb', within: /^(?:shell|!|pipe \S+ \|)\s*(.+)$/ },
  { programs: 'ansible', code: '-a --args' },
  { programs: 'salt-call', command: [['cmd.run'], ['cmd.shell']] },
  { programs: 'puppet', within: /exec\s*\{\s*['"]([^'"]+)['"]/ },
  {
    programs: 'machinectl',
    command: [
      ['shell', '.host'],
      ['shell', 'root@.host'],
    ],
  },
  { programs: 'vagrant', code: '-c --command' },
  { programs: 'capsh genie', code: '-c' },
  {
    programs: 'cmake',
    command: [
      ['-E', 'env'],
      ['-E', 'time'],
      ['-E', 'chdir', '.'],
    ],
  },
  {
    programs: 'tmux',
    code: '-c',
    within: /^\s*(?:run-shell|run|if-shell|new-session|new-window|split-window)\s+(?:-\w+\s+)*["']?(.+?)["']?\s*$/,
    command: [['new-session'], ['new', '-d'], ['run-shell'], ['run'], ['split-window'], ['new-window']],
  },
  { programs: 'screen', within: /^\s*(?:screen|exec)\s+(.+)$/ },
  { programs: 'expect', within: /(?:spawn|system|exec)\s+(?:-\w+\s+)*([^;\n]+)/ },
  { programs: 'systemd-run', code: '--on-failure' },
  { programs: 'hyperfine', code: '-p --prepare -c --cleanup -s --setup', within: /^(\w\S*\s.+)$/ },
  { programs: 'pee', within: /^([\w/].*)$/ },
  { programs: 'logger', program: '--exec' },
  { programs: 'agetty getty mgetty', program: '-l --login-program' },
  { programs: 'smbclient', within: /^(?:-c)?!\s*(.+)$/ },
  {
    programs: 'vim vi nvim view ex rvim',
    within: /^(?:\+|-c|--cmd)?\s*(?:silent!?\s+)?:?(?:r(?:ead)?\s*|w(?:rite)?\s+)?!\s*(.+)$/,
  },
  { programs: 'openssl', program: '-engine' },
  { programs: 'stap bpftrace', within: /\bsystem\(\s*"(.+?)"/ },
  { programs: 'pg_ctl postgres', within: /(?:archive|restore|archive_cleanup|recovery_end)_command\s*=\s*'?(.+?)'?$/ },
  {
    programs: 'openvpn',
    code: '--up --down --ipchange --route-up --client-connect --learn-address --auth-user-pass-verify --tls-verify',
  },
  { programs: 'nmap', within: /os\.execute\(\s*["'](.+?)["']/ },
  { programs: 'wget', program: '--use-askpass' },
  { programs: 'multitail', code: '-l -L' },
  { programs: 'socat', within: /\b(?:EXEC|SYSTEM|SHELL):["']?([^,"']+)/i },
  { programs: 'nc ncat netcat', code: '-c --sh-exec', program: '-e --exec' },
];

const byProgram = new Map<string, Row[]>();
for (const row of rows)
  for (const name of row.programs.split(' ')) byProgram.set(name, [...(byProgram.get(name) ?? []), row]);

const judge =
  (own: readonly Row[]): Judge =>
  (call, again) => {
    const args = call.argv.slice(1);
    const texts = args.map(plain);
    for (const { code = '', program = '', command = [], within } of own) {
      const [codes, programs] = [code.split(' '), program.split(' ')];
      texts.forEach((arg, i) => {
        const [, name = arg, attached] = /^(--[\w-]+)=([\s\S]*)$/.exec(arg) ?? [];
        const value = attached ?? texts[i + 1] ?? '';
        if (name !== '' && codes.includes(name) && value !== '') runValue(call, value);
        if (name !== '' && programs.includes(name) && value !== '' && !/^\S*ssh(?:\s|$)/.test(value))
          runProgram(call, value, again);
        if (within !== undefined) {
          const found = within
            .exec(arg)
            ?.slice(1)
            .find((one) => one !== undefined);
          // Remote helpers of Git take a word apart with `% `: what is left are the words of the command.
          if (found !== undefined && arg.startsWith('ext::'))
            again(extWords(found), { frame: { ...call.frame, stdin: hole } });
          else if (found !== undefined) runValue(call, found);
        }
      });
      for (const words of command) {
        const at = texts.findIndex((_, i) => words.length > 0 && words.every((word, j) => texts[i + j] === word));
        if (at >= 0) runRest(call, args.slice(at + words.length), again);
      }
    }
    if (within(own, call.frame.stdin)) runInput(call, own, call.frame.stdin);
    for (const arg of texts.map((one) => one.replace(/^-[^=]*=|^-f(?=\/)/, ''))) {
      const content = arg.includes('/')
        ? (call.frame.scan.files.get(normalizePath(arg, call.frame.scope.cwd)) ?? '')
        : '';
      if (within(own, content)) runInput(call, own, content);
    }
  };

/** The words of a command for `ext::` (git-remote-ext(1)): `% ` is a blank within one. */
function extWords(text: string): string[] {
  return text.split(/(?<!%) /).map((word) => word.replaceAll('% ', ' ').replaceAll('%%', '%'));
}

function within(own: readonly Row[], stdin: string): boolean {
  return stdin !== '' && stdin !== hole && own.some((row) => row.within !== undefined);
}

/** Lines of its input, or of a file that it is given, are commands to the program. */
function runInput(call: Call, own: readonly Row[], text: string): void {
  for (const line of plain(text).split('\n').slice(0, 100)) {
    for (const { within: pattern } of own) {
      const found = pattern
        ?.exec(line)
        ?.slice(1)
        .find((one) => one !== undefined);
      if (found !== undefined) runValue(call, found);
    }
  }
}

function runValue(call: Call, code: string): void {
  runCode({ ...call, frame: { ...call.frame, stdin: hole } }, code);
}

/** A program, or a file that the source has written. */
function runProgram(call: Call, value: string, again: Parameters<Judge>[1]): void {
  const content = contentOf(call.frame, value);
  const isKnown = content !== hole && !content.includes(downloaded) && !content.includes(decoded);
  if (isKnown || !/\s/.test(value)) again([value], { frame: { ...call.frame, stdin: hole } });
  else runValue(call, value);
}

function runRest(call: Call, rest: readonly string[], again: Parameters<Judge>[1]): void {
  const at = rest.findIndex((arg) => !plain(arg).startsWith('-'));
  const command = at === -1 ? [] : rest.slice(at);
  if (command.length === 1) runValue(call, plain(command[0] ?? ''));
  else if (command.length > 1) again(command, { frame: { ...call.frame, stdin: hole } });
}

export const codeOptionJudges: Judges = Object.fromEntries([...byProgram].map(([name, own]) => [name, judge(own)]));

/** Programs that run or change something dangerous as a side use: containers, version control, editors, schedulers. */
import { type Call, programOf, quote, readOptions, reportCall, touch } from '../shell/call.ts';
import { plain } from '../shell/marks.ts';
import { runCode } from '../shell/shells.ts';
import type { Judge, Judges } from './judge.ts';

/** A container that has the machine's root to write to is no container. */
const docker: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  const at = args.findIndex((arg) => arg === 'run' || arg === 'create');
  if (at === -1 || args.slice(0, at).some((arg) => !arg.startsWith('-') && arg !== 'container')) return;
  const mounts = args.flatMap((arg, i) =>
    /^(?:-v|--volume)$/.test(arg) ? [args[i + 1] ?? ''] : (/^(?:-v|--volume)=?(\/.*)$/.exec(arg)?.[1] ?? []),
  );
  const binds = args.flatMap((arg, i) =>
    arg === '--mount' ? [args[i + 1] ?? ''] : (/^--mount=(.*)$/.exec(arg)?.[1] ?? []),
  );
  for (const one of args.includes('--pid=host') ? [...mounts, '/:/proc/1/root'] : mounts) runInside(call, one);
  const root = mounts.find((one) => /^\/:\/?[^:]*(?::(?!.*\bro\b).*)?$/.test(one));
  const inner = args.join(' ');
  if (root === undefined && !binds.some((one) => /(?:source|src)=\/(?:,|$)/.test(one) && !/readonly|ro\b/.test(one)))
    return;
  const place = root?.split(':')[1] ?? '';
  const isDangerous =
    /\bchroot\b/.test(inner) ||
    /\b(?:rm|mkfs|dd)\b/.test(inner) ||
    (place !== '' &&
      new RegExp(`(?:>|tee|cp|mv).*${place.replace(/[^\w/]/g, '')}/etc/(?:passwd|shadow|sudoers)`).test(inner));
  const code = args.slice(args.indexOf('chroot'));
  if (/\bchroot\b/.test(inner) && code[0] === 'chroot')
    call.frame.scan.runText(code.slice(2).join(' '), { ...call.frame, at: undefined });
  reportCall(call, isDangerous ? 'G0101' : 'G0602', root, isDangerous ? 'dangerous' : 'unknown');
};

/** What runs inside, with the paths of the machine that are mounted there. */
function runInside(call: Call, mount: string): void {
  const [outside = '', inside = '', mode = ''] = mount.split(':');
  if (!outside.startsWith('/') || !inside.startsWith('/') || inside === '/' || /\bro\b/.test(mode)) return;
  const args = call.argv.slice(1);
  const at = args.findIndex((arg, i) => i > 1 && (/^(?:ba|da)?sh$/.test(plain(arg)) || known.has(programOf(arg))));
  if (at === -1) return;
  const command = args.slice(at).map((arg) => plain(arg).replaceAll(inside, outside === '/' ? '' : outside));
  call.frame.scan.runText(quote(command), { ...call.frame, at: undefined });
}

const known = new Set([
  'rm',
  'mv',
  'cp',
  'dd',
  'chmod',
  'chown',
  'tee',
  'sed',
  'find',
  'mkfs.ext4',
  'shred',
  'truncate',
  'nsenter',
]);

const git: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  args.forEach((arg, i) => {
    const value = arg === '-c' ? (args[i + 1] ?? '') : '';
    const code =
      /^(?:alias\.[^=]+=!|core\.(?:pager|editor|sshCommand|fsmonitor)=|credential\.helper=!|diff\.external=)(.+)$/.exec(
        value,
      )?.[1];
    if (code !== undefined) runCode(call, code);
    if (/^alias\./.test(arg) && (args[i + 1] ?? '').startsWith('!')) runCode(call, (args[i + 1] ?? '').slice(1));
  });
  const { operands, values } = readOptions(call.argv.slice(1), ['-C', '-c', '--git-dir', '--work-tree']);
  if (plain(operands[0] ?? '') === 'clean' && args.some((arg) => /^-[a-z]*f/.test(arg)) && values.has('-C'))
    touch(call, values.get('-C') ?? '', 'remove tree');
  if (plain(operands[0] ?? '') === 'clean' && args.some((arg) => /^-[a-z]*f/.test(arg)))
    for (const path of operands.slice(1)) touch(call, path, 'remove tree');
  const tree = values.get('--work-tree');
  if (tree !== undefined && /^(?:checkout|reset|clean|restore|read-tree)$/.test(plain(operands[0] ?? '')))
    touch(call, tree, 'remove tree');
};

/** `vim -c ':!command'`, `ed`, `man -P command`, `zip -TT command` and the like. */
const shellEscape: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  const name = programOf(call.argv[0] ?? '');
  args.forEach((arg, i) => {
    const next = args[i + 1] ?? '';
    const code = /^(?:-c|--cmd|\+)?\s*:?!\s*(.+)$/.exec(
      arg.startsWith('+') ? arg.slice(1) : arg === '-c' || arg === '--cmd' ? next : '',
    )?.[1];
    if (code !== undefined) runCode(call, code);
    if (
      (name === 'man' && /^-P$|^--pager$/.test(arg)) ||
      (name === 'zip' && /^-TT$|^--unzip-command$/.test(arg)) ||
      (name === 'sqlite3' && /^\.(?:shell|system)/.test(next))
    )
      runCode(call, next.replace(/^\.(?:shell|system)\s+/, ''));
    if (name === 'sqlite3' && /^\.(?:shell|system)\s/.test(arg))
      runCode(call, arg.replace(/^\.(?:shell|system)\s+/, ''));
  });
  if (name === 'ed' && call.frame.stdin !== '') touch(call, args.findLast((arg) => !arg.startsWith('-')) ?? '', 'edit');
  const bang = /^!(.+)$/m.exec(plain(call.frame.stdin))?.[1];
  if (bang !== undefined && /^(?:ed|ftp|vi|vim|ex|gdb)$/.test(name)) runCode(call, bang);
};

const make: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  for (const [i, arg] of args.entries()) {
    const code = /^--eval=(.+)$/.exec(arg)?.[1] ?? (arg === '--eval' ? args[i + 1] : undefined);
    const recipe =
      code === undefined ? undefined : (/(?::|;|\t|\$\(shell)\s*[@-]?(.+?)\)?$/.exec(code)?.[1] ?? undefined);
    if (recipe !== undefined) runCode(call, recipe);
  }
  const { values } = readOptions(call.argv.slice(1), ['-f', '--file', '-C', '-j', '-I']);
  if (plain(values.get('-f') ?? '') === '-')
    for (const line of plain(call.frame.stdin).split('\n'))
      if (line.startsWith('\t')) runCode(call, line.trim().replace(/^[@-]+/, ''));
};

/** `sha256sum -c`, `gpg --verify` and their like. */
const verifier: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  const isShasum = /sum$/.test(programOf(call.argv[0] ?? ''));
  if (args.some((arg) => (isShasum ? /^-\w*c|^--check$/ : /^-?-?verify(?:-blob|-attestation)?$|^-V/).test(arg)))
    call.frame.scan.isVerified = true;
};

export const otherJudges: Judges = {
  ...Object.fromEntries(
    [
      'sha256sum',
      'sha512sum',
      'sha384sum',
      'shasum',
      'b2sum',
      'gpg',
      'gpgv',
      'minisign',
      'cosign',
      'signify',
      'openssl',
    ].map((name) => [name, verifier]),
  ),
  'ssh-keygen': verifier,
  docker,
  podman: docker,
  nerdctl: docker,
  git,
  vim: shellEscape,
  vi: shellEscape,
  nvim: shellEscape,
  ex: shellEscape,
  ed: shellEscape,
  ftp: shellEscape,
  man: shellEscape,
  zip: shellEscape,
  sqlite3: shellEscape,
  make,
  gmake: make,
  'dpkg-divert': (call) => {
    const { operands, flags } = readOptions(call.argv.slice(1), ['--divert', '--package']);
    if (flags.has('--rename') && flags.has('--add')) for (const path of operands) touch(call, path, 'move');
  },
};

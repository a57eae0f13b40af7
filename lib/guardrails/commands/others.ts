/** Programs that run or change something dangerous as a side use: containers, version control, editors, schedulers. */
import { normalizePath } from '../paths.ts';
import { type Call, programOf, quote, readOptions, reportCall, touch } from '../shell/call.ts';
import { recipesIn, removedBy } from '../shell/later.ts';
import { hasHole, plain } from '../shell/marks.ts';
import { contentOf } from '../shell/redirect.ts';
import { runCode } from '../shell/shells.ts';
import type { Judge, Judges } from './judge.ts';
import { judgeMode } from './modes.ts';

/** A container that has the machine's root to write to is no container. */
const docker: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  copiedOut(call, () => '');
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

/** `cp CONTAINER:PATH FILE`, and back: what is written here is what has no container in front. */
const copiedOut: Judge = (call) => {
  const { operands } = readOptions(call.argv.slice(1), ['-c', '-n', '--context', '--namespace', '--container']);
  const at = operands.findIndex((one) => /^(?:cp|pull)$/.test(plain(one)));
  const target = plain(operands.at(-1) ?? '');
  if (at >= 0 && at < 3 && operands.length > at + 2 && target.startsWith('/')) touch(call, target, 'replace');
};

/** `ctr run --mount type=bind,src=/,dst=/host …`: the tree of the machine under another name. */
const containerd: Judge = (call) => {
  for (const arg of call.argv.map(plain)) {
    const [, outside] = /\b(?:src|source)=(\/[^,]*)/.exec(arg) ?? [];
    const [, inside] = /\b(?:dst|destination|target)=(\/[^,]*)/.exec(arg) ?? [];
    if (outside !== undefined && inside !== undefined) runInside(call, `${outside}:${inside}`, true);
  }
};

/** What runs inside, with the paths of the machine that are mounted there. */
function runInside(call: Call, mount: string, isWhole = false): void {
  const [outside = '', inside = '', mode = ''] = mount.split(':');
  if (!outside.startsWith('/') || !inside.startsWith('/') || (inside === '/' && !isWhole) || /\bro\b/.test(mode))
    return;
  const args = call.argv.slice(1);
  const at = args.findIndex((arg, i) => i > 1 && (/^(?:ba|da)?sh$/.test(plain(arg)) || known.has(programOf(arg))));
  if (at === -1) return;
  const command = args
    .slice(at)
    .map((arg) => (inside === '/' ? plain(arg) : plain(arg).replaceAll(inside, outside === '/' ? '' : outside)));
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
    const [, key = '', value = ''] = /^([\w.-]+)=([\s\S]+)$/.exec(arg === '-c' ? (args[i + 1] ?? '') : '') ?? [];
    runSetting(call, key, value);
    // `git config KEY VALUE`, `git config set KEY VALUE`.
    if (args.includes('config') && args[i + 1] !== undefined) runSetting(call, arg, args[i + 1] ?? '');
  });
  const { operands, values } = readOptions(call.argv.slice(1), ['-C', '-c', '--git-dir', '--work-tree']);
  const { cwd } = call.frame.scope;
  const isForced = args.some((arg) => /^-[a-z]*f/.test(arg));
  if (
    plain(operands[0] ?? '') === 'clean' &&
    isForced &&
    operands.length === 1 &&
    !values.has('-C') &&
    cwd !== undefined
  )
    touch(call, cwd, 'remove tree');
  // Of a tree that nobody knows it takes only what does not belong there.
  const place = values.get('-C');
  if (plain(operands[0] ?? '') === 'clean' && isForced && place !== undefined && !hasHole(place))
    touch(call, place, 'remove tree');
  if (plain(operands[0] ?? '') === 'clean' && args.some((arg) => /^-[a-z]*f/.test(arg)))
    for (const path of operands.slice(1)) touch(call, path, 'remove tree');
  const tree = values.get('--work-tree');
  if (tree !== undefined && /^(?:checkout|reset|clean|restore|read-tree)$/.test(plain(operands[0] ?? '')))
    touch(call, tree, 'remove tree');
};

const gitKeys =
  /^(?:core\.(?:pager|editor|sshCommand|fsmonitor|askPass|gitProxy|alternateRefsCommand)|sequence\.editor|pager\.[\w-]+|diff\.external|diff\.[\w-]+\.(?:command|textconv)|filter\.[\w-]+\.(?:clean|smudge|process)|merge\.[\w-]+\.driver|(?:difftool|mergetool|browser|man|trailer)\.[\w-]+\.(?:cmd|command)|gpg(?:\.\w+)?\.program|credential\.helper|interactive\.diffFilter|uploadpack\.packObjectsHook|sendemail\.\w*cmd|remote\.[\w-]+\.(?:uploadpack|receivepack|vcs)|alias\.[\w-]+)$/i;

/** A setting of Git whose value is run. */
function runSetting(call: Call, key: string, value: string): void {
  if (!gitKeys.test(key)) return;
  const code = value.replace(/^!/, '');
  if (!/^(?:alias|credential)\./i.test(key) || value.startsWith('!')) runCode(call, code);
}

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
  const file = args.findLast((arg) => !arg.startsWith('-')) ?? '';
  if (/^(?:ed|ex)$/.test(name) && call.frame.stdin !== '') {
    touch(call, file, /^\s*(?:1,\$|,|%)\s*d\s*$/m.test(plain(call.frame.stdin)) ? 'empty' : 'edit');
    for (const [, path = ''] of plain(call.frame.stdin).matchAll(/^\s*(?:\S*\s*)?[wW]q?!?\s+(\/\S+)$/gm))
      touch(call, path, 'replace');
  }
  for (const arg of args)
    for (const [, path = ''] of arg.matchAll(
      /(?:^|\||:)\s*(?:sil(?:ent)?!?\s+)?(?:w(?:rite)?|sav(?:eas)?|up(?:date)?)!?\s+(?:>>\s*)?(\/\S+)/g,
    ))
      touch(call, path, 'replace');
  const bang = /^!(.+)$/m.exec(plain(call.frame.stdin))?.[1];
  if (bang !== undefined && /^(?:ed|ftp|vi|vim|ex|gdb)$/.test(name)) runCode(call, bang);
};

const make: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  for (const [i, arg] of args.entries()) {
    const code = /^--eval=(.+)$/.exec(arg)?.[1] ?? (arg === '--eval' ? args[i + 1] : undefined);
    const recipe =
      code === undefined ? undefined : (/(?::?;|:|\t|\$\(shell)\s*;?[@+-]*(.+?)\)?$/.exec(code)?.[1] ?? undefined);
    if (recipe !== undefined) runCode(call, recipe);
    for (const one of code?.includes('\n') ? recipesIn(code) : []) runCode(call, one);
  }
  const { values } = readOptions(call.argv.slice(1), ['-f', '--file', '--makefile', '-C', '-j', '-I', '-o', '-W']);
  const file = values.get('-f') ?? values.get('--file') ?? values.get('--makefile');
  const text = file === undefined ? '' : plain(file) === '-' ? call.frame.stdin : contentOf(call.frame, file);
  const given = args.filter((arg) => /^\w+=/.test(arg)).join('\n');
  const directory = normalizePath(values.get('-C') ?? '.', call.frame.scope.cwd);
  const own = ['Makefile', 'makefile', 'GNUmakefile'].map(
    (name) => call.frame.scan.files.get(`${directory}/${name}`) ?? '',
  );
  for (const content of [text, ...(file === undefined ? own : [])])
    for (const recipe of recipesIn(`${plain(content)}\n${given}`)) runCode(call, recipe);
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
  'ssh-keygen': (call, again) => {
    verifier(call, again);
    if (call.argv.some((arg) => plain(arg) === '-A')) call.frame.scan.down.delete('host keys');
    const { flags, values } = readOptions(call.argv.slice(1), ['-f', '-t', '-b', '-C', '-N', '-P', '-m', '-O', '-Y']);
    const made = plain(values.get('-f') ?? '');
    const isMade = !['-l', '-y', '-R', '-F', '-e', '-i', '-B', '-H', '-p', '-c', '-L', '-Y'].some((one) =>
      flags.has(one),
    );
    if (isMade && made.startsWith('/') && !/\/\.?ssh\//.test(made)) touch(call, made, 'empty');
  },
  'dpkg-reconfigure': (call) => {
    if (call.argv.some((arg) => plain(arg) === 'openssh-server')) call.frame.scan.down.delete('host keys');
  },
  docker,
  podman: docker,
  nerdctl: docker,
  ctr: containerd,
  kubectl: copiedOut,
  oc: copiedOut,
  lxc: copiedOut,
  incus: copiedOut,
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
  'dpkg-statoverride': (call) => {
    const { operands, flags } = readOptions(call.argv.slice(1));
    const [user = '', , mode = '', path = ''] = operands;
    if (!flags.has('--add') || path === '') return;
    judgeMode(call, mode, [path], false);
    if (!/^(?:root|0)$/.test(plain(user))) touch(call, path, 'own');
  },
  'update-alternatives': (call) => {
    const args = call.argv.slice(1).map(plain);
    const at = args.indexOf('--install');
    const [link = '', , target = ''] = at === -1 ? [] : args.slice(at + 1);
    const isKind = target.replace(/^.*\//, '').startsWith(link.replace(/^.*\//, ''));
    if (
      link !== '' &&
      !isKind &&
      !/\/s?bin\/[^/]*(?:sh|awk|vim?|nano|pager|python|perl|iptables|nft)[^/]*$/.test(target)
    )
      touch(call, link, 'replace');
    const isSet = args[0] === '--set' && /^\/(?:usr\/)?bin\/(?:false|true)$/.test(args[2] ?? '');
    if (isSet) reportCall(call, 'G0105', args[1]);
  },
  'systemd-tmpfiles': (call) => {
    const { operands, flags } = readOptions(call.argv.slice(1), ['--prefix', '--root', '-E']);
    if (!flags.has('--remove') && !flags.has('--clean') && !flags.has('--purge')) return;
    for (const file of operands)
      for (const { path, isTree } of removedBy('/etc/tmpfiles.d/x', contentOf(call.frame, file)))
        touch(call, path, isTree ? 'remove tree' : 'remove');
  },
  logrotate: (call) => {
    for (const file of readOptions(call.argv.slice(1), ['-s', '-m', '-l']).operands) {
      const text = plain(contentOf(call.frame, file));
      for (const [, paths = ''] of text.matchAll(/^\s*((?:"?\/[^\s{"]+"?\s+)+)\{/gm))
        for (const path of paths.trim().split(/\s+/)) touch(call, path.replaceAll('"', ''), 'move');
    }
  },
  'dpkg-divert': (call) => {
    const { operands, flags } = readOptions(call.argv.slice(1), ['--divert', '--package']);
    if (flags.has('--rename') && flags.has('--add')) for (const path of operands) touch(call, path, 'move');
  },
};

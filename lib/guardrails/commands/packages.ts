/** Package managers: what removes a package that the machine needs. */
import { isAgentName, isEssentialPackage } from '../protected-names.ts';
import { type Call, programOf, readOptions, reportCall } from '../shell/call.ts';
import { hasGlob, hasHole, patternOf, plain, withGlobs, withoutGlobs } from '../shell/marks.ts';
import { matchesSafely } from '../shell/safe-expression.ts';
import type { Judge, Judges } from './judge.ts';

const samples = [
  'openssh-server',
  'linux-image-amd64',
  'kernel',
  'libc6',
  'glibc',
  'systemd',
  'apt',
  'dpkg',
  'rpm',
  'dnf',
  'bash',
  'coreutils',
  'grub-pc',
  'linux-generic',
  'network-manager',
  'sudo',
];

function remove(call: Call, packages: readonly string[]): void {
  for (const one of packages) {
    // Package managers fill in patterns themselves.
    const name = withGlobs(plain(one));
    // `linux-image-$(uname -r)` is the kernel that runs.
    if (/^(?:linux-image|linux-modules|kernel|kernel-core)-\ue000/.test(name)) reportCall(call, 'G0405', name);
    if (hasHole(name)) continue;
    const text = withoutGlobs(name);
    if (/^[~?](?:i|installed|essential|E)/.test(text) || matchesEssential(text)) reportCall(call, 'G0405', text);
    else if (isAgentName(text)) reportCall(call, 'G0401', text);
    else if (isEssentialPackage(text) || (hasGlob(name) && samples.some((sample) => patternOf(name).test(sample))))
      reportCall(call, 'G0405', text);
  }
}

/** `apt` takes a regular expression where no package has the name. */
function matchesEssential(text: string): boolean {
  if (!/[.][*+]|[$^|]|[.]$/.test(text)) return false;
  return samples.some((sample) => matchesSafely(text, sample) === true);
}

const values = [
  '-o',
  '-t',
  '-c',
  '-a',
  '--root',
  '--repo',
  '--enablerepo',
  '--disablerepo',
  '--setopt',
  '-R',
  '--installroot',
  '--target-release',
  '--option',
  '--config-file',
];

const apt: Judge = (call) => {
  const { operands, flags } = readOptions(call.argv.slice(1), values);
  const [verb = '', ...rest] = operands.map(String);
  const name = plain(verb);
  if (flags.has('-s') || flags.has('--simulate') || flags.has('--dry-run') || flags.has('--assumeno')) return;
  const isYum = /^(?:yum|dnf5?|microdnf|tdnf)$/.test(programOf(call.argv[0] ?? ''));
  if (
    isYum &&
    /^(?:remove|erase|autoremove)$/.test(name) &&
    rest.some((one) => /^(?:python[23]?|python3?-libs|platform-python)$/.test(plain(one)))
  )
    reportCall(call, 'G0405', rest[0]);
  if (/^auto(?:remove|purge)$/.test(name) && call.frame.scan.created.has('unmarked')) reportCall(call, 'G0405', 'all');
  if (/^(?:remove|purge|autoremove|autopurge|erase|del|rm|uninstall|unmark|group-remove|groupremove|swap)$/.test(name))
    remove(call, name === 'swap' ? rest.slice(0, 1) : rest);
  // `apt install foo-` removes, too.
  else if (/^(?:install|full-upgrade)$/.test(name))
    remove(
      call,
      rest.filter((one) => plain(one).endsWith('-')),
    );
};

const dpkg: Judge = (call) => {
  const { operands, flags } = readOptions(call.argv.slice(1), ['--root', '--admindir', '--instdir', '-D']);
  if (flags.has('--no-act') || flags.has('--simulate') || flags.has('--dry-run')) return;
  if (['-r', '-P', '--remove', '--purge'].some((flag) => flags.has(flag))) remove(call, operands);
  if (flags.has('--set-selections'))
    for (const line of plain(call.frame.stdin).split('\n')) {
      const [name = '', wanted] = line.trim().split(/\s+/);
      if (wanted === 'deinstall' || wanted === 'purge') remove(call, [name]);
    }
};

const rpm: Judge = (call) => {
  const { operands, flags } = readOptions(call.argv.slice(1), ['--root', '-r', '--dbpath']);
  const isUnchecked = ['--nodigest', '--nosignature', '--nofiledigest'].some((flag) => flags.has(flag));
  if (isUnchecked && operands.some((one) => /^(?:https?|ftp):/.test(plain(one))))
    reportCall(call, 'G0501', operands[0]);
  if (flags.has('--test') || flags.has('-q')) return;
  if (flags.has('-e') || flags.has('--erase')) remove(call, operands);
};

const pacman: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  if (!args.some((arg) => /^-[a-zA-Z]*R|^--remove$/.test(arg)) || args.includes('-p')) return;
  remove(
    call,
    call.argv.slice(1).filter((arg) => !arg.startsWith('-')),
  );
};

const verbFirst: Judge = (call) => {
  const { operands } = readOptions(call.argv.slice(1), ['-p', '--root', '-t', '--virtual', '--repository', '-X']);
  const verb = plain(operands[0] ?? '');
  if (/^(?:del|remove|rm|uninstall|delete|erase|purge)$/.test(verb)) remove(call, operands.slice(1));
};

const nix: Judge = (call) => {
  const { operands, flags } = readOptions(call.argv.slice(1));
  if (flags.has('-e') || programOf(call.argv[0] ?? '') === 'nix-env') remove(call, operands);
};

const whole: Judge = (call) => remove(call, readOptions(call.argv.slice(1)).operands);

/** What nobody wants any more, `autoremove` takes away. */
const aptMark: Judge = (call) => {
  const { operands } = readOptions(call.argv.slice(1));
  const [verb, ...packages] = operands.map(plain);
  const { created } = call.frame.scan;
  if (verb === 'auto' && packages.some((one) => one === '.*' || one === '*' || isEssentialPackage(one)))
    created.add('unmarked');
  // Those that were wanted before are wanted again.
  if (verb === 'manual') created.delete('unmarked');
};

export const packageJudges: Judges = {
  'apt-mark': aptMark,
  ...Object.fromEntries(
    [
      'apt',
      'apt-get',
      'aptitude',
      'dnf',
      'dnf5',
      'yum',
      'microdnf',
      'tdnf',
      'zypper',
      'nala',
      'eopkg',
      'swupd',
      'urpme',
    ].map((name) => [name, apt]),
  ),
  dpkg,
  rpm,
  pacman,
  yay: pacman,
  paru: pacman,
  apk: verbFirst,
  brew: verbFirst,
  snap: verbFirst,
  pkg: verbFirst,
  opkg: verbFirst,
  emerge: (call) => {
    if (call.argv.some((arg) => /^(?:-[a-zA-Z]*[cC]|--unmerge|--depclean)$/.test(plain(arg))))
      remove(
        call,
        call.argv.slice(1).map((one) => plain(one).replace(/^.*\//, '')),
      );
  },
  'nix-env': nix,
  urpme: whole,
  'xbps-remove': whole,
  pkg_delete: whole,
};

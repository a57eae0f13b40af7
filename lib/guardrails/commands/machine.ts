/** Programs that stop the machine, its kernel or its processes, or change how it starts. */

import { normalizePath } from '../paths.ts';
import { isAgentName, isReachProcess, isVitalProcess } from '../protected-names.ts';
import { isAgentPath } from '../protected-paths.ts';
import { type Call, programOf, readOptions, reportCall } from '../shell/call.ts';
import { hasHole, hole, plain } from '../shell/marks.ts';
import { matchesSafely } from '../shell/safe-expression.ts';
import type { Judge, Judges } from './judge.ts';

const shutdown: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  if (args.some((arg) => /^(?:-c|--help|--version|--show|-w|--wtmp-only)$/.test(arg))) return;
  reportCall(call, 'G0301');
};

const init: Judge = (call) => {
  if (call.argv.slice(1).some((arg) => /^(?:0|1|6|[sS])$/.test(plain(arg)))) reportCall(call, 'G0301');
};

const kill: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  const signal = args[0] ?? '';
  if (/^-[lL]|^--list/.test(signal) || signal === '-0') return;
  const isBare = !signal.startsWith('-') || signal === '--';
  const hasName = /^-(?:s|n|-signal)$/.test(signal);
  const targets = args.slice(isBare ? 0 : hasName ? 2 : 1).filter((arg) => arg !== '--');
  for (const target of targets) {
    const process = /^pid-of-(.+)\ue000$/.exec(target)?.[1] ?? '';
    if (isAgentName(process)) reportCall(call, 'G0401', process);
    else if (process === 'everything' && !isReload(call)) reportCall(call, 'G0303', 'all');
    else if (isReachProcess(process) && !isReload(call)) reportCall(call, 'G0402', process);
    else if (isVitalProcess(process) && !isReload(call)) reportCall(call, 'G0303', process);
  }
  // The first number with a dash is the signal; `kill -1 -1` has both.
  if (targets.some((arg) => /^(?:\/proc\/)?[\ue001-\ue003]/.test(arg))) reportCall(call, 'G0303', 'all');
  if (targets.some((arg) => arg === '-1' || arg === '1')) reportCall(call, 'G0303', targets.join(' '));
};

const pkill: Judge = (call) => {
  const { operands, values, flags } = readOptions(
    call.argv.slice(1),
    ['-u', '-U', '-g', '-G', '-P', '-s', '-t', '--signal', '--uid', '--user', '-F', '-n', '--ns', '-y', '-o'].filter(
      (one) => programOf(call.argv[0] ?? '') !== 'pkill' || !['-n', '-o', '-y'].includes(one),
    ),
  );
  const names = operands.map((one) =>
    plain(one)
      .replace(/^\^|\$$/g, '')
      .replaceAll('\\', ''),
  );
  if (/^-?0$/.test(plain(values.get('--signal') ?? '')) || flags.has('-0')) return;
  if (flags.has('-l') || flags.has('--list')) return;
  const user = plain(values.get('-u') ?? values.get('-U') ?? values.get('--user') ?? '');
  if (/^(?:root|0)$/.test(user) && names.length === 0) reportCall(call, 'G0303', user);
  const isPattern = programOf(call.argv[0] ?? '') === 'pkill' || flags.has('-r') || flags.has('--regexp');
  for (const name of names.flatMap((one) => (isPattern ? [one, ...processesLike(one)] : [one]))) {
    if (isAgentName(name)) reportCall(call, 'G0401', name);
    else if (isReachProcess(name) && !flags.has('--HUP') && !isReload(call)) reportCall(call, 'G0402', name);
    else if (isVitalProcess(name) && !isReload(call)) reportCall(call, 'G0303', name);
    else if (/^\.[*+]?$|^$/.test(name) && user === '') reportCall(call, 'G0303', name);
  }
  if (programOf(call.argv[0] ?? '') === 'killall5') reportCall(call, 'G0303');
};

/** The processes that everybody needs, as far as a regular expression means them. */
function processesLike(pattern: string): string[] {
  if (!/[[\]().*+?|^$]/.test(pattern) || pattern === '.') return [];
  return ['holdfast-agent', 'sshd', 'dbus-daemon', 'systemd-journald', 'NetworkManager'].filter(
    (name) => matchesSafely(pattern, name) === true,
  );
}

function isReload(call: Call): boolean {
  return call.argv.some(
    (arg) => /^-(?:s)?(?:HUP|SIGHUP|1|USR1|USR2)$/.test(plain(arg)) || /^--signal[= ]?(?:SIG)?HUP/.test(plain(arg)),
  );
}

const kernelModule: Judge = (call) => {
  const name = programOf(call.argv[0] ?? '');
  const { flags, operands } = readOptions(call.argv.slice(1), ['-C', '-d', '-S']);
  if (operands.length === 0) return;
  if (name === 'insmod') reportCall(call, 'G0304', operands[0]);
  else if (
    (name === 'rmmod' || flags.has('-r') || flags.has('--remove')) &&
    operands.some((one) =>
      /^(?:e1000e?|igb|ixgbe|virtio_net|vmxnet3|r8169|tg3|bnx2x?|ext4|xfs|btrfs|nvme|ahci|sd_mod|virtio_blk|virtio_scsi|ena|hv_netvsc)$/.test(
        plain(one),
      ),
    )
  )
    reportCall(call, name === 'rmmod' ? 'G0304' : 'G0403', operands[0]);
};

const kexec: Judge = (call) => {
  if (call.argv.slice(1).some((arg) => /^-[efl]|^--(?:exec|force|load)/.test(plain(arg)))) reportCall(call, 'G0304');
};

/** Programs that systems come with, which take what a crash leaves. */
const crashHandlers =
  /^kernel\.core_pattern=\s*\|\s*\/(?:usr\/)?(?:lib\/systemd\/systemd-coredump|share\/apport\/apport|libexec\/abrt-hook-ccpp|lib(?:exec)?\/kdump\S*)\b/;

/** Below these a machine can start no process, open no file or take no memory. */
const least: Readonly<Record<string, number>> = {
  'kernel.pid_max': 1000,
  'kernel.threads-max': 1000,
  'fs.file-max': 1024,
  'fs.nr_open': 1024,
  'vm.max_map_count': 1024,
  'net.core.somaxconn': 2,
  'net.ipv4.ip_default_ttl': 8,
  'kernel.pty.max': 2,
};

const sysctl: Judge = (call) => {
  const settings = call.argv.slice(1).map((arg) =>
    plain(arg)
      .replaceAll('/', '.')
      .replace(/^\.?proc\.sys\./, ''),
  );
  for (const [i, text] of settings.entries()) {
    const isHandled = crashHandlers.test(plain(call.argv[i + 1] ?? '').replace(/^\/proc\/sys\/kernel\//, 'kernel.'));
    if (
      !isHandled &&
      /^kernel\.(?:core_pattern=\s*\||modprobe=(?!\s*\.s?bin\.modprobe)|hotplug=|modules_disabled=1|poweroff_cmd=)|^kernel\.panic_on_oops=1\b.*sysrq|^net\.ipv[46]\.conf\.(?:all|default)\.disable_ipv4=1|^net\.ipv4\.icmp_echo_ignore_all=2|^kernel\.sysrq-trigger/.test(
        text,
      )
    )
      reportCall(call, 'G0304', call.argv[i + 1]);
    const [, key = '', value = ''] = /^([\w.-]+)\s*=\s*(\d+)$/.exec(text) ?? [];
    const bound = least[key];
    if (bound !== undefined && Number(value) < bound) reportCall(call, 'G0304', text);
    if (
      key === 'vm.overcommit_memory' &&
      value === '2' &&
      settings.some((one) => /^vm\.overcommit_(?:ratio|kbytes)=[01]$/.test(one))
    )
      reportCall(call, 'G0304', text);
    if (/^vm\.(?:min_free_kbytes|nr_hugepages)$/.test(key) && Number(value) > 100_000_000)
      reportCall(call, 'G0304', text);
  }
};

const efibootmgr: Judge = (call) => {
  const { flags } = readOptions(call.argv.slice(1), ['-b', '-o', '-n', '-L', '-l', '-d', '-p']);
  if (['-B', '-O', '-D', '--delete-bootnum', '-o', '-N', '-A'].some((flag) => flags.has(flag)))
    reportCall(call, 'G0305');
};

const grub: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  if (
    args.some((arg) => /init=\/bin\/|\brescue\b|systemd\.unit=(?:rescue|emergency|poweroff|reboot)|single\b/.test(arg))
  )
    reportCall(call, 'G0305');
  if (/remove-kernel|--remove-kernel/.test(args.join(' '))) reportCall(call, 'G0305');
};

const dracut: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  if (programOf(call.argv[0] ?? '') !== 'update-initramfs' || !args.some((arg) => /^-[a-z]*d/.test(arg))) return;
  const version = args[args.indexOf('-k') + 1] ?? 'all';
  // That of an old kernel goes with it.
  if (version === 'all' || !args.includes('-k') || /\buname\b/.test(call.excerpt)) reportCall(call, 'G0305');
  else if (version.includes(hole)) reportCall(call, 'G0305', version, 'unknown');
};

/** A call over the bus does what the command does that makes it. */
const overBus: Judge = (call, again) => {
  const text = call.argv.map(plain).join(' ');
  if (/\b(?:PowerOff|Reboot|Halt|Suspend|Hibernate|HybridSleep|KExec)(?:WithFlags)?\b/.test(text))
    reportCall(call, 'G0301');
  const verb = /\b(Stop|Mask|Disable|Kill|Start|Restart|Isolate)Units?(?:Files)?(?:WithFlags)?\b/
    .exec(text)?.[1]
    ?.toLowerCase();
  const unit = /(?:^|[\s:"'])([\w@.-]+\.(?:service|socket|target|timer))\b/.exec(text)?.[1];
  if (verb !== undefined && unit !== undefined) again(['systemctl', verb, unit]);
};

export const machineJudges: Judges = {
  shutdown,
  reboot: shutdown,
  halt: shutdown,
  poweroff: shutdown,
  'openrc-shutdown': shutdown,
  pm_suspend: shutdown,
  'pm-suspend': shutdown,
  'pm-hibernate': shutdown,
  init,
  telinit: init,
  kill: (call, again) => {
    kill(call, again);
    if (call.argv.slice(1).some((arg) => hasHole(arg) && /holdfast/i.test(call.frame.source.text)))
      reportCall(call, 'G0401', call.excerpt);
  },
  pkill,
  killall: pkill,
  killall5: pkill,
  skill: pkill,
  insmod: kernelModule,
  rmmod: kernelModule,
  modprobe: kernelModule,
  kexec,
  sysctl,
  efibootmgr,
  grubby: grub,
  'grub-reboot': grub,
  'update-initramfs': dracut,
  fuser: (call) => {
    const { flags, operands } = readOptions(call.argv.slice(1), ['-n', '-N']);
    if (flags.has('-k') || flags.has('--kill'))
      for (const path of operands)
        if (/^\/(?:|usr|etc|var|bin|lib|dev|proc|home|root|run)\/?$/.test(plain(path))) reportCall(call, 'G0303', path);
        else if (isAgentPath(normalizePath(path))) reportCall(call, 'G0401', path);
        else if (
          /\/(?:sshd|dbus-daemon|systemd)$/.test(plain(path)) ||
          (flags.has('-n') && /^22\/tcp$/.test(plain(path))) ||
          plain(path) === '22/tcp'
        )
          reportCall(call, 'G0402', path);
  },
  'grub-install': (call) => {
    if (call.argv.some((arg) => plain(arg) === '--uninstall')) reportCall(call, 'G0305');
  },
  bootctl: (call) => {
    if (call.argv.some((arg) => /^(?:remove|unlink)$/.test(plain(arg)))) reportCall(call, 'G0305');
  },
  'dbus-send': overBus,
  busctl: overBus,
  gdbus: overBus,
  ipmitool: (call) => {
    const text = call.argv.map(plain).join(' ');
    if (/\b(?:power|chassis)\s+(?:power\s+)?(?:off|cycle|reset|soft)\b|\braw\s+(?:0x)?0+\s+(?:0x)?0*2\b/.test(text))
      reportCall(call, 'G0301');
  },
  racadm: (call) => {
    if (/serveraction\s+(?:powerdown|powercycle|hardreset|graceshutdown)/i.test(call.argv.map(plain).join(' ')))
      reportCall(call, 'G0301');
  },
  upsdrvctl: (call) => {
    if (plain(call.argv.at(-1) ?? '') === 'shutdown') reportCall(call, 'G0301');
  },
  rtcwake: (call) => {
    if (call.argv.some((arg) => /^(?:off|mem|disk|standby)$/.test(plain(arg)))) reportCall(call, 'G0301');
  },
};

/** Settings: what is written into files that decide who gets in, who is root, what is loaded, and how the machine starts. */
import { normalizePath } from '../paths.ts';
import type { RuleId } from '../rules.ts';
import { hasGlob, patternOf, plain, withoutGlobs, withoutRuns } from './marks.ts';
import { type Frame, report } from './scan.ts';

type Setting = {
  readonly path: RegExp;
  readonly rule: RuleId;
  readonly says: (text: string) => boolean;
};

/** Without these a machine finds neither its disk nor its network. */
const vitalModules =
  'virtio_net|virtio_blk|virtio_pci|virtio_scsi|virtio|ext4|xfs|btrfs|nvme|nvme_core|ahci|sd_mod|scsi_mod|vmxnet3|vmw_pvscsi|e1000e?|igb|ixgbe|i40e|ice|r8169|tg3|bnx2x?|bnxt_en|mlx[45]_core|ena|hv_netvsc|hv_storvsc|xen_netfront|xen_blkfront|dm_mod|dm_crypt|raid1|ipv4|unix';

const downTargets =
  '(?:systemd-)?(?:poweroff|reboot|halt|kexec|emergency|rescue|shutdown|exit)(?:-force|-immediate)?(?:\\.(?:target|service))?';

const settings: readonly Setting[] = [
  {
    path: /^\/etc\/sudoers(?:\.d\/|$)/,
    rule: 'G0108',
    says: (text) => /^\s*(?:ALL|%users|#\d+|nobody|%nogroup)\s+ALL\s*=/m.test(text),
  },
  {
    path: /^\/etc\/ssh\/sshd_config(?:$|\.d\/)/,
    rule: 'G0402',
    says: (text) =>
      /^[ \t]*(?:Deny(?:Users|Groups)[ \t=]+(?:\S+[ \t]+)*["']?\*["']?(?:\s|$)|ListenAddress[ \t=]+(?:127\.|::1|localhost)|MaxSessions[ \t=]+0\b|Port[ \t=]+0\b)/im.test(
        text,
      ) ||
      (/^\s*PubkeyAuthentication[ \t=]+no\b/im.test(text) && /^\s*PasswordAuthentication[ \t=]+no\b/im.test(text)),
  },
  {
    path: /^\/etc\/ssh\/sshd_config(?:$|\.d\/)/,
    rule: 'G0108',
    says: (text) => /^\s*AuthorizedKeysFile[ \t=]+(?:\S+[ \t]+)*\/(?:tmp|var\/tmp|dev\/shm)\//im.test(text),
  },
  { path: /^\/etc\/hosts\.deny$/, rule: 'G0402', says: (text) => /^\s*(?:ALL|sshd)\s*:\s*ALL\b/m.test(text) },
  { path: /^\/etc\/nologin$/, rule: 'G0402', says: () => true },
  {
    path: /^\/etc\/security\/access\.conf$/,
    rule: 'G0402',
    says: (text) => /^\s*-\s*:\s*(?:ALL|root)\s*:\s*ALL\b/m.test(text) && !/^\s*\+\s*:/m.test(text),
  },
  {
    path: /^\/etc\/security\/limits\.(?:conf|d\/[^/]+)$/,
    rule: 'G0402',
    says: (text) =>
      /^\s*(?:\*|root|@\w+)\s+(?:hard|-)\s+(?:nproc|nofile|maxlogins|maxsyslogins)\s+[0-5]\s*$/m.test(text),
  },
  {
    path: /^\/etc\/pam\.d\/(?:common-(?:auth|account|session)|(?:system|password)-auth|sshd|login|su|sudo)$/,
    rule: 'G0402',
    says: (text) =>
      /^\s*(?:auth|account|session)\s+(?:required|requisite)\s+(?:\S*\/)?pam_deny\.so/m.test(text) &&
      !/\bsufficient\b|success=|default=die/.test(text),
  },
  {
    path: /^\/etc\/pam\.d\/(?:common-auth|(?:system|password)-auth|sshd|login|su|sudo|su-l)$/,
    rule: 'G0108',
    says: (text) => /^\s*(?:auth\s+(?:sufficient|\[success=\S+[^\]]*\])\s+)?(?:\S*\/)?pam_permit\.so/m.test(text),
  },
  {
    path: /^\/etc\/(?:profile|bash\.bashrc|bashrc|zsh\/zshenv|environment)$|^\/(?:root|home\/[^/]+)\/\.(?:bashrc|profile|bash_profile|bash_login|zshrc|zshenv)$|^\/etc\/profile\.d\/[^/]+$/,
    rule: 'G0402',
    says: (text) =>
      /^\s*(?:exit(?:\s+\d+)?|logout|kill\s+(?:-\S+\s+)?\$\$|exec\s+(?:\S*\/)?(?:false|true|sleep|cat|nologin)\b[^\n]*)\s*;?\s*$/m.test(
        withoutBlocks(text),
      ),
  },
  {
    path: /^\/etc\/(?:default\/grub(?:\.d\/[^/]+)?|kernel\/cmdline|grub\.d\/[^/]+)$|^\/boot\/(?:cmdline\.txt|grub2?\/grub\.cfg|loader\/entries\/[^/]+)$/,
    rule: 'G0305',
    says: (text) =>
      /\binit=(?!\/(?:usr\/)?(?:lib\/systemd\/systemd|sbin\/init)\b)\//.test(text) ||
      /\bsystemd\.unit=(?:rescue|emergency|poweroff|reboot|halt)|\broot=\/dev\/(?:null|zero)\b|(?:^|["'\s=])(?:rd\.)?break(?:["'\s]|$)/.test(
        text,
      ),
  },
  {
    path: /^\/etc\/ld\.so\.conf(?:\.d\/[^/]+)?$/,
    rule: 'G0504',
    says: (text) => /^\s*\/(?:tmp|var\/tmp|dev\/shm)\b/m.test(text),
  },
  {
    path: /\/modprobe\.d\/[^/]+$/,
    rule: 'G0305',
    says: (text) =>
      new RegExp(
        `^\\s*(?:install\\s+(?:${vitalModules})\\s+\\S*(?:false|true)\\b|blacklist\\s+(?:${vitalModules})\\s*$)`,
        'm',
      ).test(text),
  },
  {
    path: /\/systemd\/(?:system|user)\/.+\.(?:service|timer|socket|mount|path|target|conf)$/,
    rule: 'G0301',
    says: (text) =>
      new RegExp(
        `^\\s*(?:Unit|OnFailure|OnSuccess|Wants|Requires|FailureAction|SuccessAction|StartLimitAction|JobTimeoutAction)\\s*=\\s*(?:\\S+\\s+)*${downTargets}\\s*$`,
        'm',
      ).test(text),
  },
  {
    path: /^\/etc\/polkit-1\/rules\.d\/[^/]+$/,
    rule: 'G0108',
    says: (text) => /Result\.YES/.test(text) && !/\bif\s*\(|action\.id/.test(text),
  },
  {
    path: /^\/proc\/sys\/fs\/binfmt_misc\/register$/,
    rule: 'G0304',
    says: (text) => /:M::(?:\\x7f|\x7f)ELF:/i.test(text),
  },
];

/** What stands in a branch or a function may never be reached. */
function withoutBlocks(text: string): string {
  return text
    .replace(/^\s*(?:if|case|while|for|until)\b[\s\S]*?^\s*(?:fi|esac|done)\b.*$/gm, '')
    .replace(/^[^\n]*\{\s*$[\s\S]*?^\s*\}.*$/gm, '')
    .replace(/^.*(?:&&|\|\|).*$/gm, '');
}

/** For a path with wildcards: the files that it may mean. */
const known = [
  ...['common-auth', 'common-account', 'system-auth', 'password-auth', 'sshd', 'login', 'su', 'sudo'].map(
    (name) => `/etc/pam.d/${name}`,
  ),
  '/etc/ssh/sshd_config',
  '/etc/sudoers',
  '/etc/default/grub',
  '/etc/profile',
  '/etc/security/access.conf',
];

export type Written = { readonly content: string; readonly offset: number; readonly excerpt: string };

/** Settings by which everybody becomes root, nobody gets in, or the machine does not start. */
export function judgeSettings(frame: Frame, given: string, { content, offset, excerpt }: Written): void {
  const normal = normalizePath(given, frame.scope.cwd);
  const paths = hasGlob(normal) ? known.filter((path) => patternOf(normal).test(path)) : [withoutGlobs(normal)];
  const text = withoutRuns(plain(content));
  for (const path of paths) {
    for (const { path: pattern, rule, says } of settings)
      if (pattern.test(path) && says(text)) report(frame, rule, { offset, excerpt, detail: path });
    judgeKernelSettings(frame, path, text);
    if (/^\/etc\/(?:iptables\/rules\.v[46]|sysconfig\/ip6?tables)$/.test(path))
      frame.scan.runText('iptables-restore', { ...frame, stdin: text });
    if (/^\/etc\/(?:nftables\.conf|sysconfig\/nftables\.conf|nftables\.d\/[^/]+)$/.test(path))
      frame.scan.runText('nft -f -', { ...frame, stdin: text });
  }
}

/** `/proc/sys` and `sysctl.conf` say the same as `sysctl -w`. */
function judgeKernelSettings(frame: Frame, path: string, text: string): void {
  const key = /^\/proc\/sys\/(.+)$/.exec(path)?.[1]?.replaceAll('/', '.');
  const lines =
    key !== undefined
      ? [`${key}=${text.trim()}`]
      : /^\/(?:etc|run|usr\/lib|lib)\/sysctl(?:\.conf|\.d\/[^/]+)$/.test(path)
        ? text.split('\n').filter((line) => /^\s*[\w./-]+\s*=/.test(line))
        : [];
  for (const line of lines.slice(0, 100))
    frame.scan.runText(
      `sysctl -w '${line
        .trim()
        .replace(/\s*=\s*/, '=')
        .replaceAll("'", '')}'`,
      frame,
    );
}

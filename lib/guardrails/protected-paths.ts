/**
 * The protected paths: what a machine needs to start, to run and to be reached, and the agent itself. All are in the
 * spelling of `normalizePath`: `/bin` stands for `/usr/bin` too.
 */

/** What may not be done to a path. `kept` may be edited, but not emptied, removed or replaced by next to nothing. */
export type Protection =
  /** Nothing in it may be touched by anything but the system's own tools. */
  | 'sealed'
  /** It and what leads to it may not be removed, moved or changed as a whole; what is in it may. */
  | 'standing'
  | 'kept'
  /** A program or library: not removed, replaced or made unusable. */
  | 'program';

export type ProtectedPath = {
  readonly path: string;
  readonly protection: Protection;
  /** Everything in it too. */
  readonly isTree?: boolean;
  /** The whole of it may change mode and owner: it belongs to those who use the machine. */
  readonly mayChangeMode?: boolean;
  /** It may be moved to another disk: the machine runs without it. */
  readonly mayMove?: boolean;
  readonly rule?: 'G0401' | 'G0402';
};

/** Where the agent lives when it is installed from a package; where it really lives, the node knows. */
export const agentTrees: readonly string[] = [
  '/etc/holdfast',
  '/etc/holdfast-agent',
  '/var/lib/holdfast',
  '/var/lib/holdfast-agent',
  '/opt/holdfast',
  '/opt/holdfast-agent',
  '/lib/holdfast',
  '/lib/holdfast-agent',
  '/usr/local/lib/holdfast',
  '/usr/local/lib/holdfast-agent',
  '/usr/share/holdfast',
  '/usr/share/holdfast-agent',
  '/run/holdfast',
  '/run/holdfast-agent',
];

const agentFile =
  /(?:^|\/)\.?(?:holdfast-agent(?:\.[a-z]+(?:\.d)?)?|holdfast@?\.(?:service|socket|timer|path|plist)(?:\.d)?)(?:\/|$)/i;

/** Units, binaries and state by their name, wherever they are; a file that only mentions the name is not meant. */
export function isAgentPath(path: string): boolean {
  return agentFile.test(path);
}

const sealedTrees = ['/boot', '/efi', '/dev', '/proc', '/sys', '/lib/modules', '/lib/systemd', '/lib/firmware'];

const sealedFiles = [
  'passwd',
  'shadow',
  'group',
  'gshadow',
  'sudoers',
  'ld.so.preload',
  'ld.so.cache',
  'master.passwd',
  'subuid',
  'subgid',
  'opasswd',
];

const keptFiles = [
  '/etc/fstab',
  '/etc/crypttab',
  '/etc/nsswitch.conf',
  '/etc/ld.so.conf',
  '/etc/inittab',
  '/etc/login.defs',
  '/etc/securetty',
  '/etc/shells',
  '/etc/profile',
  '/etc/hosts',
  '/etc/pam.conf',
  '/etc/default/grub',
  '/etc/network/interfaces',
  '/etc/systemd/system.conf',
  '/etc/systemd/logind.conf',
  '/etc/apt/sources.list',
  '/etc/dnf/dnf.conf',
  '/etc/yum.conf',
  '/etc/pacman.conf',
  '/etc/apk/world',
  '/etc/apk/repositories',
  '/etc/nftables.conf',
];

/** Trees of which every file is kept. */
const keptTrees = [
  '/etc/pam.d',
  '/etc/security',
  '/var/lib/dpkg',
  '/var/lib/rpm',
  '/var/lib/pacman',
  '/lib/sysimage',
  '/etc/grub.d',
];

const standing = [
  // By their second names too, for patterns that match those.
  '/usr/bin',
  '/usr/sbin',
  '/usr/lib',
  '/usr/lib64',
  '/',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/usr',
  '/usr/share',
  '/usr/local',
  '/usr/libexec',
  '/lib/x86_64-linux-gnu',
  '/lib/aarch64-linux-gnu',
  '/lib/security',
  '/lib/apt',
  '/lib/dpkg',
  '/lib/rpm',
  '/lib/openssh',
  '/lib/ssh',
  '/etc',
  '/etc/systemd',
  '/etc/systemd/system',
  '/etc/systemd/network',
  '/etc/network',
  '/etc/netplan',
  '/etc/NetworkManager',
  '/etc/sysconfig',
  '/etc/sysconfig/network-scripts',
  '/etc/init.d',
  '/etc/init',
  '/etc/rc.d',
  '/etc/ssl',
  '/etc/pki',
  '/etc/default',
  '/etc/sudoers.d',
  '/etc/ld.so.conf.d',
  '/etc/apt',
  '/etc/dnf',
  '/etc/dpkg',
  '/etc/rpm',
  '/etc/yum.repos.d',
  '/etc/alternatives',
  '/etc/selinux',
  '/etc/udev',
  '/etc/dbus-1',
  '/etc/cron.d',
  '/etc/iptables',
  '/var',
  '/var/lib',
  '/var/spool',
  '/var/lib/systemd',
  '/var/lib/NetworkManager',
  '/run',
  '/run/systemd',
  '/home',
  '/System',
  '/Library',
  '/Applications',
  '/Users',
];

/** As a whole not to be removed; but changed in mode and owner by those who use the machine. */
const standingForUse = [
  '/root',
  '/root/.ssh',
  '/opt',
  '/srv',
  '/var/log',
  '/var/mail',
  '/var/backups',
  '/var/www',
  '/etc/ssh',
  '/etc/ssl/private',
  '/etc/pki/tls',
  '/mnt',
  '/var/lib/apt',
  '/var/spool/cron',
  '/var/spool/cron/crontabs',
  '/etc/letsencrypt',
  '/run/dbus',
];

/** Data of services: not to be removed as a whole, but moved to another disk in the usual course of things. */
const data = ['/var/lib/postgresql', '/var/lib/mysql', '/var/lib/docker'];

const programs = [
  ...[
    'sh',
    'bash',
    'dash',
    'ash',
    'env',
    'login',
    'su',
    'sudo',
    'mount',
    'umount',
    'cat',
    'cp',
    'mv',
    'rm',
    'ls',
    'ln',
    'mkdir',
    'chmod',
    'chown',
    'test',
    'dd',
    'sed',
    'grep',
    'awk',
    'tar',
    'gzip',
    'systemctl',
    'journalctl',
    'loginctl',
    'networkctl',
    'udevadm',
    'busybox',
    'ip',
    'ps',
    'kill',
    'passwd',
    'perl',
    'python3',
    'ssh',
    'id',
  ],
  ...[
    'apt',
    'apt-get',
    'apt-cache',
    'dpkg',
    'dpkg-deb',
    'rpm',
    'dnf',
    'dnf5',
    'yum',
    'zypper',
    'pacman',
    'apk',
    'brew',
  ],
].map((name) => `/bin/${name}`);

const adminPrograms = [
  'init',
  'sshd',
  'telinit',
  'shutdown',
  'reboot',
  'ifup',
  'ifdown',
  'iptables',
  'nft',
  'fsck',
  'ldconfig',
  'agetty',
  'modprobe',
  'udevd',
  'apk',
  'useradd',
  'usermod',
  'NetworkManager',
  'dhclient',
  'mkinitramfs',
  'grub-install',
  'switch_root',
].map((name) => `/sbin/${name}`);

const libraries = [
  'libc.so.6',
  'libc.so',
  'ld-linux.so.2',
  'ld-linux-x86-64.so.2',
  'ld-linux-aarch64.so.1',
  'ld-musl-x86_64.so.1',
  'libpthread.so.0',
  'libdl.so.2',
  'libm.so.6',
  'libpam.so.0',
  'libcrypto.so.3',
  'libcrypt.so.1',
  'libsystemd.so.0',
  'libselinux.so.1',
  'libnss_files.so.2',
  'libssl.so.3',
].flatMap((name) =>
  ['/lib', '/lib64', '/lib/x86_64-linux-gnu', '/lib/aarch64-linux-gnu'].map((directory) => `${directory}/${name}`),
);

export const protectedPaths: readonly ProtectedPath[] = [
  ...agentTrees.map((path) => ({ path, protection: 'sealed', isTree: true, rule: 'G0401' }) as const),
  ...sealedTrees.map((path) => ({ path, protection: 'sealed', isTree: true }) as const),
  ...sealedFiles.map((name) => ({ path: `/etc/${name}`, protection: 'sealed' }) as const),
  { path: '/etc/security/opasswd', protection: 'sealed' },
  ...keptFiles.map((path) => ({ path, protection: 'kept' }) as const),
  ...keptTrees.map((path) => ({ path, protection: 'kept', isTree: true }) as const),
  { path: '/etc/ssh/sshd_config', protection: 'kept', rule: 'G0402' },
  ...['rsa', 'ecdsa', 'ed25519'].map(
    (kind) => ({ path: `/etc/ssh/ssh_host_${kind}_key`, protection: 'kept', rule: 'G0402' }) as const,
  ),
  { path: '/root/.ssh/authorized_keys', protection: 'kept', rule: 'G0402' },
  ...standing.map((path) => ({ path, protection: 'standing' }) as const),
  ...standingForUse.map((path) => ({ path, protection: 'standing', mayChangeMode: true }) as const),
  ...data.map((path) => ({ path, protection: 'standing', mayChangeMode: true, mayMove: true }) as const),
  ...[...programs, ...adminPrograms].map((path) => ({ path, protection: 'program' }) as const),
  ...libraries.map((path) => ({ path, protection: 'program' }) as const),
];

/** In a protected tree, and free all the same: what the system itself makes anew, and where many write every day. */
const free: readonly RegExp[] = [
  /^\/dev\/(?:null|zero|full|u?random|tty|stdin|stdout|stderr|fd(?:\/.*)?|shm(?:\/.+)?|pts(?:\/.*)?|ptmx|console|log|mqueue\/.+|hugepages\/.+|kmsg|net\/tun|(?:tcp|udp)\/.*)$/,
  /^\/proc\/sys\/(?!kernel\/(?:core_pattern|modprobe|hotplug|modules_disabled|poweroff_cmd|panic_on_oops)$).+/,
  /^\/proc\/[^/]*\/(?:oom_score_adj|oom_adj|coredump_filter|timerslack_ns|comm|autogroup|fd(?:\/.*)?|cwd)$/,
  /^\/proc\/(?:irq\/.+|mtrr|acpi\/wakeup|pressure\/.+)$/,
  // Settings and triggers of drivers; not what takes a device away, and not the variables of the firmware.
  /^\/sys\/(?!firmware\/efi|kernel\/(?:kexec|uevent_helper)|hypervisor)(?!.*\/(?:delete|remove|reset|unbind|eject|flr)$)(?!(?:block|class\/block)\/[^/]+\/device\/state$)(?!.*\/config$)(?!devices\/system\/memory\/.+\/(?:state|online)$)[^/]+\/.+/,
  // Nodes that are no disks: consoles, tapes, sound, and what a driver makes for its own tools.
  /^\/dev\/(?:tty\w*|vcsa?\d*|lp\d|fb\d+|n?st\d\w*|ch\d|sch\d|changer\w*|input\/.+|snd\/.+|dri\/.+|rtc\d?|hpet|uinput|uhid|vhost-\w+|kvm|fuse|ppp|cpu\/.+|nvidia\w*|video\d+|i2c-\d+|spidev\S+|gpiochip\d+|hidraw\d+|usb\/.+|bus\/usb\/.+|xconsole|cdrom|dvd|parport\d+|ipmi\d+|tpm\w*|ptp\d+|rfkill|vfio\/.+|char\/.+|cuse|autofs|cachefiles|cpu_dma_latency|userfaultfd|net\/.+|usbmon\d+|crypto|hwrng|dtrace\S*)$/,
  /^\/(?:boot|lib\/firmware)\/.+\.(?:old|bak|dpkg-[a-z]+|rpm(?:save|new|orig)|old-dkms|ucf-[a-z]+)$/,
  /^\/etc\/(?:pam\.d|security|grub\.d)\/.+(?:\.(?:old|bak|orig|pam-old|dpkg-[a-z]+|rpm(?:save|new|orig)|ucf-[a-z]+)|~)$/,
  /^\/boot\/grub2?\/(?:\.background_cache\.\w+|[^/]+\.(?:png|jpe?g|tga|pf2)|locale\/[^/]+\.mo)$/,
  /^\/lib\/systemd\/system\/(?!(?:systemd|dbus|ssh|getty|network)).+\.(?:service|timer|socket|path|mount|target)$/,
  /^\/lib\/systemd\/system-(?:sleep|generators|shutdown)\/.+/,
  /^\/var\/lib\/(?:dpkg\/(?:lock|lock-frontend|triggers\/Lock|.+-old)|rpm\/(?:__db[^/]*|\.rpm\.lock)|pacman\/(?:db\.lck|sync\/.+))$/,
  /^\/boot\/(?:grub2?|efi\/EFI\/[^/]+)\/(?:grub\.cfg\.new|grubenv|themes\/.+|fonts\/.+|custom\.cfg|user\.cfg)$/,
  /^\/boot\/(?:config|cmdline)\.txt$/,
];

export function isFree(path: string): boolean {
  return free.some((pattern) => pattern.test(path));
}

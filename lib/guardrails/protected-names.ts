/** The protected services, packages, users and groups: what a machine needs to run and to be reached, and the agent. */

/** The agent by the names of its unit, package and process. */
export function isAgentName(name: string): boolean {
  return /^holdfast(?:[-_@.].*)?\*?$/i.test(name);
}

/** SSH, by which people reach the machine. */
export function isReachService(unit: string): boolean {
  return /^(?:ssh|sshd|openssh(?:-server|-daemon)?|dropbear|com\.openssh\.sshd)$/i.test(serviceName(unit));
}

/** What gives the machine its network. */
export function isNetworkService(unit: string): boolean {
  return /^(?:networking|network|NetworkManager|systemd-networkd|systemd-resolved|dhcpcd|dhclient|wicked|wickedd|netplan|netctl|connman|ifup@.*|net\.[a-z].*|systemd-networkd-wait-online|network-online|network-pre|com\.apple\.networkd|ifup|dhcpcd5)$/i.test(
    serviceName(unit),
  );
}

const vital =
  /^(?:dbus|dbus-broker|dbus-daemon|messagebus|systemd-[a-z-]+(?:@.*)?|init|udev|eudev|polkit|getty@.*|serial-getty@.*|local-fs|basic|sysinit|multi-user|default|sysvinit|mdev|sysfs|procfs|devfs|hwdrivers|lvm2-monitor|dm-event|cryptsetup|console-getty|user@0|user\.slice|system\.slice|init\.scope|open-vm-tools-none)$/i;

/** Services of `systemd` that a machine gets by without, often turned off on purpose. */
const optional =
  /^systemd-(?:timesyncd|resolved-monitor|oomd|homed|userdbd|coredump|pstore|rfkill|backlight@.*|journal-(?:remote|upload|gatewayd)|binfmt|boot-update|bless-boot|networkd-wait-online|hibernate|suspend|tmpfiles-clean|ask-password.*|time-wait-sync|random-seed|nspawn@.*|update-utmp|quotacheck|growfs.*|zram-setup.*|firstboot)$/i;

export function isVitalService(unit: string): boolean {
  const name = serviceName(unit);
  return vital.test(name) && !optional.test(name);
}

function serviceName(unit: string): string {
  return unit.replace(/^.*\//, '').replace(/\.(?:service|socket|target|slice)$/i, '');
}

/** Processes without which nobody gets in. */
export function isReachProcess(name: string): boolean {
  return /^(?:sshd?|sshd:.*|dropbear|NetworkManager|systemd-networkd|dhclient|dhcpcd)$/i.test(name);
}

export function isVitalProcess(name: string): boolean {
  return /^(?:systemd|systemd-\w+|init|dbus-daemon|dbus-broker|udevd|systemd\.\*|launchd)$/i.test(name);
}

const packages = [
  /^(?:linux-(?:image|kernel|generic|lts|virt|base|modules)(?:[-.].*)?|linux|kernel(?:-core|-default|-modules|-ml|-lt|-uek)?|kernel-image.*|linux-image\*)$/,
  /^(?:libc6?|libc-bin|libc6-.*|glibc(?:-common|-minimal-langpack)?|musl|libgcc(?:-s1|1)?|gcc-libs|musl-utils|libcrypto3|libstdc\+\+6?|libcrypt1?|libpam.*|pam|libselinux1?|libsystemd0?|libssl3?|openssl-libs|zlib1?g?|ncurses-base)$/,
  /^(?:systemd|systemd-sysv|systemd-libs|systemd-boot|sysvinit(?:-core|-utils)?|init|openrc|runit|busybox|upstart|initscripts|sysv-rc|udev|systemd-udev|dbus|dbus-broker|dbus-daemon|initramfs-tools(?:-core)?|dracut|mkinitcpio)$/,
  /^(?:apt|dpkg|rpm|dnf|dnf5|yum|zypper|libzypp|pacman|apk-tools|libapt-pkg.*|libdnf.*|debianutils|rpm-libs)$/,
  /^(?:openssh|openssh-server|openssh-sftp-server|ssh|dropbear|openssh-clients-none)$/,
  /^(?:base-files|base-passwd|filesystem|setup|basesystem|bash|dash|coreutils|util-linux|login|passwd|shadow|shadow-utils|sudo|mount|grep|sed|gawk|mawk|tar|gzip|findutils|diffutils|hostname|e2fsprogs|alpine-base|alpine-baselayout|essential|perl-base|python3-minimal|libpython3.*-minimal|ubuntu-minimal|ubuntu-standard|base|core|redhat-release|rocky-release|almalinux-release|centos-release|fedora-release|debian-archive-keyring)$/,
  /^(?:grub2?(?:-(?:common|pc|efi.*|efi-amd64.*|tools.*|pc-bin))?|shim(?:-.*)?|efibootmgr|systemd-boot-efi|lilo|syslinux|extlinux)$/,
  /^(?:iproute2?|ifupdown2?|netplan\.io|network-manager|NetworkManager|NetworkManager-libnm|isc-dhcp-client|dhcpcd.*|dhcp-client|netbase|iputils-none|wicked|netctl|cloud-init-none|systemd-networkd)$/,
];

/** Without which a machine does not start, does not run, is not reached or can't be repaired. */
export function isEssentialPackage(name: string): boolean {
  const bare = name
    .replace(/[:=/].*$/, '')
    .replace(/[+-]$/, '')
    .replace(/\.(?:x86_64|aarch64|noarch|i686)$/, '');
  return packages.some((pattern) => pattern.test(bare)) && !isOldKernel(bare);
}

/** A kernel by its exact version: old ones are cleaned away in the usual course of things. */
function isOldKernel(name: string): boolean {
  return (
    /^(?:linux-(?:image|modules|headers)(?:-extra|-unsigned)?-\d|kernel(?:-core|-modules|-devel)?-\d)/.test(name) &&
    !name.includes('*')
  );
}

const users = new Set([
  'root',
  'daemon',
  'bin',
  'sys',
  'sync',
  'nobody',
  'man',
  'mail',
  'systemd-network',
  'systemd-resolve',
  'systemd-journal',
  'systemd-timesync',
  'systemd-oom',
  'messagebus',
  'dbus',
  'sshd',
  '_apt',
  'polkitd',
  'uuidd',
  'toor',
  '_sshd',
  'holdfast',
  'holdfast-agent',
  '0',
]);
const groups = new Set([
  'root',
  'wheel',
  'sudo',
  'adm',
  'shadow',
  'tty',
  'disk',
  'kmem',
  'daemon',
  'bin',
  'sys',
  'staff',
  'utmp',
  'ssh',
  '_ssh',
  'ssh_keys',
  'systemd-journal',
  'systemd-network',
  'messagebus',
  'dbus',
  'nogroup',
  'nobody',
  'admin',
  'users',
  'holdfast',
  'holdfast-agent',
  '0',
]);

export function isSystemUser(name: string): boolean {
  return users.has(name);
}

export function isSystemGroup(name: string): boolean {
  return groups.has(name);
}

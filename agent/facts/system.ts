/** Facts of the system: operating system, kernel, managers of packages and services, accounts, time, TPM, secure boot. */
import type { FactGroups } from '../../lib/policy/facts.ts';
import type { Machine } from './machine.ts';

type Os = FactGroups['os'];

const families: readonly (readonly [Os['family'], readonly string[]])[] = [
  ['debian', ['debian', 'ubuntu', 'raspbian', 'linuxmint', 'kali', 'devuan']],
  ['rhel', ['rhel', 'fedora', 'centos', 'rocky', 'almalinux', 'ol', 'amzn', 'scientific']],
  ['alpine', ['alpine']],
  ['suse', ['suse', 'opensuse', 'sles', 'opensuse-leap', 'opensuse-tumbleweed']],
  ['arch', ['arch', 'manjaro', 'archarm']],
];

/** os-release (man 5 os-release); the family is by `ID`, then by what it is like. */
export async function collectOs(machine: Machine): Promise<Os> {
  if (machine.platform === 'darwin') {
    const version = /<key>ProductVersion<\/key>\s*<string>([^<]*)</.exec(
      await machine.read('/System/Library/CoreServices/SystemVersion.plist'),
    )?.[1];
    const name = `macOS ${version ?? ''}`.trim();
    return { kind: 'darwin', family: 'darwin', id: 'macos', version: version ?? '', codename: '', name };
  }
  const etc = await machine.read('/etc/os-release');
  const fields = parseAssignments(etc === '' ? await machine.read('/usr/lib/os-release') : etc);
  const id = fields.get('ID') ?? '';
  const alike = [id, ...(fields.get('ID_LIKE') ?? '').split(/\s+/)];
  const family = alike.flatMap((one) => families.find(([, ids]) => ids.includes(one))?.[0] ?? [])[0];
  return {
    kind: machine.platform === 'linux' ? 'linux' : 'other',
    family: family ?? 'other',
    id,
    version: fields.get('VERSION_ID') ?? '',
    codename: fields.get('VERSION_CODENAME') ?? '',
    name: fields.get('PRETTY_NAME') ?? '',
  };
}

const arches = ['x64', 'arm64', 'arm', 'ia32', 'riscv64', 'ppc64', 's390x'] as const;

export async function collectKernel({ release, arch }: Machine): Promise<FactGroups['kernel']> {
  return { release, arch: arches.find((one) => one === arch) ?? 'other' };
}

const packageManagers = [
  ['apt', ['/usr/bin/apt-get']],
  ['dnf', ['/usr/bin/dnf', '/usr/bin/dnf5']],
  ['yum', ['/usr/bin/yum']],
  ['apk', ['/sbin/apk', '/usr/bin/apk']],
  ['zypper', ['/usr/bin/zypper']],
  ['pacman', ['/usr/bin/pacman']],
  ['brew', ['/opt/homebrew/bin/brew', '/usr/local/bin/brew']],
] as const;

export async function collectPackages(machine: Machine): Promise<FactGroups['packages']> {
  for (const [manager, paths] of packageManagers) {
    for (const path of paths) if (await machine.exists(path)) return { manager };
  }
  return { manager: 'none' };
}

/** What runs as init, not what is installed: sd_booted(3) asks the same. */
export async function collectServices(machine: Machine): Promise<FactGroups['services']> {
  if (machine.platform === 'darwin') return { manager: 'launchd' };
  if (await machine.exists('/run/systemd/system')) return { manager: 'systemd' };
  if (await machine.exists('/run/openrc/softlevel')) return { manager: 'openrc' };
  const hasInit = (await machine.exists('/etc/init.d')) && (await machine.exists('/etc/inittab'));
  return { manager: hasInit ? 'sysv' : 'none' };
}

const nologin = /\/(?:nologin|false|sync|halt|shutdown)$/;

/** passwd(5). Accounts with a shell; those of other sources (LDAP) are not asked for, since that may take for ever. */
export async function collectUsers(machine: Machine): Promise<FactGroups['users']> {
  const lines = (await machine.read('/etc/passwd')).split('\n');
  const names = lines.flatMap((line) => {
    const [name, , , , , , shell] = line.split(':');
    return name === undefined || shell === undefined || shell === '' || nologin.test(shell) ? [] : [name];
  });
  return { names: names.sort() };
}

export async function collectTime({ timeZone }: Machine): Promise<FactGroups['time']> {
  return { zone: timeZone };
}

/** The last byte of the variable is its value (UEFI 2.10, section 3.3; the kernel puts four bytes of flags before it). */
export async function collectSecurity(machine: Machine): Promise<FactGroups['security']> {
  const tpms = await machine.list('/sys/class/tpm');
  const [first] = tpms;
  const tpmVersion = first === undefined ? '' : await machine.read(`/sys/class/tpm/${first}/tpm_version_major`);
  const uefi = await machine.exists('/sys/firmware/efi');
  const secureBoot = uefi && (await isSecureBoot(machine));
  return { tpm: tpms.length > 0, tpmVersion, uefi, secureBoot };
}

async function isSecureBoot(machine: Machine): Promise<boolean> {
  const folder = '/sys/firmware/efi/efivars';
  const name = (await machine.list(folder)).find((one) => one.startsWith('SecureBoot-'));
  // White space and zeros are cut by `read`, so only a one is left to see.
  return name !== undefined && (await machine.read(`${folder}/${name}`)).endsWith('\u0001');
}

function parseAssignments(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const [, name, value] = /^([A-Z_]+)=(.*)$/.exec(line.trim()) ?? [];
      return name === undefined || value === undefined ? [] : [[name, value.replace(/^(["'])(.*)\1$/, '$2')]];
    }),
  );
}

/**
 * What kind of machine this is, by what only that kind has: each tool is looked for where its own system puts it, so
 * nothing is run to find out.
 */
import { HostError, type HostView } from '../host.ts';

export type PackageTool = 'apt' | 'dnf' | 'zypper' | 'apk' | 'pacman' | 'brew';
export type ServiceTool = 'systemd' | 'openrc' | 'sysv' | 'launchd';
export type AccountTool = 'shadow' | 'busybox' | 'dscl';

/** The first that is there counts: Debian has an rpm package, and Fedora an apt. */
const packageTools: readonly (readonly [PackageTool, readonly string[]])[] = [
  ['apt', ['/usr/bin/apt-get']],
  ['zypper', ['/usr/bin/zypper']],
  ['dnf', ['/usr/bin/dnf', '/usr/bin/dnf5', '/usr/bin/dnf-3']],
  ['apk', ['/sbin/apk', '/usr/bin/apk', '/usr/sbin/apk']],
  ['pacman', ['/usr/bin/pacman']],
  ['brew', ['/opt/homebrew/bin/brew', '/usr/local/bin/brew']],
];

/** sd_booted(3) asks the same of systemd. OpenRC makes its directory at boot. */
const serviceTools: readonly (readonly [ServiceTool, readonly string[]])[] = [
  ['systemd', ['/run/systemd/system']],
  ['openrc', ['/run/openrc', '/sbin/openrc-run']],
  ['launchd', ['/bin/launchctl']],
  ['sysv', ['/usr/sbin/service', '/sbin/service']],
];

const accountTools: readonly (readonly [AccountTool, readonly string[]])[] = [
  ['dscl', ['/usr/bin/dscl']],
  ['shadow', ['/usr/sbin/useradd']],
  ['busybox', ['/usr/sbin/adduser', '/sbin/adduser']],
];

export function packageToolOf(host: HostView): Promise<PackageTool> {
  return detect(host, 'package manager', packageTools);
}

export function serviceToolOf(host: HostView): Promise<ServiceTool> {
  return detect(host, 'service manager', serviceTools);
}

export function accountToolOf(host: HostView): Promise<AccountTool> {
  return detect(host, 'tool for accounts', accountTools);
}

/** Whether resource types know this kind of system at all. */
export function isSupported(platform: string): boolean {
  return platform === 'linux' || platform === 'darwin';
}

/** Said to people, so it says what to do. */
export function unsupported(platform: string): string {
  const name = platform === 'win32' ? 'Windows' : `the operating system ${JSON.stringify(platform)}`;
  return `${name} is not supported: the agent runs on Linux and macOS`;
}

function detect<T extends string>(
  host: HostView,
  what: string,
  tools: readonly (readonly [T, readonly string[]])[],
): Promise<T> {
  return host.remembered(`the ${what}`, async () => {
    if (!isSupported(host.platform)) {
      throw new HostError('system', unsupported(host.platform));
    }
    for (const [tool, places] of tools) {
      for (const path of places) {
        if ((await host.inspect({ path })) !== undefined) {
          return tool;
        }
      }
    }
    const known = tools.map(([tool]) => tool).join(', ');
    throw new HostError('system', `this machine has no ${what} that the agent knows: ${known}`);
  });
}

/**
 * Package managers behind one port: a listing of everything that is installed, read once a run, and the commands that
 * install and remove. Every command is quiet, asks nothing, and keeps a configuration file that was changed by hand.
 */
import type { HostView } from '../host.ts';
import { mustProbe } from './command.ts';
import { type PackageTool, packageToolOf } from './detect.ts';
import { type Installed, parseApkInstalled, parseDpkgStatus, parseNameVersion } from './package-listings.ts';

export type PackageCommand = {
  readonly argv: readonly [string, ...string[]];
  readonly environment?: { readonly [name: string]: string };
};

type Account = { readonly uid: number; readonly gid: number };

export type PackageManager = {
  readonly tool: PackageTool;
  installed(host: HostView, signal: AbortSignal): Promise<Installed>;
  /** What it takes for a package to be named as it is: refuses what a tool would read as something else. */
  readonly name: RegExp;
  install(name: string, version: string | undefined): PackageCommand;
  remove(name: string): PackageCommand;
  /** Fetches the index of what can be installed. */
  readonly refresh: PackageCommand;
  /** Finishes what a killed run of the tool left half done. */
  readonly repair?: PackageCommand;
  /** Who its commands run as, where that is not the agent's own user. */
  account?(host: HostView): Promise<Account | undefined>;
  /** Says what `remove` would remove, one package a line that begins with this word. */
  readonly simulateRemoval?: { command(name: string): PackageCommand; readonly prefix: string };
};

const maxListingBytes = 16 * 1024 * 1024;

const debian = { DEBIAN_FRONTEND: 'noninteractive', APT_LISTCHANGES_FRONTEND: 'none', NEEDRESTART_MODE: 'l' };
const aptGet = ['-q', '-y', '-o', 'DPkg::Lock::Timeout=300', '-o', 'APT::Get::Show-User-Simulation-Note=false'];
const keepConfiguration = ['-o', 'Dpkg::Options::=--force-confdef', '-o', 'Dpkg::Options::=--force-confold'];

const apt: PackageManager = {
  tool: 'apt',
  installed: (host) => host.parsed({ path: '/var/lib/dpkg/status' }, parseDpkgStatus),
  // apt-get(8) reads `name-` as "remove" and `name+` as "install".
  name: /^[a-z0-9][a-z0-9+.-]*[a-z0-9+](?::[a-z0-9-]+)?$/,
  install: (name, version) => ({
    // An install that would remove something else is refused by apt: that must be said by a resource of its own.
    argv: [
      'apt-get',
      ...aptGet,
      ...keepConfiguration,
      '--no-remove',
      ...(version === undefined ? [] : ['--allow-downgrades', '--allow-change-held-packages']),
      'install',
      version === undefined ? name : `${name}=${version}`,
    ],
    environment: debian,
  }),
  remove: (name) => ({ argv: ['apt-get', ...aptGet, 'remove', name], environment: debian }),
  refresh: { argv: ['apt-get', ...aptGet, 'update'], environment: debian },
  repair: { argv: ['dpkg', '--force-confdef', '--force-confold', '--configure', '-a'], environment: debian },
  simulateRemoval: {
    command: (name) => ({ argv: ['apt-get', '-s', ...aptGet, 'remove', name], environment: debian }),
    prefix: 'Remv ',
  },
};

const rpmListing = ['rpm', '-qa', '--queryformat', '%{NAME} %{VERSION}-%{RELEASE} %{ARCH}\\n'] as const;
const rpmName = /^[A-Za-z0-9][A-Za-z0-9+._-]*$/;

const dnf: PackageManager = {
  tool: 'dnf',
  installed: listing('dnf', rpmListing),
  name: rpmName,
  install: (name, version) => ({
    argv: ['dnf', '-y', '-q', 'install', version === undefined ? name : `${name}-${version}`],
  }),
  // Without it dnf(8) would remove dependencies that nothing else needs.
  remove: (name) => ({ argv: ['dnf', '-y', '-q', '--setopt=clean_requirements_on_remove=False', 'remove', name] }),
  refresh: { argv: ['dnf', '-y', '-q', 'makecache'] },
};

const zypper: PackageManager = {
  tool: 'zypper',
  installed: listing('zypper', rpmListing),
  name: rpmName,
  install: (name, version) => ({
    argv: [
      'zypper',
      '--non-interactive',
      'install',
      '--name',
      ...(version === undefined ? [] : ['--oldpackage']),
      version === undefined ? name : `${name}=${version}`,
    ],
  }),
  remove: (name) => ({ argv: ['zypper', '--non-interactive', 'remove', '--name', name] }),
  refresh: { argv: ['zypper', '--non-interactive', 'refresh'] },
};

const apk: PackageManager = {
  tool: 'apk',
  installed: (host) => host.parsed({ path: '/lib/apk/db/installed' }, parseApkInstalled),
  name: /^[a-z0-9][a-z0-9+._-]*$/,
  install: (name, version) => ({
    argv: ['apk', '--no-progress', 'add', version === undefined ? name : `${name}=${version}`],
  }),
  remove: (name) => ({ argv: ['apk', '--no-progress', 'del', name] }),
  refresh: { argv: ['apk', '--no-progress', 'update'] },
  repair: { argv: ['apk', '--no-progress', 'fix'] },
};

const pacman: PackageManager = {
  tool: 'pacman',
  installed: listing('pacman', ['pacman', '-Q']),
  name: /^[a-z0-9@_+][a-z0-9@._+-]*$/,
  // A repository of Arch holds one version of each package, so there is no other to name.
  install: (name) => ({ argv: ['pacman', '--sync', '--noconfirm', '--needed', name] }),
  remove: (name) => ({ argv: ['pacman', '--remove', '--noconfirm', name] }),
  refresh: { argv: ['pacman', '--sync', '--refresh', '--noconfirm'] },
};

const brewEnvironment = {
  PATH: '/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
  HOMEBREW_NO_AUTO_UPDATE: '1',
  HOMEBREW_NO_ANALYTICS: '1',
  HOMEBREW_NO_INSTALL_CLEANUP: '1',
};

const brew: PackageManager = {
  tool: 'brew',
  installed: (host, signal) =>
    host.remembered('packages of brew', async () => {
      const as = await brewOwner(host);
      const command = { argv: ['brew', 'list', '--versions'] as const, environment: brewEnvironment };
      const printed = await mustProbe(host, signal, {
        ...command,
        ...(as === undefined ? {} : { as }),
        maxOutputBytes: maxListingBytes,
      });
      return parseNameVersion(printed);
    }),
  account: brewOwner,
  name: /^[a-z0-9][a-z0-9@+._-]*(?:\/[a-z0-9][a-z0-9@+._-]*){0,2}$/,
  install: (name) => ({ argv: ['brew', 'install', '--quiet', name], environment: brewEnvironment }),
  remove: (name) => ({ argv: ['brew', 'uninstall', name], environment: brewEnvironment }),
  refresh: { argv: ['brew', 'update', '--quiet'], environment: brewEnvironment },
};

const managers: { readonly [Tool in PackageTool]: PackageManager } = { apt, dnf, zypper, apk, pacman, brew };

/** The package manager of this machine. */
export async function packageManagerOf(host: HostView): Promise<PackageManager> {
  return managers[await packageToolOf(host)];
}

/** The tool's own listing, printed once a run. */
function listing(tool: PackageTool, argv: readonly [string, ...string[]]): PackageManager['installed'] {
  return (host, signal) =>
    host.remembered(`packages of ${tool}`, async () =>
      parseNameVersion(await mustProbe(host, signal, { argv, maxOutputBytes: maxListingBytes })),
    );
}

/** brew(1) refuses to run as root: it runs as whoever its directory belongs to. */
async function brewOwner(host: HostView): Promise<Account | undefined> {
  for (const path of ['/opt/homebrew', '/usr/local/Homebrew']) {
    const status = await host.inspect({ path });
    if (status !== undefined) {
      return status.uid === host.self.uid ? undefined : { uid: status.uid, gid: status.gid };
    }
  }
  return undefined;
}

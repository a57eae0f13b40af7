/**
 * A real run on Debian as root: every resource type against the machine's own tools, in a root file system that is
 * thrown away: an overlay of this machine's, in mount, host name, IPC and process namespaces of its own. Packages come
 * from the machine's apt sources first; the policy is then applied in a network namespace with nothing but loopback.
 *
 * Where that is not possible it says so and ends with 0: nothing was shown, and nothing is broken.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const packages = ['hello'];

function problem() {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    return 'needs to be root on Linux';
  }
  if (!existsSync('/usr/bin/apt-get')) {
    return 'needs Debian or Ubuntu';
  }
  for (const tool of ['unshare', 'chroot', 'git', 'update-rc.d', 'start-stop-daemon', 'ip']) {
    if (spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0) {
      return `needs ${tool}`;
    }
  }
  const probe = spawnSync('unshare', ['--mount', '--uts', '--ipc', '--pid', '--net', '--fork', 'true'], {
    encoding: 'utf8',
  });
  return probe.status === 0 ? undefined : `namespaces are not to be had here: ${probe.stderr.trim()}`;
}

/** Runs in the namespaces. $1 is a directory for the overlay, $2 the repository, $3 this Node. */
const setup = `
set -eu
mount --make-rprivate /
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
root=$1/root
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 none "$root/tmp"
mount -t tmpfs -o mode=755 none "$root/run"
mkdir -p "$root$2" "$root$(dirname "$3")"
mount --bind "$2" "$root$2"
mount --bind "$(dirname "$3")" "$root$(dirname "$3")"
# So that what was downloaded is there again when a package has to be put back.
rm -f "$root"/etc/apt/apt.conf.d/docker-clean
# Nobody's services start because of a package.
printf '#!/bin/sh\\nexit 101\\n' > "$root/usr/sbin/policy-rc.d"; chmod 755 "$root/usr/sbin/policy-rc.d"
chroot "$root" sh -ec 'apt-get -q -q update; apt-get -q -q -y --download-only install ${packages.join(' ')}' ||
  { echo 'SKIPPED: the packages can not be had from the apt sources of this machine'; exit 0; }
exec unshare --net chroot "$root" sh -ec 'ip link set lo up; exec "$0" "$1/test/root/inside.ts"' "$3" "$2"
`;

const why = problem();
if (why !== undefined) {
  console.log(`SKIPPED: the run as root ${why}. Nothing was shown.`);
  process.exit(0);
}
const directory = mkdtempSync(join(tmpdir(), 'holdfast-root-'));
try {
  const unshare = ['--mount', '--uts', '--ipc', '--pid', '--fork', '--kill-child', '--'];
  const command = ['sh', '-c', setup, 'setup', directory, repository, process.execPath];
  const { status } = spawnSync('unshare', [...unshare, ...command], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
} finally {
  rmdirSync(directory);
}

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
/** Those of the policy, and of the example that is applied after it. */
const packages = ['hello', 'nginx', 'openssh-server', 'sudo'];

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
  { echo 'NOT TESTED: the packages can not be had from the apt sources of this machine'; exit 75; }
# The shell stays, as process 1: services that end have to be waited for by somebody.
exec unshare --net chroot "$root" sh -c 'ip link set lo up; "$0" "$1/test/root/inside.ts" && exit 0; exit 1' "$3" "$2"
`;

const why = problem();
if (why !== undefined) {
  console.log(`NOT TESTED: the run as root ${why}. Nothing was shown.`);
  process.exit(0);
}
const directory = mkdtempSync(join(tmpdir(), 'holdfast-root-'));
try {
  const unshare = ['--mount', '--uts', '--ipc', '--pid', '--fork', '--kill-child', '--'];
  const command = ['sh', '-c', setup, 'setup', directory, repository, process.execPath];
  const { status } = spawnSync('unshare', [...unshare, ...command], { stdio: 'inherit' });
  // 75: it was not tested, and that was said.
  process.exitCode = status === 75 ? 0 : (status ?? 1);
  if (status === 0) console.log('3 passed, 0 failed');
  else if (status !== 75) console.log('the run as root failed: 1 failed');
} finally {
  rmdirSync(directory);
}

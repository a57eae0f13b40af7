/**
 * A machine that is a directory: the databases of a small Debian, and in the place of its tools scripts that keep the
 * same state in the same files. So what acts on a system runs without being root, and without a system.
 */
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const tools: { readonly [script: string]: readonly string[] } = {
  'accounts.sh': ['useradd', 'usermod', 'userdel', 'groupadd', 'groupmod', 'groupdel', 'gpasswd', 'chpasswd'],
  'apt.sh': ['apt-get', 'dpkg'],
  'systemctl.sh': ['systemctl'],
  'kernel.sh': ['mount', 'umount', 'sysctl', 'hostname'],
};

/** Where each tool is looked for. */
const places: { readonly [tool: string]: string } = { 'apt-get': 'usr/bin', systemctl: 'usr/bin', dpkg: 'usr/bin' };

const uid = process.getuid?.() ?? 0;
const gid = process.getgid?.() ?? 0;

const files: { readonly [path: string]: string } = {
  'etc/passwd': `root:x:0:0:root:/root:/bin/bash\nalice:x:${uid}:${gid}:Alice:/home/alice:/bin/sh\nold:x:700:700::/home/old:/bin/sh\n`,
  'etc/group': 'root:x:0:\nsudo:x:27:old\nadm:x:4:\nold:x:700:\n',
  'etc/shadow': 'root:*:19000:0:99999:7:::\nalice:!:19000:0:99999:7:::\nold:!:19000:0:99999:7:::\n',
  'etc/fstab': '# the system\nUUID=1234 / ext4 defaults 0 1\n',
  'etc/hostname': 'before\n',
  'etc/timezone': 'Etc/UTC\n',
  'proc/self/mountinfo': '22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n',
  'proc/sys/kernel/hostname': 'before\n',
  'proc/sys/net/ipv4/ip_forward': '0\n',
  'proc/sys/net/ipv4/tcp_rmem': '4096\t131072\t6291456\n',
  'srv/archive': 'nginx 1.22.1-9\nnginx 1.24.0-1\nnginx-common 1.24.0-1\n',
  'var/lib/apt/index': 'old-tool 1.0\nneeds-common 1.0 common\n',
  'var/lib/dpkg/status': ['common', 'needs-common', 'old-tool']
    .map((name) => `Package: ${name}\nStatus: install ok installed\nArchitecture: all\nVersion: 1.0\n\n`)
    .join(''),
  'lib/systemd/system/web.service': '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n',
  'lib/systemd/system/static.service': '[Service]\nExecStart=/bin/true\n',
  'lib/systemd/system/once.service': '[Service]\nType=oneshot\n',
  'usr/share/zoneinfo/Europe/Berlin': 'TZif2',
  'usr/share/zoneinfo/Etc/UTC': 'TZif2',
};

const directories = [
  'etc/cron.d',
  'etc/sysctl.d',
  'etc/apt/sources.list.d',
  'etc/systemd/system',
  'home/alice',
  'run/systemd/system',
  'run/systemd/active',
  'usr/sbin',
  'usr/bin',
  'mnt/data',
  'srv/git',
];

/** Fills a directory with the machine. */
export async function makeMachine(root: string): Promise<void> {
  for (const directory of directories) {
    await mkdir(join(root, directory), { recursive: true, mode: 0o755 });
  }
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true, mode: 0o755 });
    await writeFile(join(root, path), content, { mode: 0o644 });
  }
  await symlink('/usr/share/zoneinfo/Etc/UTC', join(root, 'etc/localtime'));
  for (const [script, names] of Object.entries(tools)) {
    for (const name of names) {
      const target = fileURLToPath(new URL(`./tools/${script}`, import.meta.url));
      await symlink(target, join(root, places[name] ?? 'usr/sbin', name));
    }
  }
}

/** What commands need to find the machine's tools before those of the real one, and its state. */
export function machineEnvironment(root: string): { readonly [name: string]: string } {
  return { FAKE_ROOT: root, PATH: `${root}/usr/sbin:${root}/usr/bin:/usr/bin:/bin` };
}

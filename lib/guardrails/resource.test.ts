import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeOnNode, type NodeView } from './on-node.ts';
import { judgeResource } from './resource.ts';
import { scanner } from './scanner.ts';

const judge = (type: string, desired: object) => judgeResource(scanner, { type, id: 'x', desired });

describe('at publish', () => {
  const refused: readonly (readonly [string, object, string])[] = [
    ['file', { path: '/etc/passwd' }, 'G0106'],
    ['file', { path: '/etc/../etc//shadow' }, 'G0106'],
    ['file', { path: '/ETC/Shadow' }, 'G0106'],
    ['file', { path: '/proc/self/root/etc/sudoers' }, 'G0106'],
    ['file', { path: '/boot/grub/grub.cfg' }, 'G0106'],
    ['file', { path: '/usr/bin/bash' }, 'G0105'],
    ['file', { path: '/etc/ssh/sshd_config' }, 'G0402'],
    ['file', { path: '/etc/ssh/sshd_config', state: 'absent', validate: 'sshd -t -f %s' }, 'G0402'],
    ['file', { path: '/var/lib/holdfast/identity.pem' }, 'G0401'],
    ['file', { path: '/etc/systemd/system/holdfast-agent.service' }, 'G0401'],
    ['file', { path: '/etc/app.conf', mode: '0666' }, 'G0104'],
    ['line', { path: '/etc/sudoers', line: 'x' }, 'G0106'],
    ['directory', { path: '/etc', state: 'absent', recurse: true }, 'G0101'],
    ['directory', { path: '/boot', state: 'absent' }, 'G0102'],
    ['directory', { path: '/usr/lib', owner: 'bob' }, 'G0104'],
    ['symlink', { path: '/bin/sh', target: '/tmp/x' }, 'G0105'],
    ['mount', { path: '/usr', device: 'tmpfs' }, 'G0107'],
    ['git', { path: '/etc' }, 'G0101'],
    ['service', { name: 'sshd', state: 'stopped' }, 'G0402'],
    ['service', { name: 'ssh.service', enabled: false }, 'G0402'],
    ['service', { name: 'holdfast-agent', state: 'stopped' }, 'G0401'],
    ['service', { name: 'systemd-networkd', state: 'stopped' }, 'G0403'],
    ['service', { name: 'dbus', masked: true }, 'G0406'],
    ['package', { name: 'openssh-server', state: 'absent' }, 'G0405'],
    ['package', { name: 'libc6:amd64', state: 'absent' }, 'G0405'],
    ['package', { packages: ['jq', 'holdfast-agent'], state: 'absent' }, 'G0401'],
    ['user', { name: 'root', state: 'absent' }, 'G0407'],
    ['user', { name: 'root', shell: '/usr/sbin/nologin' }, 'G0407'],
    ['user', { name: 'eve', uid: 0 }, 'G0108'],
    ['group', { name: 'sudo', state: 'absent' }, 'G0407'],
    ['exec', { command: 'rm -rf /etc', creates: '/x' }, 'G0101'],
    ['exec', { command: ['rm', '-rf', 'ssh'], cwd: '/etc', creates: '/x' }, 'G0101'],
    ['exec', { command: 'ls', unless: 'reboot' }, 'G0301'],
    ['file', { path: '/etc/app.conf', validate: 'sh -c "reboot" %s' }, 'G0301'],
    ['cron', { name: 'x', job: 'rm -rf /etc' }, 'G0101'],
  ];
  for (const [type, desired, rule] of refused) {
    test(`R40 ${type} ${JSON.stringify(desired)} breaks ${rule}`, () => {
      assert.deepEqual(
        judge(type, desired)
          .findings.map((finding) => finding.rule)
          .slice(0, 1),
        [rule],
      );
    });
  }

  test('R40 the closest innocent resources are allowed', () => {
    const allowed: readonly (readonly [string, object])[] = [
      ['file', { path: '/etc/passwd-app' }],
      ['file', { path: '/etc/ssh/sshd_config', validate: '/usr/sbin/sshd -t -f %s' }],
      ['file', { path: '/etc/ssh/sshd_config.d/10.conf' }],
      ['file', { path: '/etc/motd', mode: '0644' }],
      ['file', { path: '/etc/sudoers.d/app', validate: 'visudo -cf %s' }],
      ['file', { path: '/etc/nginx/nginx.conf', validate: 'nginx -t -c %s' }],
      ['line', { path: '/etc/fstab', line: 'x' }],
      ['directory', { path: '/etc/app' }],
      ['directory', { path: '/srv/app', state: 'absent', recurse: true }],
      ['directory', { path: '/var/lib/app', owner: 'app' }],
      ['symlink', { path: '/etc/localtime', target: '/usr/share/zoneinfo/UTC' }],
      ['mount', { path: '/data', device: '/dev/sdb1' }],
      ['service', { name: 'sshd', state: 'running', enabled: true }],
      ['service', { name: 'cups', state: 'stopped', enabled: false }],
      ['package', { name: 'openssh-server', state: 'present' }],
      ['package', { name: 'telnet', state: 'absent' }],
      ['user', { name: 'bob', state: 'absent' }],
      ['group', { name: 'developers', state: 'absent' }],
      ['exec', { command: 'systemctl restart nginx', refresh: true }],
    ];
    for (const [type, desired] of allowed)
      assert.deepEqual(judge(type, desired).findings, [], `${type} ${JSON.stringify(desired)}`);
  });

  test('what is no object at all has no findings and does no harm', () => {
    for (const desired of [null, undefined, 1, 'x', [], { path: 5, command: [1] }]) {
      assert.equal(judgeResource(scanner, { type: 'file', id: 'x', desired }).verdict, 'allowed');
    }
  });
});

describe('on the node', () => {
  /** A machine in which /srv/link leads to /etc, /srv/bind is a bind mount of it, and /srv/hard is a hard link of /etc/shadow. */
  const view: NodeView = {
    realPath(path) {
      return path.startsWith('/srv/link')
        ? path.replace('/srv/link', '/etc')
        : path === '/srv/missing'
          ? undefined
          : path;
    },
    identity(path) {
      const inode =
        path === '/srv/hard' || path === '/etc/shadow' ? 7 : path.length * 1000 + path.charCodeAt(path.length - 1);
      return { device: 1, inode, links: inode === 7 ? 2 : 1, isDirectory: false };
    },
    mountInfo() {
      return '1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:1 /etc /srv/bind rw - ext4 /dev/sda1 rw\n3 1 8:1 /srv/real\\040one /srv/other rw - ext4 x rw\nrubbish';
    },
  };
  const onNode = (type: string, desired: object, paths: readonly string[] = []) =>
    judgeOnNode(scanner, { type, id: 'x', desired }, paths, view);

  test('R40 symlinks, bind mounts and hard links are seen through', () => {
    for (const path of [
      '/srv/link/passwd',
      '/srv/bind/passwd',
      '/srv/bind/../bind/shadow',
      '/srv/hard',
      '/srv/link/ssh/sshd_config',
    ]) {
      assert.equal(onNode('file', { path }).verdict, 'dangerous', path);
      assert.equal(onNode('later-type', {}, [path]).verdict, 'dangerous', path);
    }
    for (const path of ['/srv/link/motd', '/srv/bind/motd', '/srv/soft', '/srv/missing/x', '/srv/other/x']) {
      assert.equal(onNode('file', { path }).verdict, 'allowed', path);
    }
  });

  test('R40 the paths of a command are what they are on the machine', () => {
    const judge = (command: string, more = {}) => onNode('exec', { command, unless: 'false', ...more }).verdict;
    for (const command of [
      'cp /srv/x /srv/link/shadow',
      'cp /srv/shadow /srv/link',
      'echo x > /srv/bind/passwd',
      ': > /srv/hard',
      'rm -rf /srv/link/*',
      'chmod -R 777 /srv/link/',
      'for f in passwd shadow; do rm -f "/srv/bind/$f"; done',
      'cd /srv/link && rm shadow',
      'sh -c "tee /srv/link/../etc/passwd < /srv/x"',
    ])
      assert.equal(judge(command), 'dangerous', command);
    assert.equal(judge('rm -f shadow', { cwd: '/srv/bind' }), 'dangerous');
    for (const command of ['cp /srv/x /srv/link/motd', 'rm -f /srv/soft', 'rm -f /srv/link', 'echo x > /srv/missing/x'])
      assert.equal(judge(command), 'allowed', command);
    // Where there is no machine to ask, only what is written counts.
    const desired = { command: 'cp /srv/x /srv/link/shadow', unless: 'false' };
    assert.equal(judgeResource(scanner, { type: 'exec', id: 'x', desired }).verdict, 'allowed');
  });

  test('R43 nothing in a resource turns the judgement off', () => {
    const wishes = {
      override: true,
      overrides: [{ rule: 'G0106', resource: 'file//etc/passwd', reason: 'please' }],
      force: true,
      allow: 'G0106',
      guardrails: false,
      validate: 'true',
    };
    assert.equal(onNode('file', { path: '/etc/passwd', ...wishes }).verdict, 'dangerous');
    assert.equal(onNode('exec', { command: 'reboot', ...wishes }).verdict, 'dangerous');
    assert.equal(judgeOnNode.length, 4);
  });
});

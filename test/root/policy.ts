/** The policy of the run as root: at least one resource of every type, how each is changed by hand, and what proves it. */
import { bytesContent, content, type Declared } from '../conformance/executor-fixture.ts';
import { tarOf } from '../fakes/archives.ts';

type Shell = (script: string) => string;

const hash = '$6$holdfastsalt$e1Yl1tqsCJZ6XGxXlq0GmDn0v4wPzS3hhyJ4E0lZ9fS8vGmY1k0oT8kq7oG8g7HnqJ0Pp2jR5y6rB3cD9eF1a/';

const initScript = `#!/bin/sh
### BEGIN INIT INFO
# Provides: demo
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: a service that sleeps
### END INIT INFO
pid=/run/demo.pid
case $1 in
  start) start-stop-daemon --start --background --make-pidfile --pidfile $pid --exec /bin/sleep -- 100000 ;;
  stop) start-stop-daemon --stop --oknodo --pidfile $pid --remove-pidfile ;;
  restart|reload) $0 stop; $0 start ;;
  status) start-stop-daemon --status --pidfile $pid ;;
esac
`;

/** What the policy takes for given: a repository of git, and a key pair. */
export function prepare(sh: Shell): void {
  sh(`umask 022; mkdir -p /srv/origin; cd /srv/origin; git init -q -b main .; echo one > page; git add page
      git -c user.name=t -c user.email=t@example.com commit -q -m one; git tag v1
      mkdir -p /srv/demo/files`);
}

export function policy(sh: Shell): readonly Declared[] {
  const type = 'ssh-ed25519';
  const blob = Buffer.concat([
    Buffer.from([0, 0, 0, 11]),
    Buffer.from(type),
    Buffer.from([0, 0, 0, 32]),
    Buffer.alloc(32, 7),
  ]);
  const archive = tarOf([
    { name: 'site/index.html', content: '<h1>demo</h1>\n' },
    { name: 'site/run', content: '#!/bin/sh\n', mode: 0o755 },
  ]);
  const keyring = sh('ls /usr/share/keyrings/debian-archive-keyring.* | head -n 1').trim();
  const one = (name: string, desired: Declared['desired'], more: Partial<Declared> = {}): Declared => ({
    type: name,
    desired,
    ...more,
  });
  return [
    one('hostname', { name: 'demo-1' }),
    one('timezone', { name: 'Europe/Berlin' }),
    one('package', { name: 'hello' }),
    one('repository', {
      name: 'demo',
      uri: 'http://deb.debian.org/debian',
      suites: ['stable'],
      components: ['main'],
      key_path: keyring,
    }),
    one('group', { name: 'demo', gid: 4321 }),
    one('user', {
      name: 'deploy',
      uid: 4321,
      group: 'demo',
      groups: ['adm'],
      home: '/home/deploy',
      shell: '/bin/sh',
      comment: 'Deployment',
      password_hash: hash,
    }),
    one('authorized_key', { user: 'deploy', key: `${type} ${blob.toString('base64')} demo`, options: 'restrict' }),
    one('directory', { path: '/srv/demo/data', mode: '0750', owner: 'deploy', group: 'demo' }),
    one('file', {
      path: '/srv/demo/app.conf',
      content: content('port = 80\n'),
      mode: '0640',
      group: 'demo',
      validate: 'grep -q port %s',
    }),
    one('symlink', { path: '/srv/demo/current', target: 'data' }),
    one('line', { path: '/etc/profile', line: 'export DEMO=1' }),
    one('block', { path: '/etc/hosts', name: 'demo', content: '127.0.0.1 demo-1\n' }),
    one('ini', { path: '/srv/demo/app.ini', section: 'server', key: 'workers', value: 4 }),
    one('json', { path: '/srv/demo/app.json', pointer: '/log/level', value: 'info' }),
    one('cron', { name: 'demo', schedule: '*/5 * * * *', command: 'date +%s > /dev/null', user: 'deploy' }),
    one('sysctl', { key: 'net.ipv4.ip_forward', value: 1 }),
    one(
      'mount',
      { path: '/srv/demo/scratch', source: 'tmpfs', fstype: 'tmpfs', options: 'size=1m,noexec,nosuid' },
      { requires: ['directory//srv/demo/scratch'] },
    ),
    one('directory', { path: '/srv/demo/scratch', mode: '1777' }),
    one('file', { path: '/etc/init.d/demo', content: content(initScript), mode: '0755' }, { notify: ['service/demo'] }),
    one('service', { name: 'demo', state: 'running', enabled: true }),
    one('git', { path: '/srv/demo/page', repository: '/srv/origin', ref: 'v1' }),
    one('archive', {
      path: '/srv/demo/files',
      content: bytesContent(archive),
      strip: 1,
      owner: 'deploy',
      group: 'demo',
    }),
    one('exec', { name: 'stamp', command: 'date > /srv/demo/stamp', creates: '/srv/demo/stamp' }),
  ];
}

/** By resource: how somebody with a shell would take it away from what is declared. */
export const drifts: { readonly [resource: string]: string } = {
  'hostname/hostname': 'hostname other',
  'timezone/timezone': 'ln -sf /usr/share/zoneinfo/UTC /etc/localtime',
  'package/hello': 'dpkg --purge hello > /dev/null',
  'repository/demo': 'echo "Trusted: yes" >> /etc/apt/sources.list.d/demo.sources',
  'group/demo': 'groupmod -g 4999 demo',
  'user/deploy': 'usermod -s /bin/false -G adm,games deploy; passwd -l deploy > /dev/null',
  'line//etc/profile#export DEMO=1': 'sed -i "s/^export DEMO=1$/export DEMO=2/" /etc/profile',
  'block//etc/hosts#demo': 'sed -i "s/^127.0.0.1 demo-1$/127.0.0.1 evil/" /etc/hosts',
  'ini//srv/demo/app.ini#server.workers': 'echo "workers = 99" >> /srv/demo/app.ini',
  'json//srv/demo/app.json#/log/level': 'echo "{}" > /srv/demo/app.json',
  'authorized_key/deploy#SHA256:gNSIRW+2Iyiuvsdp/bgjy38bvWHw6wQm3tuoXrl3WjQ':
    'sed -i s/restrict/pty/ /home/deploy/.ssh/authorized_keys',
  'cron/demo': 'echo "* * * * * root id" >> /etc/cron.d/demo',
  'sysctl/net/ipv4/ip_forward': 'echo 0 > /proc/sys/net/ipv4/ip_forward',
  'mount//srv/demo/scratch': 'umount /srv/demo/scratch',
  'directory//srv/demo/data': 'chmod 777 /srv/demo/data; chown root /srv/demo/data',
  'file//srv/demo/app.conf': 'echo "port = 81" > /srv/demo/app.conf',
  'symlink//srv/demo/current': 'ln -sfn /etc /srv/demo/current',
  'service/demo': 'service demo stop > /dev/null; update-rc.d demo disable',
  'git//srv/demo/page': 'echo two > /srv/demo/page/page',
  'archive//srv/demo/files': 'echo "<h1>evil</h1>" > /srv/demo/files/index.html',
  'exec/stamp': 'rm /srv/demo/stamp',
};

/** What the machine's own tools say when everything is as declared. */
export const proofs: readonly (readonly [string, RegExp])[] = [
  ['hostname; cat /etc/hostname', /^demo-1\ndemo-1\n$/],
  ['date -d 2025-07-01T12:00:00Z +%Z', /^CEST\n$/],
  ['hello; dpkg-query -s hello | grep ^Status', /^Hello, world!\nStatus: install ok installed\n$/],
  [
    'apt-get --print-uris -q update | grep -o "debian/dists/stable/InRelease" | uniq',
    /^debian\/dists\/stable\/InRelease\n$/,
  ],
  [
    'getent group demo; getent passwd deploy; id -nG deploy',
    /^demo:x:4321:\ndeploy:x:4321:4321:Deployment:\/home\/deploy:\/bin\/sh\ndemo adm\n$/,
  ],
  ['getent shadow deploy | cut -d: -f2', /^\$6\$holdfastsalt\$/],
  [
    'stat -c "%a %U %G" /home/deploy /home/deploy/.ssh /home/deploy/.ssh/authorized_keys',
    /^7[05][05] deploy demo\n700 deploy demo\n600 deploy demo\n$/,
  ],
  ['ssh-keygen -l -f /home/deploy/.ssh/authorized_keys || command -v ssh-keygen || echo ED25519', /ED25519/],
  ['stat -c "%a %U %G" /srv/demo/data /srv/demo/app.conf', /^750 deploy demo\n640 root demo\n$/],
  ['readlink /srv/demo/current; . /etc/profile; echo $DEMO; grep -c demo-1 /etc/hosts', /^data\n1\n1\n$/],
  [
    'cat /srv/demo/app.ini; tr -d " \\n" < /srv/demo/app.json',
    /^\[server\]\nworkers = 4\n\{"log":\{"level":"info"\}\}$/,
  ],
  ['tail -n 1 /etc/cron.d/demo', /^\*\/5 \* \* \* \* deploy date \+\\%s > \/dev\/null\n$/],
  ['cat /proc/sys/net/ipv4/ip_forward', /^1\n$/],
  [
    'grep " /srv/demo/scratch " /proc/mounts; grep -c " /srv/demo/scratch " /etc/fstab',
    /^tmpfs .*nosuid.*noexec.*size=1024k.*\n1\n$/,
  ],
  ['service demo status && echo running; ls /etc/rc2.d | grep -c "^S..demo"', /running\n1\n$/],
  [
    'git -c safe.directory=/srv/demo/page -C /srv/demo/page describe --always --dirty; cat /srv/demo/page/page',
    /^[0-9a-f]{7,}\none\n$/,
  ],
  ['stat -c "%a %U" /srv/demo/files/run; cat /srv/demo/files/index.html', /^755 deploy\n<h1>demo<\/h1>\n$/],
];

/** What the reference of resource types says in words: everything that a schema can't. */

export type Notes = {
  readonly about: string;
  /** How the type was tried on which platforms. */
  readonly platforms: string;
  /** In YAML, without the type's own name and two spaces of indentation less. */
  readonly example: string;
  readonly fields: { readonly [field: string]: string };
};

const real = 'Debian: for real.';
const files = 'Debian: for real. Other Linux and macOS: the same code, not tried.';

const path = 'absolute, in its one spelling: no `.`, `..`, `//` or trailing `/`';
const owner = 'user by name or number; the agent’s own when left out';
const group = 'group by name or number; the agent’s own when left out';
const standsIn = 'whose directory the file may stand in; an existing file keeps its owner, group and mode';
const state = '`absent` removes it';

export const notes: { readonly [type: string]: Notes } = {
  file: {
    about:
      'A regular file with this content, mode and owner. Written whole beside the old one, with its final mode from the first byte, and renamed; a symlink at the path is replaced, never followed. In YAML give `content` (text), `source` (a file of the crate) or `template`.',
    platforms: files,
    example: 'path: /etc/motd\ncontent: "Welcome\\n"\nmode: "0644"',
    fields: {
      path,
      state,
      content: 'the text itself, in YAML; in a release its blob',
      mode: 'octal, in quotes; `0644` when left out',
      owner,
      group,
      validate: 'a shell command that must succeed on the new file before it takes its name; `%s` stands for that file',
    },
  },
  directory: {
    about: 'A directory with this mode and owner. Its parent must exist: each level is a resource of its own.',
    platforms: files,
    example: 'path: /srv/app\nmode: "0750"\nowner: deploy',
    fields: {
      path,
      state: '`absent` removes an empty one',
      recurse: 'with `absent`: all that is in it too, never across a mount',
      mode: 'octal, in quotes; `0755` when left out',
      owner,
      group,
    },
  },
  symlink: {
    about:
      'A symlink with this target, which needn’t exist. A file or directory at the path is somebody’s data and stays.',
    platforms: files,
    example: 'path: /srv/app/current\ntarget: releases/7',
    fields: { path, state, target: 'text, verbatim', owner: 'whose directory the link may stand in' },
  },
  line: {
    about: 'One line of a text file of others. With `prefix`, exactly one line begins so, and it is `line`.',
    platforms: files,
    example: 'path: /etc/ssh/sshd_config\nprefix: "PermitRootLogin "\nline: PermitRootLogin no',
    fields: { path, line: 'the whole line', prefix: 'plain text that `line` begins with', state, owner: standsIn },
  },
  block: {
    about:
      'Several lines between two marks, in a text file of others. A new block goes to the end; damaged marks are repaired.',
    platforms: files,
    example: 'path: /etc/hosts\nname: cluster\ncontent: |\n  10.0.0.1 one\n  10.0.0.2 two',
    fields: {
      path,
      name: 'tells the blocks of a file apart',
      state,
      content: 'the lines between the marks',
      comment: 'how a comment begins',
      comment_end: 'how it ends, where it must',
      owner: standsIn,
    },
  },
  ini: {
    about:
      'One value of an INI file of others. Comments, order and the way keys are written stay. Without `key`, `absent` removes the section.',
    platforms: files,
    example: 'path: /etc/systemd/journald.conf\nsection: Journal\nkey: Storage\nvalue: persistent',
    fields: {
      path,
      section: 'before the first section when left out',
      key: 'exactly as in the file',
      state,
      value: 'as it stands in the file, quotes included',
      separator: 'between a new key and its value',
      owner: standsIn,
    },
  },
  json: {
    about:
      'One value of a JSON file of others, by its pointer (RFC 6901). Every other byte stays; values are compared as values. Comments are no JSON and are refused.',
    platforms: files,
    example: 'path: /etc/docker/daemon.json\npointer: /log-driver\nvalue: journald',
    fields: {
      path,
      pointer: '`/log/level`; `~1` for a slash, `~0` for a tilde in a key',
      state,
      value: 'any JSON value',
      owner: standsIn,
    },
  },
  package: {
    about:
      'A package that is installed or not. An installation cut short is finished. With apt, an install that would remove something and a removal that would take others along are refused.',
    platforms:
      'apt: for real on Debian. dnf, zypper, apk, pacman, brew: transcripts written from the documented formats, not captured.',
    example: 'name: nginx',
    fields: {
      name: 'as the package manager names it',
      state,
      version: 'exactly this one, as the package manager prints it; any when left out (not with pacman and brew)',
    },
  },
  repository: {
    about: 'Where packages come from, with the key that must have signed them. There is no unsigned repository.',
    platforms:
      'apt (deb822): for real on Debian. dnf, zypper, apk: files written from the documented formats, not tried. pacman, brew: refused.',
    example:
      'name: tools\nuri: https://packages.example/debian\nsuites: [bookworm]\ncomponents: [main]\nkey_path: /usr/share/keyrings/tools.gpg',
    fields: {
      name: 'names its files',
      state,
      uri: 'http(s) or file, without an account',
      suites: 'apt: as in sources.list(5)',
      components: 'apt',
      architectures: 'apt: only these',
      key: 'the public key: ASCII-armored, PEM for apk',
      key_path: 'a key that is on the machine, in place of `key`',
    },
  },
  service: {
    about:
      'A service that runs or not, now and with the machine. What is left out stays. A notified service that runs is restarted or reloaded. A unit file that changed on disk is read anew.',
    platforms:
      'SysV (`service`, `update-rc.d`): for real on Debian. systemd: its own commands, against a faithful fake. OpenRC, launchd: transcripts written from the documented formats, not captured.',
    example: 'name: nginx\nstate: running\nenabled: true',
    fields: {
      name: 'as the service manager names it; other systemd units with their suffix',
      state: 'what it is to do now',
      enabled: 'whether it comes up with the machine',
      masked: 'systemd: can’t be started at all',
      on_notify: '`reload` restarts a service that can’t reload (systemd)',
    },
  },
  user: {
    about:
      'An account. What is left out stays; a new one gets what the machine’s own tool gives it. Passwords go to the tool by standard input and into no report.',
    platforms:
      'shadow suite: for real on Debian. busybox (add, remove, groups), macOS (dscl): transcripts written from the documented formats, not captured.',
    example: 'name: deploy\ngroups: [adm]\nshell: /bin/bash\nhome: /home/deploy',
    fields: {
      name: 'a plain account name',
      state,
      uid: 'user id',
      group: 'primary group, by name or number',
      groups: 'all supplementary groups: others are taken away',
      home: 'made when missing, mode 0700',
      shell: 'login shell',
      comment: 'full name or purpose',
      system: 'a new one gets an id of the system’s range',
      create_home: 'make the home directory when it is missing',
      password_hash: 'a crypt(5) hash: yescrypt, scrypt, bcrypt, SHA-512 or SHA-256; `*` or `!` locks',
      password: 'as a secret only: hashed on the node',
      remove_home: 'with `absent`: the declared home too',
    },
  },
  group: {
    about: 'A group, its id and its members.',
    platforms: 'As `user`.',
    example: 'name: web\nmembers: [deploy]',
    fields: {
      name: 'a plain account name',
      state,
      gid: 'group id',
      system: 'a new one gets an id of the system’s range',
      members: 'exactly these, but for users whose primary group it is',
    },
  },
  authorized_key: {
    about:
      'A key that may log in as a user by SSH. Found by the key itself, whatever its comment and options; other lines stay.',
    platforms: files,
    example: 'user: deploy\nkey: ssh-ed25519 AAAA… alice@laptop\noptions: restrict',
    fields: {
      user: 'must exist, with a home directory',
      key: 'one public key, as in a `.pub` file; no certificate, no DSA',
      options: 'as in sshd(8)',
      state,
    },
  },
  cron: {
    about: 'A job as a file of its own in /etc/cron.d.',
    platforms: 'Debian: for real. Other Linux: the same file, not tried.',
    example: 'name: backup\nschedule: "15 3 * * *"\ncommand: /usr/local/bin/backup',
    fields: {
      name: 'names the file',
      state,
      schedule: 'five fields as in crontab(5), or a word such as `@daily`',
      command: 'one line for /bin/sh; `%` is escaped',
      user: 'whose job it is',
      environment: 'set before the job',
    },
  },
  sysctl: {
    about:
      'A kernel parameter, live and at the next boot (a file in /etc/sysctl.d). `absent` takes the file away; the live value stays.',
    platforms: 'Debian, in a network namespace: for real. Other Linux: the same, not tried. macOS: none.',
    example: 'key: net.ipv4.ip_forward\nvalue: 1',
    fields: {
      key: 'with dots, or with slashes where a part has a dot',
      state,
      value: 'spaces and tabs between numbers are the same',
      live: 'whether the live value counts too',
    },
  },
  mount: {
    about:
      'A file system in fstab(5) and mounted. The directory must exist. `fstab`: the entry alone; `unmounted`: the entry, not mounted; `absent`: neither. A mount that lost a flag asked for is remounted; other options are not compared with the live mount.',
    platforms: 'Debian, in a mount namespace: for real. Other Linux: the same, not tried. macOS: none.',
    example: 'path: /var/cache/build\nsource: tmpfs\nfstype: tmpfs\noptions: size=1g,noexec,nosuid',
    fields: {
      path,
      state: 'see above',
      source: 'device, `UUID=…`, `LABEL=…`, a directory to bind, or a network name',
      fstype: 'type of the file system',
      options: 'as in fstab(5), without spaces',
      dump: 'as in fstab(5)',
      pass: 'as in fstab(5)',
    },
  },
  hostname: {
    about: 'The machine’s name, live and in /etc/hostname. One on each machine: `hostname/hostname`.',
    platforms: 'Debian, in a host name namespace: for real. macOS (scutil): not tried.',
    example: 'name: web-1',
    fields: { name: 'a host name (RFC 1123)' },
  },
  timezone: {
    about:
      'The time zone: /etc/localtime, and /etc/timezone where there is one. One on each machine: `timezone/timezone`.',
    platforms: 'Debian: for real. Other Linux and macOS: not tried.',
    example: 'name: Europe/Berlin',
    fields: { name: 'of the tz database' },
  },
  git: {
    about:
      'A checkout of a repository. No hooks, submodules, helpers or redirects. Tracked files that were changed are put back; others stay. With a full commit id nothing is asked of the network once it is there.',
    platforms: real,
    example: 'path: /srv/site\nrepository: https://example.com/site.git\nref: v1.4.2',
    fields: {
      path,
      repository: 'https, ssh or file URL without a password, `user@host:path`, or an absolute path',
      ref: 'full commit id, branch, tag or `refs/…`',
      owner: 'who git runs as; the agent’s own user when left out',
      group,
      mode: 'of the directory; `0755` when left out',
    },
  },
  archive: {
    about:
      'The files of a tar, tar.gz or zip archive, in a directory that exists. An archive with a link, a device, an absolute path or a `..` is refused as a whole. A marker (`.unpacked-by-holdfast.json`) holds digests, so drift is seen and an older archive’s files go.',
    platforms: files,
    example: 'path: /opt/tool\nsource: files/tool.tar.gz\nstrip: 1',
    fields: {
      path,
      state: '`absent` removes what was unpacked',
      content: 'in YAML `source: files/…`; in a release its blob',
      local: 'an archive on the machine, in place of `content`',
      format: 'told by its first bytes when left out',
      strip: 'leading parts of each path to leave out',
      owner,
      group,
    },
  },
  exec: {
    about:
      'A command that runs only while its guard finds something to do. A guard is required. With `refresh` it runs only when notified.',
    platforms: files,
    example: 'command: /usr/local/bin/migrate\nunless: /usr/local/bin/migrate --check',
    fields: {
      name: 'names the resource; the command when left out',
      command: 'text for /bin/sh, or a list of program and arguments',
      creates: 'a path that is there when it is done',
      unless: 'a command that succeeds when it is done',
      onlyif: 'a command that succeeds while there is something to do',
      refresh: 'run only when notified, and only if the guard agrees',
      stdin: 'standard input; the place for a secret',
      cwd: 'working directory',
      timeout_seconds: 'its own time limit',
    },
  },
};

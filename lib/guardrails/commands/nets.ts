/**
 * Nets: under all that is modelled, what a program that nobody here knows could do with its arguments. What they catch
 * is unknown and not dangerous, since nobody can say that it happens.
 */
import { judgePath } from '../judge-path.ts';
import { normalizePath } from '../paths.ts';
import { type Call, programOf, quote, reportCall } from '../shell/call.ts';
import { hole, plain, withoutGlobs } from '../shell/marks.ts';
import { isProgram } from '../shell/programs.ts';
import { isTelling, trial, trialOfText } from '../shell/trial.ts';

/** Programs that only show, search, compare, count or pass on what they are given, and run none of it here. */
const silent = words(
  'echo printf cat tac nl head tail less more most grep egrep fgrep zgrep rgrep pgrep rg ag ack sort uniq wc cut tr rev fold fmt paste join comm column expand ' +
    'ls dir vdir stat file tree du df lsblk blkid findmnt lsof lscpu lspci lsusb lsmod lsns lsattr getfacl getfattr getcap namei readlink realpath basename dirname ' +
    'md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum cksum sum shasum crc32 diff cmp sdiff colordiff strings hexdump xxd od base64 base32 ' +
    'test [ [[ true false : expr seq date cal sleep wait yes tput clear logger wall write mesg notify-send say figlet banner cowsay boxes whiptail dialog zenity kdialog ' +
    'mail mailx sendmail mutt type which whereis whatis apropos command hash help history alias man info id who w whoami groups users last lastlog lastb uptime uname hostname hostnamectl arch nproc free vmstat iostat mpstat sar top htop iotop ps pstree pidof ' +
    'export declare local readonly typeset unset set shift return exit trap umask ulimit read cd pushd popd eval exec source . case if then else elif fi for while until do done function ' +
    'git svn hg docker podman nerdctl kubectl helm crictl lxc incus virsh qm pct jq yq dmesg',
);

/** Programs of which it is known what they do with the files that they are given. */
const known = words(
  'ncdu vimdiff mt mtx chio mknod mkfifo setserial stty getent mountpoint findfs fsadm swaplabel getconf locale localectl timedatectl journalctl coredumpctl systemd-analyze systemd-cgls systemd-cgtop systemd-detect-virt loginctl ' +
    'xmllint xmlstarlet python3-config pkg-config ldd nm objdump readelf size ldconfig modinfo smartctl nvme-list hwinfo dmidecode lshw inxi ethtool ss netstat ping ping6 traceroute tracepath mtr host dig nslookup whois arp ' +
    'dpkg-query dpkg-deb dpkg-divert dpkg-statoverride dpkg-maintscript-helper apt-cache apt-config apt-file rpmquery update-alternatives debconf-show debconf-set-selections ucf ucfr ' +
    'visudo sshd-config nginx apachectl apache2ctl httpd named-checkconf named-checkzone haproxy postconf doveconf testparm slaptest promtool shellcheck yamllint ansible-lint hadolint bash-completion ' +
    'touch mkdir rmdir mktemp restorecon chcon semanage matchpathcon setsebool getsebool getenforce aa-status aa-complain aa-enforce apparmor_parser augtool auditctl ausearch aureport aide rkhunter chkrootkit lynis clamscan debsums tripwire ' +
    'growpart resize2fs xfs_growfs btrfs tune2fs dumpe2fs e2label xfs_info xfs_admin blockdev partprobe partx kpartx udevadm udisksctl multipath multipathd losetup swapon swapoff pvs vgs lvs pvdisplay vgdisplay lvdisplay pvscan vgscan lvscan pvresize vgextend vgcreate lvcreate lvextend lvresize vgchange lvchange e2fsck fsck xfs_repair fstrim hdparm sdparm sg_inq lsscsi nvme iscsiadm mount umount quotacheck quotaon repquota setquota edquota eject ioping ' +
    'update-grub update-grub2 grub-mkconfig grub2-mkconfig grub-install grub2-install grub-probe grubby grub-editenv grub-set-default grub-script-check kernel-install installkernel dracut lsinitrd lsinitramfs update-initramfs mkinitcpio mkinitramfs depmod sbsign sbverify bootctl efibootmgr mokutil kdumpctl os-prober ' +
    'pwck grpck pwconv pwunconv faillock chage newusers useradd adduser usermod groupadd addgroup groupmod gpasswd passwd userdel groupdel deluser delgroup chsh chfn ' +
    'ctr terraform tofu packer aws gcloud az doctl rclone restic borg duplicity duplicati rdiff-backup bup tarsnap',
);

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(' '));
}

/** What a program of its own would make of a word that is the name of another. */
const verbs = new Set('rm cp mv ln kill install init mount umount exec service find env sudo at ip'.split(' '));

/** It does no harm by itself. */
export function isPassive(program: string): boolean {
  return silent.has(program) || known.has(program);
}

/** A program that is not modelled, or not all of what its options may say. */
export function judgeRest(call: Call, program: string, isModelled: boolean): void {
  if (silent.has(program) || call.argv.length > 200) return;
  const args = call.argv.slice(1);
  if (!ownCode.has(program) && judgeWords(call, args)) return;
  if (!isModelled && judgeSuffix(call, args)) return;
  if (!complete.has(program)) judgeInput(call, isModelled);
  if (isModelled || !known.has(program)) judgeFiles(call, args, !complete.has(program));
  if (!complete.has(program.replace(/[\d.]+$/, '')) && !known.has(program)) judgeSealed(call, args, !isModelled);
}

/** A protected file in the hands of a program of which nobody knows what it does with it. */
function judgeSealed(call: Call, args: readonly string[], isStrange: boolean): void {
  const isDestroying = call.argv.some((arg) => destroying.test(plain(arg)));
  for (const arg of args) {
    // A sentence mentions files that nobody opens, but does not put them in quotes.
    const isSentence = /\s\w+\s/.test(plain(arg));
    if (isSentence && !/[;=(){}>]/.test(plain(arg))) continue;
    const pattern = isSentence ? /(?<=["'])\/[^\s"']+(?=["'])/g : /(?<![\w.:/-])\/[^\s"',;:|&()<>[\]{}]*/g;
    for (const [path] of withoutGlobs(plain(arg)).matchAll(pattern)) {
      if (!isSealed(path) && !(isStrange && isVital(path, isDestroying))) continue;
      reportCall(call, 'G0607', path);
      return;
    }
  }
}

const destroying =
  /(?:^|[-_./])(?:delet|remov|purg|wip|eras|destroy|clean|shred|format|overwrit|unlink|zap|nuk|prun|empty|drop|kill|rm|del|trunc|scrub|zero)/i;

/** Settings that must be there, and whole trees of the system. */
function isVital(path: string, isDestroying: boolean): boolean {
  const judged =
    judgePath(path, 'empty') ??
    (isDestroying && /^\/(?:etc|usr|boot|bin|sbin|lib|lib64|var)?\/?$/.test(path)
      ? judgePath(path, 'remove tree')
      : undefined);
  return (
    judged !== undefined &&
    !/^\/(?:proc|sys|dev)(?:\/|$)/.test(path) &&
    judgePath(path, 'empty')?.rule !== 'G0105' &&
    !/^\/s?bin\/|^\/lib/.test(judged.protectedPath)
  );
}

/** Their arguments are programs in a language of their own. */
const ownCode = new Set('sed gsed awk gawk mawk nawk find perl python python3 ruby node php jq tr'.split(' '));
/** All that these do to a path is modelled. */
const complete = new Set(
  (
    'rm unlink rmdir srm mv cp install ln link chmod chown chgrp setfacl chattr tee sponge dd dcfldd truncate shred sed gsed sort touch ' +
    'find gfind bfs tar bsdtar rsync scp mount umount mkfs mke2fs mkswap wipefs blkdiscard parted fdisk sfdisk cfdisk gdisk sgdisk hdparm nvme ' +
    'cryptsetup mdadm zpool zfs lvcreate lvremove vgremove pvremove lvreduce pvcreate badblocks debugfs resize2fs xfs_repair dmsetup fallocate ' +
    'awk gawk mawk nawk perl python ruby node php vim vi nvim ex ed emacs patch gzip bzip2 xz zstd gunzip bunzip2 unxz zip unzip cpio 7z ' +
    'grub-install efibootmgr bootctl update-initramfs grubby sysctl fuser kill pkill killall sshd visudo vipw vigr curl wget git docker podman ' +
    'useradd usermod userdel groupdel passwd chpasswd chage chsh gpasswd adduser deluser delgroup dpkg-statoverride update-alternatives sqlite3 openssl gpg ssh-keygen split uniq xxd socat strace tcpdump'
  ).split(' '),
);

/** An argument that is code. */
function judgeWords(call: Call, args: readonly string[]): boolean {
  for (const arg of args) {
    const text = withoutGlobs(plain(arg)).replace(/^-[\w-]*=/, '');
    for (const code of [text, ...codesIn(text)]) {
      if (code.length < 6 || code.length > 4000 || !/[\s;|&]/.test(code.trim())) continue;
      const found = trialOfText(call.frame, code.trim()).find(({ rule }) => isTelling(rule));
      if (found === undefined) continue;
      reportCall(call, 'G0606', found.reason);
      return true;
    }
  }
  return false;
}

/** Quoted text that is the value of something, as in JSON or a program: none that a sentence quotes. */
export function valuesIn(text: string): string[] {
  return [...text.matchAll(/[:=({,[]\s*(?:"((?:[^"\\]|\\.){6,})"|'([^'\n]{6,})')/g)]
    .slice(0, 40)
    .map(([, double, single]) => double?.replace(/\\(["\\])/g, '$1') ?? single ?? '');
}

/** What is in quotes, in brackets or behind an exclamation mark, and where the name of a program begins or ends a line. */
function codesIn(text: string): string[] {
  const quoted = text.matchAll(/"((?:[^"\\]|\\[\s\S]){6,})"|'([^']{6,})'|`([^`]{6,})`/g);
  const others = text.matchAll(/!\s*([^!]{6,})$|\(([^()]{6,})\)|\{([^{}]{6,})\}/g);
  const found = [...quoted, ...others].map((match) => match.slice(1).find((group) => group !== undefined) ?? '');
  // The bus may be reached through a program that is started for it.
  const started = /unixexec:path=(.+)/.exec(text)?.[1]?.replace(/,argv\d+=/g, ' ');
  return [...found.slice(0, 20), ...linesIn(text).slice(0, 20), ...(started === undefined ? [] : [started])];
}

/** Lines that name a program: behind what marks them as a command, and behind one word such as `shell` or `exec`. */
function linesIn(text: string): string[] {
  return text
    .split('\n', 100)
    .filter((line) => line.length < 1000)
    .flatMap((line) => {
      const [, code = '', , rest = ''] = /^\s*[-@+!:.\\%|]*\s*((\S+)(?:\s+[!|]*(\S.*))?)$/.exec(line) ?? [];
      return [code === line ? '' : code, rest].filter((one) => isProgram(programOf(/^[^\s;|&]+/.exec(one)?.[0] ?? '')));
    });
}

/** The rest of the arguments is a command by itself. */
function judgeSuffix(call: Call, args: readonly string[]): boolean {
  for (let i = 0; i < Math.min(args.length - 1, 12); i += 1) {
    const name = programOf(args[i] ?? '');
    const isVerb = i === 0 && verbs.has(plain(args[i] ?? ''));
    if (isVerb || !isProgram(name)) continue;
    const rest = args.slice(i);
    const found = trial(call.frame, (frame) => void frame.scan.runText(quote(rest), frame)).find(({ rule }) =>
      isTelling(rule),
    );
    if (found === undefined) continue;
    reportCall(call, 'G0606', found.reason);
    return true;
  }
  return false;
}

/** What comes in is code; for a program that is known, it is where it says so. */
function judgeInput(call: Call, isModelled: boolean): void {
  const text = plain(call.frame.stdin);
  if (text === '' || text.includes(hole) || text.length > 4000) return;
  judgeText(call, text, isModelled);
}

/** Text that is code; with `isMarked`, only where it says so. */
function judgeText(call: Call, text: string, isMarked = false): boolean {
  for (const code of [...(isMarked ? [] : [text, ...codesIn(text)]), ...linesIn(text)]) {
    const found = trialOfText(call.frame, code).find(({ rule }) => isTelling(rule));
    if (found === undefined) continue;
    reportCall(call, 'G0606', found.reason);
    return true;
  }
  return false;
}

/** A script that the source has written is handed to a program that may run it. */
function judgeFiles(call: Call, args: readonly string[], isRunner: boolean): void {
  const { files } = call.frame.scan;
  if (files.size === 0) return;
  for (const arg of args) {
    const path = plain(arg)
      .replace(/^-[^=]*=/, '')
      .replace(/^@/, '');
    const content = /\//.test(path) ? files.get(normalizePath(path, call.frame.scope.cwd)) : undefined;
    if (content === undefined || content.length > 8000) continue;
    if (!/^#!/.test(plain(content))) {
      if (isRunner && judgeText(call, plain(content))) return;
      continue;
    }
    const found = trialOfText(call.frame, plain(content)).find(({ rule }) => isTelling(rule) || rule === 'G0301');
    if (found !== undefined) reportCall(call, found.rule, found.reason.replace(/^[^:]*: /, ''), 'dangerous');
  }
}

/** Nothing but the system's own tools has any business there. */
function isSealed(path: string): boolean {
  if (/^\/(?:proc|sys)(?:\/|$)|^\/(?:dev|boot|efi)$/.test(path)) return false;
  const judged = judgePath(path, 'edit');
  return (
    judged !== undefined && /^G0(?:106|201|401)$/.test(judged.rule) && !/^\/s?bin\/|^\/lib/.test(judged.protectedPath)
  );
}

/** Programs that write to disks below the file system, and those that make, wipe or mount file systems. */
import { judgePath } from '../judge-path.ts';
import { normalizePath } from '../paths.ts';
import { type Call, programOf, readOptions, reportCall, touch } from '../shell/call.ts';
import { copiedBy } from '../shell/copies.ts';
import { rememberLink } from '../shell/links.ts';
import { hole, plain } from '../shell/marks.ts';
import { judgeWrite } from '../shell/write.ts';
import type { Judge, Judges } from './judge.ts';

function isDevice(call: Call, path: string): boolean {
  const normal = normalizePath(path, call.frame.scope.cwd);
  return normal.startsWith('/dev/') && judgePath(normal, 'empty') !== undefined;
}

/** A device, or what may turn out to be one. */
export function reportDevices(call: Call, rule: 'G0201' | 'G0202' | 'G0203', paths: readonly string[]): void {
  for (const path of paths) {
    if (isDevice(call, path)) reportCall(call, rule, path);
    else if (plain(path).startsWith(hole) && rule !== 'G0201') reportCall(call, rule, path, 'unknown');
  }
}

const dd: Judge = (call) => {
  for (const arg of call.argv.slice(1)) {
    const path = /^of=([\s\S]+)$/.exec(plain(arg))?.[1];
    if (path === undefined) continue;
    const isPartial = call.argv.some((one) => /^conv=.*notrunc|^oflag=.*append/.test(plain(one)));
    const content = judgePath(path, 'edit')?.rule === 'G0201' ? '' : copiedBy(call);
    judgeWrite(call.frame, path, { isAppend: isPartial, content, offset: call.offset, excerpt: call.excerpt });
  }
};

const mkfs: Judge = (call) => {
  const { operands, flags } = readOptions(call.argv.slice(1), [
    '-t',
    '-L',
    '-b',
    '-E',
    '-O',
    '-m',
    '-i',
    '-I',
    '-N',
    '-T',
    '-U',
    '-F',
    '-n',
    '-s',
    '-d',
    '-l',
    '-f',
  ]);
  if (flags.has('--help') || flags.has('--version')) return;
  const name = programOf(call.argv[0] ?? '');
  // -F and -f have no value in some of them: then the device was taken for one.
  const all = call.argv.slice(1).filter((arg) => plain(arg).startsWith('/dev/'));
  reportDevices(call, 'G0202', all.length > 0 ? all : operands);
  if (all.length === 0 && name === 'mkfs' && operands.length === 0) return;
};

const wipefs: Judge = (call) => {
  const { flags, operands } = readOptions(call.argv.slice(1), ['-t', '-o', '--offset', '--types', '-O', '--output']);
  if (flags.has('-n') || flags.has('--no-act')) return;
  if (['-a', '-o', '--all', '--offset', '-f'].some((flag) => flags.has(flag))) reportDevices(call, 'G0202', operands);
};

const blkdiscard: Judge = (call) =>
  reportDevices(call, 'G0202', readOptions(call.argv.slice(1), ['-o', '-l', '-p']).operands);

const nvme: Judge = (call) => {
  if (/^(?:format|sanitize|write|write-zeroes|delete-ns|reset|fw-commit)$/.test(plain(call.argv[1] ?? '')))
    reportCall(call, 'G0202', call.argv[2]);
};

const hdparm: Judge = (call) => {
  if (
    call.argv.some((arg) =>
      /^--(?:security-erase|trim-sector|write-sector|make-bad-sector|dco-restore|security-set-pass|yes-i-know)/.test(
        plain(arg),
      ),
    )
  )
    reportCall(call, 'G0202', call.argv.at(-1));
};

const parted: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  if (
    args.some((arg) =>
      /^(?:mklabel|mktable|mkpart|mkpartfs|rm|resizepart|resize|move|set|rescue|mkfs|name|toggle|disk_set)\b/.test(arg),
    )
  )
    reportCall(call, 'G0203', args.find((arg) => arg.startsWith('/dev/')) ?? '');
  else if (call.frame.stdin !== '' && args.some((arg) => arg.startsWith('/dev/')) && !args.includes('print'))
    reportCall(call, 'G0203');
};

const fdisk: Judge = (call) => {
  const { flags, operands } = readOptions(call.argv.slice(1), [
    '-b',
    '-C',
    '-H',
    '-S',
    '-u',
    '-o',
    '-w',
    '-W',
    '-t',
    '-L',
    '-n',
    '-N',
    '-X',
    '-Y',
    '-O',
  ]);
  if (
    [
      '-l',
      '-s',
      '-d',
      '-V',
      '-v',
      '-h',
      '--list',
      '--dump',
      '--verify',
      '--help',
      '--version',
      '--show-size',
      '-x',
      '-F',
      '-J',
      '--json',
      '--list-free',
      '--list-types',
      '-T',
      '--no-act',
    ].some((flag) => flags.has(flag))
  )
    return;
  if (operands.length > 0 && (call.frame.stdin !== '' || flags.size > 0)) reportCall(call, 'G0203', operands[0]);
};

const sgdisk: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  if (
    args.every((arg) =>
      /^(?:-[pivhVb](?:$|=)|--(?:print|info|verify|version|help|backup|first-in-largest)|-[iEFD]\d*|\d+$|\/)/.test(arg),
    )
  )
    return;
  reportCall(call, 'G0203', args.find((arg) => arg.startsWith('/dev/')) ?? '');
};

const always =
  (rule: 'G0204' | 'G0202' | 'G0203'): Judge =>
  (call) => {
    const { flags, operands } = readOptions(call.argv.slice(1));
    if (!['-t', '--test', '--help', '--version', '-h'].some((flag) => flags.has(flag)) && operands.length > 0)
      reportCall(call, rule, operands.at(-1));
  };

/** What was made here may be taken away here. */
const lvcreate: Judge = (call) => {
  const { values } = readOptions(
    call.argv.slice(1),
    ['-n', '-L', '-l', '-T', '-V', '-s', '--name', '--size', '--extents'].filter((one) => one !== '-s'),
  );
  const name = values.get('-n') ?? values.get('--name');
  if (name !== undefined) call.frame.scan.created.add(plain(name).replace(/^.*\//, ''));
};

const lvremove: Judge = (call, again) => {
  const { operands } = readOptions(call.argv.slice(1));
  const isOwn =
    operands.length > 0 && operands.every((one) => call.frame.scan.created.has(plain(one).replace(/^.*\//, '')));
  if (!isOwn) always('G0204')(call, again);
};

const cryptsetup: Judge = (call) => {
  if (
    call.argv.some(
      (arg) =>
        /^(?:luksFormat|luksErase|erase|luksKillSlot|luksRemoveKey|reencrypt|luksHeaderRestore|plainFormat|wipe|luksDump--)$/.test(
          plain(arg),
        ) || plain(arg) === '--wipe',
    )
  )
    reportCall(call, 'G0204', call.argv.at(-1));
};

const mdadm: Judge = (call) => {
  const args = call.argv.map(plain);
  if (args.some((arg) => /^(?:--zero-superblock|--create|-C|--kill-subarray.*|--stop|-S)$/.test(arg)))
    reportCall(call, 'G0204', args.find((arg) => arg.startsWith('/dev/')) ?? '');
  // One of them may be replaced; without two the array is gone.
  if (args.filter((arg) => /^(?:--fail|-f|--set-faulty)$/.test(arg)).length > 1) reportCall(call, 'G0204', args[1]);
};

const zpool: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  const verb = args[0];
  if (/^(?:destroy|labelclear|detach|offline|export)$/.test(verb ?? '') && programOf(call.argv[0] ?? '') === 'zpool')
    reportCall(call, 'G0204', args.at(-1));
  if (
    programOf(call.argv[0] ?? '') === 'zfs' &&
    verb === 'destroy' &&
    (!args.some((arg) => arg.includes('@')) || args.some((arg) => /^-\w*R/.test(arg)))
  )
    reportCall(call, 'G0204', args.at(-1));
  if (programOf(call.argv[0] ?? '') === 'zfs' && verb === 'rollback' && args.some((arg) => /^-\w*R/.test(arg)))
    reportCall(call, 'G0204', args.at(-1));
};

const diskutil: Judge = (call) => {
  if (
    /^(?:erase\w*|reformat|partitionDisk|secureErase|zeroDisk|randomDisk|deleteContainer|deleteVolume|apfs)$/i.test(
      plain(call.argv[1] ?? ''),
    ) &&
    !/^list/.test(plain(call.argv[2] ?? ''))
  )
    reportCall(call, 'G0202', call.argv.at(-1));
};

const mount: Judge = (call) => {
  // Taken from where it is looked for.
  if (call.argv.some((arg) => /^(?:-M|--move)$/.test(plain(arg)))) {
    const { operands } = readOptions(call.argv.slice(1), ['-o', '-t']);
    if (operands[0] !== undefined) touch(call, operands[0], 'move');
  }
  const { operands, values, flags } = readOptions(call.argv.slice(1), [
    '-o',
    '-t',
    '-L',
    '-U',
    '--options',
    '--types',
    '--target',
    '--source',
  ]);
  const target = values.get('--target') ?? (operands.length > 1 ? operands.at(-1) : undefined);
  const options = plain(values.get('-o') ?? values.get('--options') ?? '');
  const isBind =
    ['--bind', '--rbind', '-B', '-R', '--move', '-M'].some((flag) => flags.has(flag)) || /\br?bind\b/.test(options);
  if (isBind && operands.length > 1) rememberLink(call.frame, operands.at(-1) ?? '', operands[0] ?? '', 'mount');
  if (options.includes('remount') && !/\bro\b/.test(options)) return;
  if (options.includes('remount') && plain(operands.at(-1) ?? '') === '/') reportCall(call, 'G0107', '/');
  else if (target !== undefined && !flags.has('--make-rprivate')) touch(call, target, 'mount');
};

const umount: Judge = (call) => {
  const { operands, flags } = readOptions(call.argv.slice(1), ['-t', '-O']);
  const vital = /^\/(?:|usr|var|etc|boot|proc|sys|dev|run|home|lib|bin)$/;
  for (const path of operands)
    if (vital.test(normalizePath(path, call.frame.scope.cwd))) reportCall(call, 'G0107', path);
  if (flags.has('-a') && !flags.has('-t')) reportCall(call, 'G0107', 'all');
};

/** A node of a disk is that disk, wherever it is. */
const mknod: Judge = (call) => {
  const { operands } = readOptions(call.argv.slice(1), ['-m', '--mode']);
  if (/^b/.test(plain(operands[1] ?? ''))) rememberLink(call.frame, operands[0] ?? '', '/dev/sda', 'hard');
};

const pivotRoot: Judge = (call) => reportCall(call, 'G0107', call.argv[1]);

const zerofill = mkfs;

export const diskJudges: Judges = {
  dd,
  dcfldd: dd,
  ddrescue: (call) => reportDevices(call, 'G0201', call.argv.slice(2)),
  mkfs,
  ...Object.fromEntries(
    [
      'mke2fs',
      'mkswap',
      'mkdosfs',
      'mkntfs',
      'newfs',
      'mkreiserfs',
      'zerofree',
      'mkudffs',
      'make-bcache',
      'bcachefs',
      'pvcreate',
    ].map((name) => [name, zerofill]),
  ),
  wipefs,
  blkdiscard,
  nvme,
  hdparm,
  parted,
  fdisk,
  cfdisk: fdisk,
  sfdisk: fdisk,
  gdisk: fdisk,
  sgdisk,
  ...Object.fromEntries(
    ['vgremove', 'pvremove', 'lvreduce', 'thin_restore', 'drbdadm-wipe'].map((name) => [name, always('G0204')]),
  ),
  lvcreate,
  lvremove,
  cryptsetup,
  mdadm,
  zpool,
  zfs: zpool,
  diskutil,
  mount,
  umount,
  mknod,
  debootstrap: (call) => {
    const { operands } = readOptions(call.argv.slice(1));
    if (operands.length > 1 && normalizePath(operands[1] ?? '', call.frame.scope.cwd) === '/')
      reportCall(call, 'G0105', '/');
  },
  pivot_root: pivotRoot,
  switch_root: pivotRoot,
};

/** Programs that test, shrink, repair or take apart file systems and the devices below them. */
import { readOptions, reportCall, touch } from '../shell/call.ts';
import { plain } from '../shell/marks.ts';
import { reportDevices } from './disks.ts';
import type { Judge, Judges } from './judge.ts';

const badblocks: Judge = (call) => {
  const { flags, operands } = readOptions(call.argv.slice(1), ['-b', '-c', '-d', '-e', '-i', '-o', '-p', '-t']);
  if (flags.has('-w')) reportDevices(call, 'G0201', operands);
};

/** Zeroes or takes out a range of what is there. */
const fallocate: Judge = (call) => {
  const { flags, operands } = readOptions(call.argv.slice(1), ['-o', '-l', '--offset', '--length']);
  if (['-z', '-p', '-c', '-d', '--zero-range', '--punch-hole', '--collapse-range'].some((flag) => flags.has(flag)))
    for (const path of operands) touch(call, path, 'empty');
};

/** A file system made smaller than what is in it, or without its journal. */
const shrink: Judge = (call) => {
  const { operands, flags } = readOptions(call.argv.slice(1), ['-d', '-S', '-z']);
  if (flags.has('-M') || /^\d+[KMGs]?$/.test(plain(operands[1] ?? '')))
    reportDevices(call, 'G0202', operands.slice(0, 1));
};

const xfsRepair: Judge = (call) => {
  const { flags, operands } = readOptions(call.argv.slice(1), ['-o', '-l', '-r', '-m', '-t', '-c']);
  if (flags.has('-L')) reportDevices(call, 'G0202', operands);
};

const btrfs: Judge = (call) => {
  const args = call.argv.slice(1).map(plain);
  if (/^sub/.test(args[0] ?? '') && /^del/.test(args[1] ?? ''))
    for (const path of call.argv.slice(3)) touch(call, path, 'remove tree');
};

/** Nothing can be written any more, by nobody. */
const freeze: Judge = (call) => {
  const { flags, operands } = readOptions(call.argv.slice(1));
  const isFrozen = flags.has('-f') || flags.has('--freeze');
  if (isFrozen && operands.some((path) => /^\/(?:|usr|var|etc|home|boot)\/?$/.test(plain(path))))
    reportCall(call, 'G0107', operands[0]);
};

export const fileSystemJudges: Judges = {
  badblocks,
  dmsetup: (call) => {
    if (/^(?:remove_all|wipe_table|clear|reload|load)$/.test(plain(call.argv[1] ?? '')))
      reportCall(call, 'G0204', call.argv.at(-1));
  },
  tune2fs: (call) => {
    const { flags, values, operands } = readOptions(call.argv.slice(1), [
      '-O',
      '-c',
      '-e',
      '-i',
      '-L',
      '-m',
      '-o',
      '-r',
      '-u',
      '-g',
      '-U',
      '-E',
      '-J',
      '-M',
      '-C',
      '-T',
      '-I',
    ]);
    const features = plain(values.get('-O') ?? '');
    if (
      /\^(?:extents?|filetype|sparse_super|64bit|flex_bg)/.test(features) ||
      (flags.has('-f') && features.includes('^'))
    )
      reportDevices(call, 'G0202', operands);
  },
  fallocate,
  fsfreeze: freeze,
  xfs_freeze: freeze,
  sg_format: (call) => reportDevices(call, 'G0202', call.argv.slice(1)),
  sg_sanitize: (call) => reportDevices(call, 'G0202', call.argv.slice(1)),
  resize2fs: shrink,
  debugfs: (call) => {
    const { flags, operands } = readOptions(call.argv.slice(1), ['-R', '-f', '-b', '-s', '-d']);
    if (flags.has('-w')) reportDevices(call, 'G0201', operands);
  },
  xfs_repair: xfsRepair,
  btrfs,
};

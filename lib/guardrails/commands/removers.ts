/** Programs that remove as a side use, or are made to clean up: archivers, synchronizers, finders of what is old or twice. */
import { normalizePath } from '../paths.ts';
import { readOptions, touch } from '../shell/call.ts';
import { plain } from '../shell/marks.ts';
import type { Judge, Judges } from './judge.ts';

/** Every operand is emptied or taken away, if one of the options is there; always, when there are none. */
const removing =
  (options: readonly string[], withValue: readonly string[] = [], from = 0): Judge =>
  (call) => {
    const { flags, operands } = readOptions(call.argv.slice(1), withValue);
    const texts = call.argv.map(plain);
    if (options.length > 0 && !options.some((one) => flags.has(one) || texts.includes(one))) return;
    for (const path of operands.slice(from)) touch(call, path, 'remove tree');
  };

function isLocal(path: string): boolean {
  return /^[./~]/.test(plain(path)) && !plain(path).includes('://');
}

/** `rclone purge PATH`, `sync FROM TO`, `move FROM TO`. */
const rclone: Judge = (call) => {
  const { operands } = readOptions(call.argv.slice(1), [
    '--config',
    '--transfers',
    '--filter',
    '--include',
    '--exclude',
    '--log-file',
  ]);
  const [verb = '', ...paths] = operands.map(plain);
  const removed = /^(?:purge|delete|rmdirs|cleanup)$/.test(verb)
    ? paths
    : /^(?:move|moveto)$/.test(verb)
      ? paths.slice(0, 1)
      : /^(?:sync|bisync)$/.test(verb)
        ? paths.slice(-1)
        : [];
  for (const path of removed) if (isLocal(path)) touch(call, path, 'remove tree');
};

/** `aws s3 mv`, `aws s3 sync --delete`, `gsutil rsync -d`, `mc mirror --remove`. */
const objects: Judge = (call) => {
  const texts = call.argv.slice(1).map(plain);
  const paths = texts.filter((one) => isLocal(one));
  const [verb = ''] = texts.filter((one) => /^(?:mv|rm|sync|rsync|mirror|cp)$/.test(one));
  const isRemoving = texts.some((one) => /^(?:--delete|-d|--remove|--delete-unmatched-destination-objects)$/.test(one));
  if (verb === 'mv' || verb === 'rm') for (const path of paths.slice(0, 1)) touch(call, path, 'remove tree');
  else if (isRemoving) for (const path of paths.slice(-1)) touch(call, path, 'remove tree');
};

/** Into an archive, and away. */
const zip: Judge = (call) => {
  const { flags, operands } = readOptions(call.argv.slice(1), ['-x', '-i', '-P', '-b', '-t', '-n']);
  if (flags.has('-m') || flags.has('--move')) for (const path of operands.slice(1)) touch(call, path, 'remove tree');
};

const sevenZip: Judge = (call) => {
  const texts = call.argv.slice(1).map(plain);
  if (texts.includes('-sdel'))
    for (const path of texts.slice(2)) if (!path.startsWith('-')) touch(call, path, 'remove tree');
};

const gio: Judge = (call) => {
  const { operands } = readOptions(call.argv.slice(1));
  if (/^(?:trash|remove|rename|move)$/.test(plain(operands[0] ?? '')))
    for (const path of operands.slice(1, 2)) touch(call, path, 'remove tree');
};

/** Unpacked over the system, past the package manager. */
const dpkgDeb: Judge = (call) => {
  const { operands, flags } = readOptions(call.argv.slice(1), []);
  const isExtract = ['-x', '-X', '--extract', '--vextract'].some((flag) => flags.has(flag));
  const directory = operands[1];
  if (
    isExtract &&
    directory !== undefined &&
    /^\/(?:etc|usr|bin|sbin|lib|boot|var)?$/.test(normalizePath(directory, call.frame.scope.cwd))
  )
    touch(call, directory, 'remove tree');
};

export const removerJudges: Judges = {
  tmpwatch: removing([], ['-m', '-x', '-X', '-U', '-o'], 1),
  tmpreaper: removing([], ['-T', '--protect', '--runtime', '--delay'], 1),
  fdupes: removing(['-d', '--delete']),
  jdupes: removing(['-d', '--delete']),
  rdfind: removing(['-deleteduplicates']),
  'trash-put': removing([]),
  'safe-rm': removing([]),
  bleachbit: removing(['-s', '--shred']),
  nwipe: removing([]),
  sfill: removing([]),
  detox: removing(['-r']),
  convmv: removing(['--notest']),
  rclone,
  aws: objects,
  gsutil: objects,
  mc: objects,
  zip,
  '7z': sevenZip,
  '7za': sevenZip,
  gio,
  'dpkg-deb': dpkgDeb,
  dpkg: dpkgDeb,
};

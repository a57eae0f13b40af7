/** A trace of system calls, read for those that write to the file system. */
import { spawnSync } from 'node:child_process';

const traced = [
  'access,faccessat,faccessat2',
  'open,openat,openat2,creat,truncate,ftruncate',
  'rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,mknod,mknodat',
  'link,linkat,symlink,symlinkat',
  'chmod,fchmod,fchmodat,fchmodat2,chown,fchown,lchown,fchownat,utime,utimes,futimesat,utimensat',
  'setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr,fsync,fdatasync,fallocate',
]
  .join(',')
  .split(',')
  // "?": not every kernel and strace knows all of them.
  .map((name) => `?${name}`)
  .join(',');

/** Calls that never change a file by themselves. */
const reading = /^(?:access|faccessat2?)\(/;
const opening = /^(?:open|openat|openat2)\(/;
const writingFlags = /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE/;

/** Why strace can't be used here, or undefined when it can. */
export function straceProblem(): string | undefined {
  const probe = spawnSync('strace', ['-f', '-e', 'trace=openat', '/bin/true'], { encoding: 'utf8' });
  if (probe.error !== undefined) {
    return 'strace is not installed: apt-get install strace';
  }
  return probe.status === 0 ? undefined : `strace may not trace here: ${probe.stderr.trim().split('\n')[0]}`;
}

/** Runs a command under strace. Returns what it printed, and the trace's lines without process ids, in order. */
export function trace(
  argv: readonly string[],
  traceFile: string,
  read: (file: string) => string,
): {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly calls: readonly string[];
} {
  const environment = { ...process.env, UV_USE_IO_URING: '0' };
  const options = ['-f', '-s', '4096', '-o', traceFile, '-e', `trace=${traced}`, '--'];
  const { status, stdout, stderr } = spawnSync('strace', [...options, ...argv], { encoding: 'utf8', env: environment });
  const calls = read(traceFile)
    .split('\n')
    .map((line) => line.replace(/^\d+\s+/, ''))
    .filter((line) => line !== '' && !line.startsWith('+++') && !line.startsWith('---'));
  return { status, stdout, stderr, calls };
}

/** A path relative to the working directory, as commands use. */
const relativePath = /^[a-z0-9]+\((?:AT_FDCWD, )?"[^/"]/;

/**
 * The calls that write in `directory`. Relative paths, paths through an opened directory (`/proc/self/fd/N/…`) and descriptors count
 * as inside: nothing else that a converging process does uses them for writing.
 */
export function writesIn(calls: readonly string[], directory: string): readonly string[] {
  return calls.filter((call) => {
    if (reading.test(call) || (opening.test(call) && !writingFlags.test(call)) || call.startsWith('<...')) {
      return false;
    }
    return (
      relativePath.test(call) ||
      call.includes(directory) ||
      call.includes('/proc/self/fd/') ||
      /^f(?:chmod|chown|sync|datasync|truncate|allocate|setxattr|removexattr)\(/.test(call)
    );
  });
}

/** The calls between two markers. */
export function between(calls: readonly string[], from: string, to: string): readonly string[] {
  const start = calls.findIndex((call) => call.includes(from));
  const end = calls.findIndex((call) => call.includes(to));
  if (start < 0 || end < start) {
    throw new Error(`the trace has no phase from ${from} to ${to}`);
  }
  return calls.slice(start + 1, end);
}

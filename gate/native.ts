/**
 * Native modules from verified bytes. The system maps files, not memory, so the bytes go into a file without a name
 * (open(2), O_TMPFILE), which nobody else can open, and are mapped from there. Where every file system is read-only,
 * as in a container, the file itself can't change and is mapped as it lies, after another look at its bytes.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** asm-generic/fcntl.h; the same on x64 and arm64 but for O_DIRECTORY, which it includes. */
const temporaryFile = 0o20000000 | constants.O_DIRECTORY;

export function openNativeLoader(
  files: ReadonlyMap<string, Uint8Array>,
  directory: string,
  mapped: string[],
): (path: string) => unknown {
  const loaded = new Map<string, unknown>();
  return (path) => {
    const bytes = files.get(path);
    if (bytes === undefined) throw new TypeError(`the build has no ${JSON.stringify(path)}`);
    if (!loaded.has(path)) loaded.set(path, load(bytes, join(directory, path), mapped));
    return loaded.get(path);
  };
}

function load(bytes: Uint8Array, installed: string, mapped: string[]): unknown {
  if (process.platform !== 'linux') return loadFromPrivateDirectory(bytes);
  for (const open of [...nameless, openReadOnly]) {
    const fd = attempt(() => open(bytes, installed));
    if (fd === undefined) continue;
    try {
      const { dev, ino } = fstatSync(fd, { bigint: true });
      const exports = openModule(`/proc/self/fd/${fd}`);
      mapped.push(`${dev}:${ino}`);
      return exports;
    } catch {
      // A `noexec` file system refuses the mapping: the next place.
    } finally {
      closeSync(fd); // what is mapped stays
    }
  }
  throw new Error('there is no place from which a native module can be mapped safely');
}

type Open = (bytes: Uint8Array, installed: string) => number | undefined;

const nameless: readonly Open[] = [tmpdir(), '/dev/shm', '/run'].map((directory) => (bytes) => {
  const fd = openSync(directory, temporaryFile | constants.O_RDWR, 0o500);
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  return fd;
});

function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}

/** Only on a read-only file system, which the attempt to write proves: elsewhere the bytes could change after the look. */
function openReadOnly(bytes: Uint8Array, installed: string): number | undefined {
  try {
    closeSync(openSync(installed, constants.O_RDWR | constants.O_NOFOLLOW));
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EROFS') return undefined;
  }
  const fd = openSync(installed, constants.O_RDONLY | constants.O_NOFOLLOW);
  if (Buffer.compare(readFileSync(fd), bytes) === 0) return fd;
  closeSync(fd);
  return undefined;
}

function loadFromPrivateDirectory(bytes: Uint8Array): unknown {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-native-')); // 0700
  const path = join(directory, 'module.node');
  try {
    writeFileSync(path, bytes, { mode: 0o500, flag: 'wx' });
    chmodSync(path, 0o500);
    return openModule(path);
  } finally {
    // Windows keeps a mapped file.
    rmSync(directory, { recursive: true, force: process.platform === 'win32' });
  }
}

function openModule(path: string): unknown {
  const module = { exports: {} };
  process.dlopen(module, path);
  return module.exports;
}

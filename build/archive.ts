/** A tar.gz that is the same for the same files: sorted, owned by nobody in particular, from the beginning of time. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const block = 512;

/** `paths` are relative to `directory`; in the archive they lie in the folder `name`. POSIX.1-1988 ustar. */
export function archiveOf(directory: string, name: string, paths: readonly string[]): Uint8Array {
  const parts = paths
    .toSorted((a, b) => (a < b ? -1 : 1))
    .flatMap((path) => {
      const bytes = readFileSync(join(directory, path));
      const isProgram = (statSync(join(directory, path)).mode & 0o100) !== 0;
      const padding = Buffer.alloc((block - (bytes.length % block)) % block);
      return [header(`${name}/${path}`, bytes.length, isProgram ? 0o755 : 0o644), bytes, padding];
    });
  return gzipSync(Buffer.concat([...parts, Buffer.alloc(2 * block)]), { level: 9 });
}

function header(path: string, size: number, mode: number): Buffer {
  const bytes = Buffer.alloc(block);
  if (Buffer.byteLength(path) > 100) throw new TypeError(`${path} is too long a name for an archive`);
  const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, '0')}\0`;
  bytes.write(path, 0);
  bytes.write(octal(mode, 8), 100);
  bytes.write(octal(0, 8), 108); // owner
  bytes.write(octal(0, 8), 116); // group
  bytes.write(octal(size, 12), 124);
  bytes.write(octal(0, 12), 136); // time
  bytes.write(' '.repeat(8), 148); // the checksum counts itself as spaces
  bytes.write('0', 156);
  bytes.write('ustar\x0000', 257, 'latin1');
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return bytes;
}

/** Tar archives, read: ustar (POSIX.1-1988), pax headers (POSIX.1-2001) and the long names of GNU tar. */
import { archiveLimits, confine, type Member, refuse } from './archive-members.ts';

const blockBytes = 512;

/** Throws `wrong_kind` for what is no tar archive, is cut off, or holds anything but files and directories. */
export function readTar(bytes: Uint8Array, strip: number): readonly Member[] {
  const members: Member[] = [];
  let longName: string | undefined;
  let pax: ReadonlyMap<string, string> = new Map();
  let at = 0;
  for (;;) {
    const header = bytes.subarray(at, at + blockBytes);
    if (header.length < blockBytes) {
      throw refuse('it is cut off');
    }
    if (header.every((byte) => byte === 0)) {
      return members;
    }
    checkSum(header);
    const size = pax.has('size') ? Number(pax.get('size')) : octal(header, 124, 12);
    if (!Number.isSafeInteger(size) || size < 0 || at + blockBytes + size > bytes.length) {
      throw refuse('it is cut off');
    }
    const content = bytes.subarray(at + blockBytes, at + blockBytes + size);
    at += blockBytes + Math.ceil(size / blockBytes) * blockBytes;
    const type = String.fromCharCode(header[156] ?? 0);
    switch (type) {
      case 'x':
        pax = paxRecords(content);
        continue;
      case 'g':
        // Defaults for all that follow: none of them matters here, but a path or size would.
        if (['path', 'size', 'linkpath'].some((key) => paxRecords(content).has(key))) {
          throw refuse('it gives one path or size to all members');
        }
        continue;
      case 'L':
        longName = text(content);
        continue;
      case 'K':
        throw refuse('it holds a link');
      case '0':
      case '\0':
      case '7':
      case '5': {
        const name = pax.get('path') ?? longName ?? nameOf(header);
        const isDirectory = type === '5' || (type !== '7' && name.endsWith('/'));
        const path = confine(name, strip);
        const mode = octal(header, 100, 8) & 0o777;
        if (path !== undefined) {
          members.push(isDirectory ? { kind: 'directory', path, mode } : { kind: 'file', path, mode, content });
        }
        if (members.length > archiveLimits.maxMembers) {
          throw refuse('it has too many members');
        }
        break;
      }
      case '1':
      case '2':
        throw refuse(`${JSON.stringify(nameOf(header))} is a link`);
      default:
        throw refuse(`${JSON.stringify(nameOf(header))} is neither a file nor a directory`);
    }
    longName = undefined;
    pax = new Map();
  }
}

function nameOf(header: Uint8Array): string {
  const name = text(header.subarray(0, 100));
  const isUstar = text(header.subarray(257, 263)).startsWith('ustar') && header[262] === 0;
  const prefix = isUstar ? text(header.subarray(345, 500)) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

function checkSum(header: Uint8Array): void {
  // Taken over the header with its own field as spaces.
  const sum = header.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
  if (octal(header, 148, 8) !== sum) {
    throw refuse('it is no tar archive, or damaged');
  }
}

/** Octal digits, or with the high bit set a big-endian number (GNU). */
function octal(header: Uint8Array, from: number, length: number): number {
  const field = header.subarray(from, from + length);
  if (((field[0] ?? 0) & 0x80) !== 0) {
    return field.subarray(1).reduce((total, byte) => total * 256 + byte, 0);
  }
  const digits = text(field).trim();
  if (!/^[0-7]*$/.test(digits)) {
    throw refuse('it is no tar archive, or damaged');
  }
  return Number.parseInt(digits === '' ? '0' : digits, 8);
}

/** pax(1): records of "length key=value\n", the length counting itself. */
function paxRecords(content: Uint8Array): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  let at = 0;
  while (at < content.length) {
    const space = content.indexOf(32, at);
    const length = Number(Buffer.from(content.subarray(at, space)).toString('latin1'));
    if (space < 0 || !Number.isSafeInteger(length) || length <= space - at || at + length > content.length) {
      throw refuse('a pax header is damaged');
    }
    const record = Buffer.from(content.subarray(space + 1, at + length - 1)).toString('utf8');
    const equals = record.indexOf('=');
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}

/** Up to the first NUL. */
function text(field: Uint8Array): string {
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end)).toString('utf8');
}

/** Zip archives, read by their central directory (PKWARE APPNOTE 6.3). No encryption, no Zip64, no links. */
import { crc32, inflateRawSync } from 'node:zlib';
import { archiveLimits, confine, type Member, refuse } from './archive-members.ts';

const endSignature = 0x06054b50;
const entrySignature = 0x02014b50;
const localSignature = 0x04034b50;
const endBytes = 22;
const maxCommentBytes = 0xffff;

/** APPNOTE 4.4.2: the upper byte of "version made by" says whose attributes these are. */
const unix = 3;
const kindMask = 0o170000;
const regular = 0o100000;
const directory = 0o040000;

/** Throws `wrong_kind` for what is no zip archive, is damaged, or holds anything but files and directories. */
export function readZip(bytes: Uint8Array, strip: number): readonly Member[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return readEntries(view, strip);
  } catch (error) {
    if (error instanceof RangeError) {
      throw refuse('it is cut off');
    }
    throw error;
  }
}

function readEntries(view: Buffer, strip: number): readonly Member[] {
  const end = findEnd(view);
  const count = view.readUInt16LE(end + 10);
  if (count > archiveLimits.maxMembers) {
    throw refuse('it has too many members');
  }
  const members: Member[] = [];
  let left: number = archiveLimits.maxBytes;
  let at = view.readUInt32LE(end + 16);
  for (let index = 0; index < count; index += 1) {
    if (view.readUInt32LE(at) !== entrySignature) {
      throw refuse('it is damaged');
    }
    const nameLength = view.readUInt16LE(at + 28);
    const name = view.toString('utf8', at + 46, at + 46 + nameLength);
    const isUnix = view.readUInt8(at + 5) === unix;
    const attributes = isUnix ? view.readUInt16LE(at + 40) : 0;
    const kind = attributes & kindMask;
    const isDirectory = name.endsWith('/') || kind === directory;
    if (kind !== 0 && kind !== regular && kind !== directory) {
      throw refuse(`${JSON.stringify(name)} is neither a file nor a directory`);
    }
    if ((view.readUInt16LE(at + 8) & 1) !== 0) {
      throw refuse('it is encrypted');
    }
    const path = confine(name, strip);
    const isMode = (attributes & 0o777) !== 0;
    if (path !== undefined && isDirectory) {
      members.push({ kind: 'directory', path, mode: isMode ? attributes & 0o777 : 0o755 });
    } else if (path !== undefined) {
      const content = readContent(view, at, left);
      left -= content.length;
      members.push({ kind: 'file', path, mode: isMode ? attributes & 0o777 : 0o644, content });
    }
    at += 46 + nameLength + view.readUInt16LE(at + 30) + view.readUInt16LE(at + 32);
  }
  return members;
}

/** The last record of the file, before a comment that may be there. */
function findEnd(view: Buffer): number {
  for (let at = view.length - endBytes; at >= Math.max(0, view.length - endBytes - maxCommentBytes); at -= 1) {
    if (view.readUInt32LE(at) === endSignature) {
      return at;
    }
  }
  throw refuse('it is no zip archive');
}

function readContent(view: Buffer, entry: number, maxBytes: number): Uint8Array {
  const method = view.readUInt16LE(entry + 10);
  const packed = view.readUInt32LE(entry + 20);
  const size = view.readUInt32LE(entry + 24);
  const local = view.readUInt32LE(entry + 42);
  if (size > maxBytes) {
    throw refuse('it is too large');
  }
  if (view.readUInt32LE(local) !== localSignature) {
    throw refuse('it is damaged');
  }
  const start = local + 30 + view.readUInt16LE(local + 26) + view.readUInt16LE(local + 28);
  if (start + packed > view.length) {
    throw refuse('it is cut off');
  }
  const raw = view.subarray(start, start + packed);
  const content = method === 0 ? raw : method === 8 ? inflate(raw, size) : undefined;
  if (content === undefined || content.length !== size || crc32(content) !== view.readUInt32LE(entry + 16)) {
    throw refuse(content === undefined ? `it is packed by an unknown method (${method})` : 'it is damaged');
  }
  return content;
}

function inflate(raw: Uint8Array, size: number): Uint8Array {
  try {
    return inflateRawSync(raw, { maxOutputLength: Math.max(size, 1) });
  } catch (error) {
    throw refuse(`it is damaged (${error instanceof Error ? error.message : 'unknown'})`);
  }
}

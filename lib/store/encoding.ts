/** How SQLite keeps an item's attributes: a compact tagged encoding that gives back every attribute exactly. */
import { crc32 } from 'node:zlib';
import { type Attribute, type Item, type Key, StoreError } from './port.ts';

/*
 * value   = version, map entries of the item without pk and sk, CRC-32 of all before (big-endian)
 * version = 0x01
 * map     = count, then per entry: text (name), attribute
 * list    = count, then attributes
 * text    = byte length, UTF-8
 * attribute = tag, then by tag: text | length and bytes | magnitude | nothing | list | map
 * counts, lengths and magnitudes are unsigned LEB128 (at most 53 bits)
 *
 * SQLite has no checksum of its own pages: the CRC makes a flipped bit an error rather than another value.
 */
const version = 1;
const tag = { text: 0, bytes: 1, positive: 2, negative: 3, false: 4, true: 5, list: 6, map: 7 } as const;

let scratch: Buffer = Buffer.allocUnsafe(64 * 1024);
let end = 0;

export function encodeItem(item: Item): Buffer {
  end = 0;
  writeByte(version);
  writeMap(item, true);
  const sum = crc32(scratch.subarray(0, end));
  reserve(4);
  end = scratch.writeUInt32BE(sum, end);
  return Buffer.from(scratch.subarray(0, end));
}

/** The item under its key, or `corrupt`. */
export function decodeItem(key: Key, value: Uint8Array): Item {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const bodyEnd = bytes.length - 4;
  if (bodyEnd < 2 || bytes.readUInt32BE(bodyEnd) !== crc32(bytes.subarray(0, bodyEnd))) {
    throw corrupt(key, 'its checksum is wrong');
  }
  if (bytes[0] !== version) throw corrupt(key, `its encoding version ${bytes[0]} is unknown`);
  const reader = { bytes: bytes.subarray(0, bodyEnd), at: 1, key };
  const item = { ...readMap(reader), pk: key.pk, sk: key.sk };
  if (reader.at !== bodyEnd) throw corrupt(key, 'bytes follow its end');
  return item;
}

function writeMap(map: { readonly [name: string]: Attribute }, isItem: boolean): void {
  const names = Object.keys(map);
  writeCount(isItem ? names.length - 2 : names.length);
  for (const name of names) {
    if (isItem && (name === 'pk' || name === 'sk')) continue;
    writeText(name);
    writeAttribute(map[name]!);
  }
}

function writeAttribute(value: Attribute): void {
  if (typeof value === 'string') {
    writeByte(tag.text);
    writeText(value);
  } else if (typeof value === 'number') {
    writeByte(value < 0 ? tag.negative : tag.positive);
    writeCount(Math.abs(value));
  } else if (typeof value === 'boolean') {
    writeByte(value ? tag.true : tag.false);
  } else if (value instanceof Uint8Array) {
    writeByte(tag.bytes);
    writeCount(value.length);
    reserve(value.length);
    scratch.set(value, end);
    end += value.length;
  } else if (Array.isArray(value)) {
    writeByte(tag.list);
    writeCount(value.length);
    for (const element of value as readonly Attribute[]) writeAttribute(element);
  } else {
    writeByte(tag.map);
    writeMap(value as { readonly [name: string]: Attribute }, false);
  }
}

function writeText(text: string): void {
  const length = Buffer.byteLength(text);
  writeCount(length);
  reserve(length);
  end += scratch.write(text, end);
}

function writeCount(count: number): void {
  let rest = count;
  while (rest >= 0x80) {
    writeByte((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  writeByte(rest);
}

function writeByte(byte: number): void {
  reserve(1);
  scratch[end++] = byte;
}

function reserve(length: number): void {
  if (end + length <= scratch.length) return;
  const larger = Buffer.allocUnsafe(Math.max(scratch.length * 2, end + length));
  scratch.copy(larger, 0, 0, end);
  scratch = larger;
}

type Reader = { readonly bytes: Buffer; at: number; readonly key: Key };

function readMap(reader: Reader): Record<string, Attribute> {
  const map: Record<string, Attribute> = {};
  for (let count = readCount(reader); count > 0; count -= 1) {
    const name = readText(reader);
    map[name] = readAttribute(reader);
  }
  return map;
}

function readAttribute(reader: Reader): Attribute {
  const found = readByte(reader);
  switch (found) {
    case tag.text:
      return readText(reader);
    case tag.bytes:
      return new Uint8Array(readBytes(reader));
    case tag.positive:
      return readCount(reader);
    case tag.negative:
      return -readCount(reader);
    case tag.false:
      return false;
    case tag.true:
      return true;
    case tag.list: {
      const list: Attribute[] = [];
      for (let count = readCount(reader); count > 0; count -= 1) list.push(readAttribute(reader));
      return list;
    }
    case tag.map:
      return readMap(reader);
    default:
      throw corrupt(reader.key, `tag ${found} is unknown`);
  }
}

function readText(reader: Reader): string {
  return readBytes(reader).toString();
}

function readBytes(reader: Reader): Buffer {
  const length = readCount(reader);
  const start = reader.at;
  if (length > reader.bytes.length - start) throw corrupt(reader.key, 'it is cut short');
  reader.at += length;
  return reader.bytes.subarray(start, reader.at);
}

function readCount(reader: Reader): number {
  let count = 0;
  let scale = 1;
  for (;;) {
    const byte = readByte(reader);
    count += (byte & 0x7f) * scale;
    if (!Number.isSafeInteger(count)) throw corrupt(reader.key, 'a number is too large');
    if (byte < 0x80) return count;
    scale *= 0x80;
  }
}

function readByte(reader: Reader): number {
  const byte = reader.bytes[reader.at];
  if (byte === undefined) throw corrupt(reader.key, 'it is cut short');
  reader.at += 1;
  return byte;
}

function corrupt(key: Key, why: string): StoreError {
  return new StoreError(
    'corrupt',
    `item ${JSON.stringify(key.pk)} / ${JSON.stringify(key.sk)} can't be read back: ${why}; restore the store from a backup`,
  );
}

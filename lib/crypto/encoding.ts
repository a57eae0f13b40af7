/** Strict text and integer encodings: each value has exactly one encoding, and every other spelling is refused. */

import { timingSafeEqual } from 'node:crypto';
import { CryptoError } from './errors.ts';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8 bytes of well-formed text. Throws `CryptoError` `malformed` on lone surrogates, which UTF-8 cannot carry. */
export function utf8(text: string): Uint8Array {
  if (!text.isWellFormed()) throw new CryptoError('malformed', 'text has a lone surrogate');
  return Buffer.from(text, 'utf8');
}

/** Text of UTF-8 bytes. Throws `CryptoError` `malformed` on any ill-formed sequence; a byte order mark is kept. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new CryptoError('malformed', 'not valid UTF-8', { cause });
  }
}

/** RFC 4648 §5, without padding. */
export function toBase64url(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('base64url');
}

/** Decodes what `toBase64url` makes and nothing else: no padding, no `+/`, no white space, zero spare bits. */
export function fromBase64url(text: string): Uint8Array {
  return strictDecode(text, 'base64url');
}

/** RFC 4648 §4, with padding. */
export function toBase64(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('base64');
}

/** Decodes what `toBase64` makes and nothing else: padding required, no white space, zero spare bits. */
export function fromBase64(text: string): Uint8Array {
  return strictDecode(text, 'base64');
}

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('hex');
}

/** Decodes lower-case hexadecimal of even length and nothing else. */
export function fromHex(text: string): Uint8Array {
  return strictDecode(text, 'hex');
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

/** Two bytes, big-endian. */
export function u16be(value: number): Uint8Array {
  assertUnsigned(value, 0xffff);
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** Four bytes, big-endian. */
export function u32be(value: number): Uint8Array {
  assertUnsigned(value, 0xffffffff);
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Eight bytes, big-endian, of a non-negative safe integer. Two 32-bit halves: BigInt is too slow for the request path. */
export function u64be(value: number): Uint8Array {
  assertUnsigned(value, Number.MAX_SAFE_INTEGER);
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeUInt32BE(Math.floor(value / 0x100000000), 0);
  bytes.writeUInt32BE(value % 0x100000000, 4);
  return bytes;
}

/** Equality in time that depends only on the lengths, which are not secret. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Node's decoder skips what it does not know, so decoding is followed by encoding: only the one right spelling comes back equal. */
function strictDecode(text: string, encoding: 'base64' | 'base64url' | 'hex'): Uint8Array {
  const bytes = Buffer.from(text, encoding);
  if (bytes.toString(encoding) !== text) throw new CryptoError('malformed', `not valid ${encoding}`);
  return bytes;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function assertUnsigned(value: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < 0 || value > max) {
    throw new TypeError(`${value} is not an unsigned integer up to ${max}`);
  }
}

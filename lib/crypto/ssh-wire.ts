/** The SSH wire encoding (RFC 4251 §5) and its PEM-like armor, both read strictly. */

import { concatBytes, fromBase64, fromUtf8, toBase64, u32be, utf8 } from './encoding.ts';
import { CryptoError } from './errors.ts';

/** Far above any key or signature of a kind that is accepted here. */
const MAX_ARMORED_CHARACTERS = 16 * 1024;
/** As OpenSSH writes it. */
const ARMOR_COLUMNS = 70;

/** A `string`: u32 length and the bytes. */
export function sshString(value: Uint8Array | string): Uint8Array {
  const bytes = typeof value === 'string' ? utf8(value) : value;
  return concatBytes(u32be(bytes.length), bytes);
}

/** Reads SSH wire data from the front. Invariant: the offset only moves forward and never past the end; every violation throws `malformed`. */
export class SshReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #offset = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  bytes(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#offset) throw new CryptoError('malformed', `${this.#what} is cut off`);
    const start = this.#offset;
    this.#offset += length;
    return this.#bytes.subarray(start, this.#offset);
  }

  byte(): number {
    return this.bytes(1)[0] as number;
  }

  u32(): number {
    const [a, b, c, d] = this.bytes(4) as unknown as [number, number, number, number];
    return a * 0x1000000 + (b << 16) + (c << 8) + d;
  }

  string(): Uint8Array {
    return this.bytes(this.u32());
  }

  text(): string {
    return fromUtf8(this.string());
  }

  /** A positive `mpint` in its shortest form, as exactly `length` bytes. Other spellings of the number are refused. */
  positiveInteger(length: number): Uint8Array {
    const bytes = this.string();
    const first = bytes[0];
    const second = bytes[1];
    const negativeOrZero = first === undefined || first >= 0x80;
    const padded = first === 0 && (second === undefined || second < 0x80);
    if (negativeOrZero || padded) {
      throw new CryptoError('malformed', `${this.#what} has a number that is not a positive mpint in shortest form`);
    }
    const magnitude = first === 0 ? bytes.subarray(1) : bytes;
    if (magnitude.length > length) throw new CryptoError('malformed', `${this.#what} has a number that is too long`);
    return concatBytes(new Uint8Array(length - magnitude.length), magnitude);
  }

  rest(): Uint8Array {
    return this.bytes(this.#bytes.length - this.#offset);
  }

  end(): void {
    const left = this.#bytes.length - this.#offset;
    if (left > 0) throw new CryptoError('malformed', `${this.#what} has ${left} bytes too many`);
  }
}

/** `-----BEGIN label-----`, base64 in lines, `-----END label-----`, each ended by a line feed. */
export function armor(label: string, bytes: Uint8Array): string {
  const lines = toBase64(bytes).match(new RegExp(`.{1,${ARMOR_COLUMNS}}`, 'g')) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

/** Reads attacker-controlled armor. Line ends may be LF or CRLF; nothing may stand before or after but white space. */
export function dearmor(label: string, text: string): Uint8Array {
  if (text.length > MAX_ARMORED_CHARACTERS) {
    throw new CryptoError('malformed', `${label} is longer than ${MAX_ARMORED_CHARACTERS} characters`);
  }
  const lines = text.trim().split(/\r?\n/);
  if (lines.shift() !== `-----BEGIN ${label}-----` || lines.pop() !== `-----END ${label}-----`) {
    throw new CryptoError('malformed', `not between "-----BEGIN ${label}-----" and "-----END ${label}-----"`);
  }
  return fromBase64(lines.join(''));
}

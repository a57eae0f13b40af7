/** A strict reader of DER (X.690 §10.1): definite lengths in their shortest form, nothing left over. For input that we did not make. */

import { CryptoError } from './errors.ts';

export const DER_INTEGER = 0x02;
export const DER_BIT_STRING = 0x03;
export const DER_SEQUENCE = 0x30;
/** [0], constructed: PKCS#10's attributes (RFC 2986 §4.1). */
export const DER_CONTEXT_0 = 0xa0;

export interface DerValue {
  /** The value with its tag and length: what signatures are made over. */
  readonly encoded: Uint8Array;
  readonly content: Uint8Array;
}

/** Reads values one after the other. Invariant: the offset only moves forward and never past the end; every violation throws `malformed`. */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #offset = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** The next value, which must have this tag (one byte: class, form and number). */
  read(tag: number): DerValue {
    const start = this.#offset;
    if (this.#byte() !== tag) throw this.#malformed();
    const length = this.#length();
    const from = this.#offset;
    if (length > this.#bytes.length - from) throw this.#malformed();
    this.#offset = from + length;
    return {
      encoded: this.#bytes.subarray(start, this.#offset),
      content: this.#bytes.subarray(from, this.#offset),
    };
  }

  end(): void {
    if (this.#offset !== this.#bytes.length) throw this.#malformed();
  }

  /** X.690 §8.1.3, restricted by §10.1; up to 65535, which is more than anything here may have. */
  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const length = first === 0x81 ? this.#byte() : first === 0x82 ? this.#byte() * 0x100 + this.#byte() : 0;
    if (length < (first === 0x82 ? 0x100 : 0x80)) throw this.#malformed();
    return length;
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) throw this.#malformed();
    this.#offset += 1;
    return byte;
  }

  #malformed(): CryptoError {
    return new CryptoError('malformed', `not a ${this.#what} in DER`);
  }
}

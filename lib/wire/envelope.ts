/**
 * The envelope: counter, signature, body, and nothing else. Decoded by hand because it is the one message that is read
 * before anything was verified: strict (each field once, none unknown, none missing), bounded, and without copies.
 */

export type SignedEnvelope = {
  readonly counter: number;
  /** 64 bytes. */
  readonly signature: Uint8Array;
  /** The encoded request, a view of the message that was received. */
  readonly body: Uint8Array;
};

/** What an envelope adds to its body at most: three tags, a counter, two lengths, a signature. */
export const maxEnvelopeOverheadBytes = 3 + 5 + 2 + 5 + 64;

// Tags: field number ‖ wire type (protobuf encoding guide, "Message structure").
const counterTag = 0x08;
const signatureTag = 0x12;
const bodyTag = 0x1a;
const signatureBytes = 64;

/**
 * `undefined` for anything but one exact envelope. The input comes from a peer that is known by its certificate only.
 * An empty body is proto3's default and may be absent from the wire.
 */
export function decodeEnvelope(bytes: Uint8Array, maxBodyBytes: number): SignedEnvelope | undefined {
  if (bytes.length > maxBodyBytes + maxEnvelopeOverheadBytes) return undefined;
  let counter: number | undefined;
  let signature: Uint8Array | undefined;
  let body: Uint8Array | undefined;
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at];
    const value = readVarint(bytes, at + 1);
    if (!value) return undefined;
    at = value.next;
    if (tag === counterTag && counter === undefined) {
      counter = value.number;
      continue;
    }
    const end = at + value.number;
    if (end > bytes.length) return undefined;
    if (tag === signatureTag && signature === undefined) signature = bytes.subarray(at, end);
    else if (tag === bodyTag && body === undefined) body = bytes.subarray(at, end);
    else return undefined;
    at = end;
  }
  body ??= new Uint8Array(0);
  if (!counter || signature?.length !== signatureBytes || body.length > maxBodyBytes) return undefined;
  return { counter, signature, body };
}

export function encodeEnvelope({ counter, signature, body }: SignedEnvelope): Buffer {
  return Buffer.concat([
    Buffer.of(counterTag, ...varint(counter), signatureTag, ...varint(signature.length)),
    signature,
    Buffer.of(bodyTag, ...varint(body.length)),
    body,
  ]);
}

/** Base 128, least significant group first. */
export function varint(value: number): number[] {
  const groups: number[] = [];
  let rest = value >>> 0;
  while (rest > 0x7f) {
    groups.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  groups.push(rest);
  return groups;
}

/** An unsigned 32-bit integer in its shortest form; anything longer or padded is malformed. */
function readVarint(bytes: Uint8Array, start: number): { number: number; next: number } | undefined {
  let number = 0;
  for (let index = 0; index < 5; index++) {
    const byte = bytes[start + index];
    if (byte === undefined) return undefined;
    if (index === 4 && byte > 0x0f) return undefined;
    number += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return index > 0 && byte === 0 ? undefined : { number, next: start + index + 1 };
  }
  return undefined;
}

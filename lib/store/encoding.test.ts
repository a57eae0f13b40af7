import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { attributes } from '../../test/conformance/store-cases.ts';
import { decodeItem, encodeItem } from './encoding.ts';
import { type Item, StoreError } from './port.ts';

const key = { pk: 'p', sk: 's' };

function assertCorrupt(value: Uint8Array): void {
  assert.throws(
    () => decodeItem(key, value),
    (error) => error instanceof StoreError && error.code === 'corrupt',
  );
}

function withChecksum(body: Uint8Array): Buffer {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([body, sum]);
}

test('decode gives back what was encoded, and equal items have equal encodings', () => {
  fc.assert(
    fc.property(attributes, (held) => {
      const item: Item = { ...held, ...key };
      const encoded = encodeItem(item);
      assert.deepStrictEqual(decodeItem(key, encoded), item);
      assert.deepEqual(encodeItem(decodeItem(key, encoded)), encoded);
    }),
  );
});

test('the encoding is what its description says', () => {
  const item: Item = { ...key, t: 'é', n: 300, m: -1, f: false, y: true, b: new Uint8Array([7]), l: [0], o: { k: '' } };
  const body = [
    ...[1, 8],
    ...[1, 0x74, 0, 2, 0xc3, 0xa9],
    ...[1, 0x6e, 2, 0xac, 0x02],
    ...[1, 0x6d, 3, 1],
    ...[1, 0x66, 4],
    ...[1, 0x79, 5],
    ...[1, 0x62, 1, 1, 7],
    ...[1, 0x6c, 6, 1, 2, 0],
    ...[1, 0x6f, 7, 1, 1, 0x6b, 0, 0],
  ];
  assert.deepEqual(encodeItem(item), withChecksum(Buffer.from(body)));
});

test('an item larger than the scratch buffer', () => {
  const item: Item = { ...key, text: 'é'.repeat(150_000), bytes: new Uint8Array(90_000).fill(3) };
  assert.deepStrictEqual(decodeItem(key, encodeItem(item)), item);
});

test('any flipped bit and any cut is corrupt', () => {
  const encoded = encodeItem({ ...key, text: 'text', n: -5, list: [true, new Uint8Array([1])] });
  for (let bit = 0; bit < encoded.length * 8; bit += 1) {
    const altered = Buffer.from(encoded);
    altered[bit >> 3]! ^= 1 << (bit & 7);
    assertCorrupt(altered);
  }
  for (let length = 0; length < encoded.length; length += 1) assertCorrupt(encoded.subarray(0, length));
  assertCorrupt(Buffer.concat([encoded, Buffer.of(0)]));
});

test('a malformed body with a right checksum is corrupt, never another error', () => {
  const bodies = [
    [2, 0],
    [1, 1],
    [1, 0, 0],
    [1, 1, 1, 0x61, 8],
    [1, 1, 1, 0x61, 0, 9],
    [1, 1, 1, 0x61, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
  ];
  for (const body of bodies) assertCorrupt(withChecksum(Buffer.from(body)));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
      try {
        decodeItem(key, withChecksum(Buffer.from([1, ...bytes])));
      } catch (error) {
        assert(error instanceof StoreError && error.code === 'corrupt', String(error));
      }
    }),
  );
});

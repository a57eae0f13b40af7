/**
 * What a strict Ed25519 verifier refuses before it does any arithmetic: libsodium's rule, in tables and byte comparisons.
 *
 * RFC 8032 §5.1.7 leaves room that verifiers fill differently (Chalkias, Garillot, Nikolaenko: "Taming the many EdDSAs",
 * SSR 2020, §3). These checks close it for verifiers that leave it open, without BigInt: they run on every signature.
 */

/** Order of the prime subgroup, little-endian: L = 2^252 + 27742317777372353535851937790883648493 (RFC 8032 §5.1). */
const ORDER = bytesOf('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010');

/** Field prime 2^255 − 19, little-endian (RFC 8032 §5.1). */
const PRIME = bytesOf('edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f');

/**
 * y-coordinates, sign bit cleared, of every encoding of the eight points of order 1, 2, 4 and 8: the five canonical ones
 * (two of them serve two points each, which differ in sign only) and the two values ≥ p that lenient decoders reduce to 0 and 1.
 */
const SMALL_ORDER_Y = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].map(bytesOf);

/** True when S < L: otherwise S + L would be a second valid signature (RFC 8032 §5.1.7 step 1, §8.4). */
export function isCanonicalScalar(scalar: Uint8Array): boolean {
  return isBelow(scalar, ORDER, 0xff);
}

/** True when the y-coordinate is below p (RFC 8032 §5.1.3 step 1). */
export function isCanonicalPoint(point: Uint8Array): boolean {
  return isBelow(point, PRIME, 0x7f);
}

/** True for any encoding of a point of order 1, 2, 4 or 8. */
export function isSmallOrderPoint(point: Uint8Array): boolean {
  return SMALL_ORDER_Y.some((y) => sameY(point, y));
}

/** Little-endian comparison from the top; public values, so time does not matter. */
function isBelow(value: Uint8Array, limit: Uint8Array, topMask: number): boolean {
  for (let index = 31; index >= 0; index -= 1) {
    const byte = (value[index] as number) & (index === 31 ? topMask : 0xff);
    const bound = limit[index] as number;
    if (byte !== bound) return byte < bound;
  }
  return false;
}

function sameY(point: Uint8Array, y: Uint8Array): boolean {
  if (((point[31] as number) & 0x7f) !== y[31]) return false;
  for (let index = 0; index < 31; index += 1) {
    if (point[index] !== y[index]) return false;
  }
  return true;
}

function bytesOf(hex: string): Uint8Array {
  return Buffer.from(hex, 'hex');
}

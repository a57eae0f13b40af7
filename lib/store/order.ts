/** The order of sort keys and of strings in conditions: by UTF-8 bytes, as DynamoDB and SQLite's BLOBs compare. */
import type { Query } from './port.ts';

/**
 * Negative, zero or positive. JavaScript's own `<` compares UTF-16 units, which puts U+E000..U+FFFF after the
 * supplementary planes, so it must not be used for anything that a store orders.
 */
export function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** The sort keys `k` of a query as bytes: `lower` ≤ k < `upper`. */
export type ByteRange = { readonly lower: Buffer; readonly upper: Buffer };

/** Byte 0xFF occurs nowhere in UTF-8, so this stands above every key. */
const aboveAll = Buffer.of(0xff);

export function byteRange(query: Query): ByteRange {
  const lowers: Buffer[] = [Buffer.alloc(0)];
  const uppers: Buffer[] = [aboveAll];
  if (query.prefix !== undefined && query.prefix !== '') {
    lowers.push(Buffer.from(query.prefix));
    uppers.push(Buffer.concat([Buffer.from(query.prefix), aboveAll]));
  }
  if (query.from !== undefined) lowers.push(Buffer.from(query.from));
  if (query.to !== undefined) uppers.push(Buffer.from(query.to));
  if (query.after !== undefined) {
    if (query.descending === true) uppers.push(Buffer.from(query.after));
    // The least byte string above `after`.
    else lowers.push(Buffer.concat([Buffer.from(query.after), Buffer.of(0)]));
  }
  lowers.sort(Buffer.compare);
  uppers.sort(Buffer.compare);
  return { lower: lowers.at(-1)!, upper: uppers[0]! };
}

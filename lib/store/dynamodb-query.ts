/**
 * A range of one partition as DynamoDB can ask for it: at most one condition on the sort key, bounds inclusive. What
 * that gives too much, at the edges alone, is left out here.
 */
import type { QueryCommandInput } from '@aws-sdk/client-dynamodb';
import { byteRange, compareUtf8 } from './order.ts';
import type { Item, Query } from './port.ts';

const maxSkBytes = 1024;

/** The request, or none when no key can lie in the range (DynamoDB refuses a BETWEEN with its bounds exchanged). */
export function queryRequest(query: Query, table: string): QueryCommandInput | undefined {
  const { low, high } = bounds(query);
  if (low !== undefined && high !== undefined && compareUtf8(low, high) > 0) return undefined;
  const condition =
    low === undefined
      ? high === undefined
        ? ''
        : ' AND #sk <= :high'
      : high === undefined
        ? ' AND #sk >= :low'
        : ' AND #sk BETWEEN :low AND :high';
  return {
    TableName: table,
    ConsistentRead: true,
    KeyConditionExpression: `#pk = :pk${condition}`,
    ExpressionAttributeNames: { '#pk': 'pk', ...(condition === '' ? {} : { '#sk': 'sk' }) },
    ExpressionAttributeValues: {
      ':pk': { S: query.pk },
      ...(low === undefined ? {} : { ':low': { S: low } }),
      ...(high === undefined ? {} : { ':high': { S: high } }),
    },
    ScanIndexForward: query.descending !== true,
    // Two more, because the items at both edges may have to be left out.
    ...(query.limit === undefined ? {} : { Limit: query.limit + 2 }),
  };
}

/** Those of the items that are in the range exactly. */
export function withinRange(query: Query, items: readonly Item[]): Item[] {
  const { lower, upper } = byteRange(query);
  return items.filter(({ sk }) => {
    const bytes = Buffer.from(sk);
    return Buffer.compare(bytes, lower) >= 0 && Buffer.compare(bytes, upper) < 0;
  });
}

/** Inclusive bounds that hold every key of the range, and hardly more; an empty bound is no bound. */
function bounds(query: Query): { low: string | undefined; high: string | undefined } {
  const descending = query.descending === true;
  const lows = [query.prefix, query.from, descending ? undefined : query.after];
  const highs = [query.to, descending ? query.after : undefined];
  const prefixed = query.prefix === undefined || query.prefix === '' ? undefined : lastKeyWith(query.prefix);
  const low = present(lows).map(cut).toSorted(compareUtf8).at(-1);
  // Nothing is below an empty bound, and an empty text is no sort key: the least key there is stands for it.
  const high = present([...highs, prefixed])
    .map((bound) => (bound === '' ? '\0' : cutAbove(bound)))
    .toSorted(compareUtf8)[0];
  return { low: low === '' ? undefined : low, high };
}

function present(texts: readonly (string | undefined)[]): string[] {
  return texts.filter((text) => text !== undefined);
}

/** A lower bound no longer than a key: only keys at or above it can be at or above the whole one. */
function cut(bound: string): string {
  const bytes = Buffer.from(bound);
  if (bytes.length <= maxSkBytes) return bound;
  let end = maxSkBytes;
  // Back to the first byte of a character: the others are 10xxxxxx (RFC 3629 §3).
  while ((bytes[end]! & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end).toString();
}

/** The same for an upper bound: what a cut one lost is made up for by the greatest key that begins like it. */
function cutAbove(bound: string): string {
  const text = cut(bound);
  return text === bound ? bound : lastKeyWith(text);
}

/** The greatest of all keys that begin with `prefix`: filled up with the greatest characters of 4, 3, 2 and 1 bytes. */
function lastKeyWith(prefix: string): string {
  const text = cut(prefix);
  const room = maxSkBytes - Buffer.byteLength(text);
  return text + '\u{10ffff}'.repeat(Math.floor(room / 4)) + ['', '\u007f', '\u07ff', '\uffff'][room % 4];
}

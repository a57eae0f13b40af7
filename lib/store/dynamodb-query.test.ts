import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { text } from '../../test/conformance/store-cases.ts';
import { queryRequest, withinRange } from './dynamodb-query.ts';
import { byteRange, compareUtf8 } from './order.ts';
import type { Query } from './port.ts';

/** What DynamoDB would give for a request: its comparison of text is by UTF-8 bytes. */
function asked(query: Query, keys: readonly string[]): string[] {
  const request = queryRequest(query, 't');
  if (request === undefined) return [];
  const values = request.ExpressionAttributeValues!;
  const low = values[':low']?.S;
  const high = values[':high']?.S;
  for (const bound of [low, high]) {
    assert(bound === undefined || (bound !== '' && Buffer.byteLength(bound) <= 1024 && bound.isWellFormed()));
  }
  assert(low === undefined || high === undefined || compareUtf8(low, high) <= 0);
  return keys.filter(
    (sk) => (low === undefined || compareUtf8(sk, low) >= 0) && (high === undefined || compareUtf8(sk, high) <= 0),
  );
}

/** Long ones too, at and over the length of a key. */
const key = fc.oneof(
  text,
  fc
    .tuple(fc.constantFrom('a', 'é', '\u{10ffff}'), fc.integer({ min: 250, max: 1030 }), text)
    .map(([c, n, rest]) => c.repeat(n) + rest),
);
/** Sort keys, and bounds of which many are one of them, or begin one. */
const ranges = fc
  .array(
    key.filter((sk) => sk !== '' && Buffer.byteLength(sk) <= 1024),
    { minLength: 1, maxLength: 12 },
  )
  .chain((keys) => {
    const start = fc
      .tuple(fc.constantFrom(...keys), fc.nat(20))
      .map(([sk, length]) => [...sk].slice(0, length).join(''));
    const bound = fc.option(fc.oneof(fc.constantFrom(...keys), start, key), { nil: undefined });
    const query = fc.record({ prefix: bound, from: bound, to: bound, after: bound, descending: fc.boolean() });
    return fc.tuple(fc.constant(keys), query);
  });

test('the request holds every key of the range, and few besides', () => {
  fc.assert(
    fc.property(ranges, ([keys, given]) => {
      const query = { pk: 'p', ...given } as Query;
      const { lower, upper } = byteRange(query);
      const expected = keys.filter((sk) => {
        const bytes = Buffer.from(sk);
        return Buffer.compare(bytes, lower) >= 0 && Buffer.compare(bytes, upper) < 0;
      });
      const found = asked(query, keys);
      const exact = withinRange(
        query,
        found.map((sk) => ({ pk: 'p', sk })),
      ).map(({ sk }) => sk);
      assert.deepEqual(exact, expected);
      assert(new Set(found).size - new Set(exact).size <= 3, 'only the edges are left out');
    }),
    { numRuns: 2_000 },
  );
});

test('a prefix reaches up to the very last key that begins with it', () => {
  for (const [prefix, rest] of [
    ['', ''],
    ['a', '\uffff'],
    ['aa', '\u07ff'],
    ['aaa', '\u007f'],
    ['aaaa', ''],
  ] as const) {
    const room = 1024 - Buffer.byteLength(prefix) - Buffer.byteLength(rest);
    const last = `${prefix}${'\u{10ffff}'.repeat(room / 4)}${rest}`;
    assert.equal(Buffer.byteLength(last), 1024);
    assert.deepEqual(asked({ pk: 'p', prefix }, [last]), [last], prefix);
  }
});

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
const bound = fc.option(key, { nil: undefined });

test('the request holds every key of the range, and few besides', () => {
  fc.assert(
    fc.property(
      fc.array(
        key.filter((sk) => sk !== '' && Buffer.byteLength(sk) <= 1024),
        { maxLength: 12 },
      ),
      fc.record({ prefix: bound, from: bound, to: bound, after: bound, descending: fc.boolean() }),
      (keys, given) => {
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
      },
    ),
    { numRuns: 2_000 },
  );
});

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { listingConformance } from '../../test/conformance/listing.ts';
import { type Listing, parseListingPosition } from './listing.ts';
import { createMemoryStore } from './memory.ts';
import { openSqliteStore } from './sqlite.ts';

listingConformance('memory', async () => {
  const store = createMemoryStore();
  return { store, dispose: () => store.close() };
});

listingConformance('sqlite', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-listing-'));
  const store = openSqliteStore(join(directory, 'store.sqlite'));
  return {
    store,
    dispose: async () => {
      await store.close();
      rmSync(directory, { recursive: true });
    },
  };
});

test('what is no position of a listing is none', () => {
  const listing: Listing = { places: 'p', partitions: ['a', 'b'], keyOf: (sk) => ({ pk: 'a', sk }) };
  for (const text of ['', 'p', 'u', 'u#', 'u2#x', 'u01#x', 'u-1#', 'u1', 'x1#', ' u1#', 'u99#', 'u100#'])
    assert.equal(parseListingPosition(listing, text), undefined, text);
  assert.deepEqual(parseListingPosition(listing, 'u1#'), { phase: 'unplaced', partition: 1 });
  assert.deepEqual(parseListingPosition(listing, 'u0#a#b\n'), { phase: 'unplaced', partition: 0, after: 'a#b\n' });
  assert.deepEqual(parseListingPosition(listing, 'px'), { phase: 'placed', after: 'x' });
});

/** What a listing must do on every adapter of the store port. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import {
  formatListingPosition,
  type Listing,
  type ListingPosition,
  parseListingPosition,
  placed,
  placeWrite,
  readListing,
} from '../../lib/store/listing.ts';
import type { Item, Store, Write } from '../../lib/store/port.ts';
import { countingStore } from '../fakes/counting-store.ts';
import { type MakeStore, mustCommit, storeTest } from './store-cases.ts';

const digits = [...'0123456789abcdef'];
const keyOf = (sk: string) => ({ pk: `thing#${sk.slice(0, 1)}`, sk });
const listing: Listing = { places: 'listing#thing', partitions: digits.map((digit) => `thing#${digit}`), keyOf };
const noon = Date.UTC(2026, 0, 1, 12);
const hashOf = (name: string) => sha256Hex(name);

/** A record with its place. */
function add(name: string, at: number): Write[] {
  const sk = hashOf(name);
  return [
    { kind: 'put', item: { ...keyOf(sk), ...placed, name, at }, when: { kind: 'absent' } },
    placeWrite(listing.places, at, sk),
  ];
}

/** A record as it was before there were places. */
function addOld(name: string): Write {
  return { kind: 'put', item: { ...keyOf(hashOf(name)), name, at: 0 } };
}

/** Every page until the end, as a client walks it: by positions that went over the wire. */
async function walk(
  store: Pick<Store, 'get' | 'query'>,
  limit: number,
  between: (pages: number) => Promise<unknown> = async () => undefined,
  of: Listing = listing,
): Promise<string[]> {
  const names: string[] = [];
  let position: ListingPosition | undefined;
  for (let pages = 1; ; pages += 1) {
    const page = await readListing(store, of, { limit, position });
    assert.ok(page.items.length <= limit);
    names.push(...page.items.map(nameOf));
    if (page.next === undefined) return names;
    position = parseListingPosition(of, formatListingPosition(page.next));
    assert.deepEqual(position, page.next);
    await between(pages);
  }
}

const nameOf = (item: Item) => String(item['name']);

export function listingConformance(name: string, make: MakeStore): void {
  describe(`listing conformance: ${name}`, () => {
    storeTest(
      'newest first, then those without a place by key; pages of any size join to the whole',
      make,
      async (store) => {
        const [names, old] = ['n', 'o'].map((kind) => Array.from({ length: 12 }, (_, i) => `${kind}${i}`)) as [
          string[],
          string[],
        ];
        // Three of each millisecond.
        for (const [i, each] of names.entries()) await mustCommit(store, ...add(each, noon + Math.floor(i / 3)));
        await mustCommit(store, ...old.map(addOld));
        const whole = await walk(store, 500);
        assert.deepEqual(
          whole.slice(0, 12).map((each) => Math.floor(Number(each.slice(1)) / 3)),
          [...[3, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0, 0]],
        );
        assert.deepEqual(
          whole.slice(12),
          old.toSorted((a, b) => (hashOf(a) < hashOf(b) ? -1 : 1)),
        );
        for (const limit of [1, 2, 5, 11, 12, 13, 23, 24, 25])
          assert.deepEqual(await walk(store, limit), whole, `limit ${limit}`);
        assert.deepEqual(await walk(store, 5, undefined, { ...listing, places: 'none', includes: () => false }), []);
      },
    );

    storeTest(
      'what was there at the first page is shown once, whatever is added between pages',
      make,
      async (store) => {
        const names = Array.from({ length: 9 }, (_, i) => `n${i}`);
        for (const [i, each] of names.entries()) await mustCommit(store, ...add(each, noon + i));
        await mustCommit(store, ...['o1', 'o2', 'o3'].map(addOld));
        for (const limit of [1, 4]) {
          const before = await walk(store, 500);
          const seen = await walk(store, limit, async (pages) => {
            // Newer, of the same time as one that is there, and by a process that writes no places.
            await mustCommit(
              store,
              ...add(`new ${limit} ${pages}`, noon + 100 + pages),
              ...add(`same ${limit} ${pages}`, noon + 4),
              addOld(`old ${limit} ${pages}`),
            );
          });
          assert.equal(new Set(seen).size, seen.length, `limit ${limit}`);
          assert.deepEqual(
            seen.filter((each) => before.includes(each)),
            before,
            `limit ${limit}`,
          );
        }
      },
    );

    storeTest(
      'a record and its place are written together or not at all; a place alone shows nothing',
      make,
      async (store) => {
        await mustCommit(store, ...add('a', noon));
        assert.equal((await store.transact(add('a', noon + 1))).ok, false);
        assert.deepEqual(await walk(store, 10), ['a']);
        await mustCommit(store, placeWrite(listing.places, noon + 2, hashOf('nobody')));
        assert.deepEqual(await walk(store, 1), ['a']);
      },
    );

    storeTest('a page looks at a bounded number of records, however many are none of its own', make, async (store) => {
      const names = Array.from({ length: 1_300 }, (_, i) => `n${i}`);
      for (let start = 0; start < names.length; start += 50)
        await mustCommit(store, ...names.slice(start, start + 50).flatMap((each, i) => add(each, noon + start + i)));
      await mustCommit(store, addOld('last'));
      const counted = countingStore(store);
      const own = { ...listing, places: 'listing#thing#of nobody', includes: (item: Item) => item['name'] === 'last' };
      let most = 0;
      let before = 0;
      const seen = await walk(
        counted,
        10,
        async () => {
          most = Math.max(most, counted.counts.reads - before);
          before = counted.counts.reads;
        },
        own,
      );
      assert.deepEqual(seen, ['last']);
      // One for the places, and one for each partition that the thousand lie in.
      assert.ok(most > 1 && most <= 1 + digits.length, String(most));
    });
  });
}

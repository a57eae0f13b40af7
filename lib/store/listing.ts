/**
 * A listing: records that are kept under a hash, shown newest first. A record is written in one transaction with its
 * places, items without content in partitions of their own, whose sort key is the record's time and then its own sort
 * key. The record alone says what is; a place is never changed, nor deleted while its record stands. A record has a
 * place in each listing that it belongs to, and says so by the attribute `placed`.
 *
 * Records from before there were places, and those that a process of an older version still writes, are not `placed`.
 * They come after all others, in the order of their keys. Adopting them would be a write that no operation stands for.
 */
import type { Item, Key, Page, Store, Write } from './port.ts';

export type Listing = {
  /** The partition of its places. */
  readonly places: string;
  /** Every partition that holds records, and which one holds the record of a sort key. */
  readonly partitions: readonly string[];
  readonly keyOf: (sk: string) => Key;
  /** Whether a record that has no place belongs here; all do unless told. */
  readonly includes?: (record: Item) => boolean;
};

/** What a record that has its places carries. */
export const placed = { placed: true } as const;

/** Where a page ended. From outside, it may name any place: nothing is shown by it that the listing does not have. */
export type ListingPosition =
  | { readonly phase: 'placed'; readonly after: string }
  | { readonly phase: 'unplaced'; readonly partition: number; readonly after?: string };

/** Records without a place that one page looks at, at most. */
const maxScanned = 1_000;
/** Records that are read at the same time. */
const readsAtOnce = 25;

/** The write of a record's place. `at` is Unix milliseconds, the same as the record says; `sk` the record's sort key. */
export function placeWrite(places: string, at: number, sk: string): Write {
  return { kind: 'put', item: { pk: places, sk: `${new Date(at).toISOString()}#${sk}` }, when: { kind: 'absent' } };
}

/**
 * One page, at most `limit` records. It may have fewer, and even none: only an absent `next` is the end. What was there
 * when the first page was read is shown exactly once, however much is added meanwhile.
 */
export async function readListing(
  store: Pick<Store, 'get' | 'query'>,
  listing: Listing,
  page: { readonly limit: number; readonly position?: ListingPosition | undefined },
): Promise<{ readonly items: readonly Item[]; readonly next?: ListingPosition }> {
  const { limit, position } = page;
  if (position?.phase === 'unplaced') return readUnplaced(store, listing, limit, position);
  const after = position === undefined ? {} : { after: position.after };
  const places = await store.query({ pk: listing.places, descending: true, limit, ...after });
  const items = await recordsAt(store, listing, places);
  if (places.next !== undefined) return { items, next: { phase: 'placed', after: places.next } };
  const rest = limit - items.length;
  const start: ListingPosition = { phase: 'unplaced', partition: 0 };
  if (rest === 0) return { items, next: start };
  const older = await readUnplaced(store, listing, rest, start);
  return { ...older, items: [...items, ...older.items] };
}

export function formatListingPosition(position: ListingPosition): string {
  return position.phase === 'placed' ? `p${position.after}` : `u${position.partition}#${position.after ?? ''}`;
}

/** `undefined` for what is no position in this listing. */
export function parseListingPosition(listing: Listing, text: string): ListingPosition | undefined {
  const [, place, number, after] = /^(?:p(.+)|u(0|[1-9][0-9]?)#(.*))$/s.exec(text) ?? [];
  if (place !== undefined) return { phase: 'placed', after: place };
  const partition = Number(number);
  if (number === undefined || partition >= listing.partitions.length) return undefined;
  return { phase: 'unplaced', partition, ...(after === undefined || after === '' ? {} : { after }) };
}

async function recordsAt(store: Pick<Store, 'get'>, { keyOf }: Listing, places: Page): Promise<Item[]> {
  const records: Item[] = [];
  for (let start = 0; start < places.items.length; start += readsAtOnce) {
    const batch = places.items.slice(start, start + readsAtOnce);
    const read = await Promise.all(batch.map(({ sk }) => store.get(keyOf(sk.slice(sk.indexOf('#') + 1)))));
    records.push(...read.filter((record) => record !== undefined));
  }
  return records;
}

async function readUnplaced(
  store: Pick<Store, 'query'>,
  { partitions, includes = () => true }: Listing,
  limit: number,
  start: Extract<ListingPosition, { phase: 'unplaced' }>,
): Promise<{ readonly items: readonly Item[]; readonly next?: ListingPosition }> {
  const items: Item[] = [];
  let { partition, after } = start;
  let scanned = 0;
  for (; partition < partitions.length; partition++) {
    do {
      const pk = partitions[partition] ?? '';
      const page = await store.query({ pk, limit: maxScanned, ...(after === undefined ? {} : { after }) });
      for (const record of page.items) {
        // Asked before the next one is looked at: what is left out here is what the next page begins with.
        if (items.length === limit || scanned === maxScanned) return { items, next: here(partition, after) };
        after = record.sk;
        scanned += 1;
        if (record['placed'] !== true && includes(record)) items.push(record);
      }
      after = page.next;
    } while (after !== undefined);
  }
  return { items };
}

function here(partition: number, after: string | undefined): ListingPosition {
  return { phase: 'unplaced', partition, ...(after === undefined ? {} : { after }) };
}

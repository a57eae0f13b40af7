/**
 * Rows that anybody can make who has no credential: names that failed, log-ins that were begun. Each of them expires; this
 * bounds how many there are until then. Whoever makes a new one looks, now and then, at the partition that it is in, and
 * takes away what has expired and, beyond the limit, what matters least.
 */
import { everyItem } from '../store/every-item.ts';
import { type Item, type Store, StoreError, type Write } from '../store/port.ts';

/** In one of the sixteen partitions of a kind. A row has about 200 bytes, so all of them are some 13 MB. */
export const mostRows = 4_096;
/** After so many new rows, and at its first one, a process looks: each can be as far over the limit. */
export const rowsBetweenLooks = 512;
const writesAtOnce = 100;

/** How many more rows of a partition this process makes before it looks. */
const left = new WeakMap<Store, Map<string, number>>();

type Deps = { readonly store: Store; readonly now: () => number };

/** To be called after a new row was made. Rows carry `expiresAt`; `compare` puts first what is to go first. */
export async function boundRows(
  { store, now }: Deps,
  pk: string,
  compare: (a: Item, b: Item) => number,
): Promise<void> {
  const ofStore = left.get(store) ?? new Map<string, number>();
  left.set(store, ofStore);
  const more = (ofStore.get(pk) ?? 0) - 1;
  // Set before anything is waited for: of many at once, one looks.
  ofStore.set(pk, more < 0 ? rowsBetweenLooks - 1 : more);
  if (more >= 0) return;
  try {
    const rows = (await Array.fromAsync(everyItem(store, { pk }))).filter(isExpiring);
    const at = now();
    const live = rows.filter((row) => expiryOf(row) > at);
    const excess = live.length > mostRows ? live.length - (mostRows - rowsBetweenLooks) : 0;
    const gone = rows.filter((row) => expiryOf(row) <= at);
    await deleteAsRead(store, [...gone, ...live.toSorted(compare).slice(0, excess)]);
  } catch (error) {
    // The row was made; the next look does what this one could not.
    if (!(error instanceof StoreError)) throw error;
  }
}

/** Deletes rows that are still as they were read, by their `expiresAt`, and returns how many. Throws `StoreError`. */
export async function deleteAsRead(store: Pick<Store, 'transact'>, rows: readonly Item[]): Promise<number> {
  let deleted = 0;
  for (let start = 0; start < rows.length; start += writesAtOnce) {
    let writes = rows.slice(start, start + writesAtOnce).map(
      ({ pk, sk, expiresAt }): Write => ({
        kind: 'delete',
        key: { pk, sk },
        when: { kind: 'equals', name: 'expiresAt', value: expiresAt as number },
      }),
    );
    while (writes.length > 0) {
      const outcome = await store.transact(writes);
      if (outcome.ok) {
        deleted += writes.length;
        break;
      }
      // Those were renewed, or are gone; the others are no less to go.
      const { failed } = outcome;
      writes = writes.filter((_, index) => !failed.includes(index));
    }
  }
  return deleted;
}

export function expiryOf({ expiresAt }: Item): number {
  return typeof expiresAt === 'number' ? expiresAt : Number.POSITIVE_INFINITY;
}

/** What is no row of ours, nobody here takes away. */
function isExpiring(item: Item): boolean {
  return Number.isFinite(expiryOf(item));
}

/** A store that counts what is asked of it, to show that a path asks nothing. The change feed is not counted. */
import type { Store } from '../../lib/store/port.ts';

export type CountingStore = Store & { readonly counts: { reads: number; writes: number } };

export function countingStore(inner: Store): CountingStore {
  const counts = { reads: 0, writes: 0 };
  return {
    counts,
    feed: inner.feed,
    get(key) {
      counts.reads += 1;
      return inner.get(key);
    },
    query(query) {
      counts.reads += 1;
      return inner.query(query);
    },
    transact(writes) {
      counts.writes += 1;
      return inner.transact(writes);
    },
    close: () => inner.close(),
  };
}

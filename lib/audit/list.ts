/** Reads the sealed log by pages: oldest or newest first, filtered by type, actor and object. */
import type { Store } from '../store/port.ts';
import { bodyHash, chainHash } from './chain.ts';
import { type Entry, parseEntry } from './entry.ts';
import { readHead } from './head.ts';
import { findBlock, readSequence } from './sequence.ts';

export type ListQuery = {
  readonly order: 'oldest' | 'newest';
  /** Index of the first entry to look at; default the oldest or the newest. */
  readonly from?: number;
  readonly limit: number;
  readonly type?: string;
  readonly actor?: string;
  readonly object?: { readonly kind?: string; readonly id?: string };
};

export type ListedEntry = {
  readonly index: number;
  readonly entry: Entry;
  /** The entry's own bytes: what is hashed, and what a feed must deliver. */
  readonly bytes: Uint8Array;
  /** hex B and hex C(index) */
  readonly body: string;
  readonly chain: string;
};

/** `next` is the `from` of the following page; absent when there is none. `size` is how many entries are sealed. */
export type ListPage = { readonly entries: readonly ListedEntry[]; readonly next?: number; readonly size: number };

/** A page ends after so many entries looked at, even when a rare filter has found few. */
const maxScanned = 10_000;

export async function listEntries(
  { store, origin }: { readonly store: Store; readonly origin: string },
  query: ListQuery,
): Promise<ListPage> {
  const { size } = await readHead(store, origin);
  const isOldest = query.order === 'oldest';
  let at = Math.min(query.from ?? (isOldest ? 0 : size - 1), isOldest ? size : size - 1);
  const found: ListedEntry[] = [];
  let scanned = 0;
  while (at >= 0 && at < size && found.length < query.limit && scanned < maxScanned) {
    const stretch = await readStretch(store, origin, at, size);
    const candidates = isOldest ? stretch.filter((e) => e.index >= at) : stretch.filter((e) => e.index <= at).reverse();
    for (const each of candidates) {
      if (found.length >= query.limit) break;
      at = isOldest ? each.index + 1 : each.index - 1;
      scanned += 1;
      if (matches(each.entry, query)) found.push(each);
    }
  }
  return { entries: found, size, ...(at >= 0 && at < size && { next: at }) };
}

/** The block around an entry, with the chain values that its first one starts from. */
async function readStretch(store: Store, origin: string, index: number, size: number): Promise<ListedEntry[]> {
  const { first, order } = await findBlock(store, index);
  const entries: ListedEntry[] = [];
  for await (const stretch of readSequence(store, first, Math.min(size, first + order.length))) {
    let { chain } = stretch.block;
    for (const [i, bytes] of stretch.entries.entries()) {
      const body = bodyHash(bytes);
      chain = chainHash(origin, first + i, body, chain);
      entries.push({ index: first + i, entry: parseEntry(bytes), bytes, body, chain });
    }
  }
  return entries;
}

function matches(entry: Entry, { type, actor, object }: ListQuery): boolean {
  return (
    (type === undefined || entry.op.type === type) &&
    (actor === undefined || entry.actor.id === actor) &&
    (object?.kind === undefined || entry.object.kind === object.kind) &&
    (object?.id === undefined || entry.object.id === object.id)
  );
}

/** What the parts of the store conformance suite share: a store per test, key and value generators, small helpers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Attribute,
  type Change,
  type FeedPosition,
  type Item,
  type Key,
  type Query,
  type Store,
  StoreError,
  type StoreErrorCode,
  type Write,
} from '../../lib/store/port.ts';

/** `reopen`, for durable stores: called after `close`, gives a new store on the same medium. */
export type MadeStore = {
  readonly store: Store;
  readonly reopen?: () => Promise<Store>;
  /** Closes every store that was made, and removes its medium. */
  readonly dispose: () => Promise<void>;
};

export type MakeStore = () => Promise<MadeStore>;

export function storeTest(name: string, make: MakeStore, body: (store: Store, made: MadeStore) => Promise<void>): void {
  test(name, async () => {
    const made = await make();
    try {
      await body(made.store, made);
    } finally {
      await made.dispose();
    }
  });
}

export async function mustCommit(store: Store, ...writes: Write[]): Promise<void> {
  assert.deepEqual(await store.transact(writes), { ok: true });
}

export function put(pk: string, sk: string, attributes: { readonly [name: string]: Attribute } = {}): Write {
  return { kind: 'put', item: { ...attributes, pk, sk } };
}

export async function rejectsWith(code: StoreErrorCode, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert(error instanceof StoreError, `not a StoreError: ${error}`);
    assert.equal(error.code, code, error.message);
    return true;
  });
}

/** Follows `next` to the end. */
export async function queryAll(store: Store, query: Query): Promise<Item[]> {
  const items: Item[] = [];
  for (let page = await store.query(query); ; page = await store.query({ ...query, after: page.next! })) {
    items.push(...page.items);
    if (page.next === undefined) return items;
  }
}

/** Reads the feed until `enough` says so. Within one call the store waits for changes; nothing is timed here. */
export async function readFeed(
  store: Store,
  from: FeedPosition,
  enough: (changes: readonly Change[]) => boolean,
): Promise<{ changes: Change[]; position: FeedPosition }> {
  const changes: Change[] = [];
  let position = from;
  while (!enough(changes)) {
    const read = await store.feed.read(position, { limit: 100, waitMs: 10_000 });
    changes.push(...read.changes);
    position = read.position;
  }
  return { changes, position };
}

/** Like `transact`, until there is an outcome: an adapter may answer `conflict` when calls race. */
export async function transactThroughConflicts(store: Store, writes: readonly Write[]) {
  for (;;) {
    try {
      return await store.transact(writes);
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'conflict')) throw error;
    }
  }
}

export function sameKey(a: Key, b: Key): boolean {
  return a.pk === b.pk && a.sk === b.sk;
}

/** Well-formed text of any planes, with NUL and the edges of the planes often. */
export const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({
    unit: fc.constantFrom(
      '\0',
      '\u007f',
      '\u0080',
      '\u07ff',
      '\u0800',
      '\ud7ff',
      '\ue000',
      '\uffff',
      '\u{10000}',
      '\u{10ffff}',
    ),
    maxLength: 6,
  }),
);

export const attributeName = fc
  .oneof(text, fc.constantFrom('constructor', 'toString', 'size', 'name', ':x', '#x', 'a.b', 'a[0]'))
  .filter((name) => name !== '' && name !== 'pk' && name !== 'sk' && name !== '__proto__');

export const scalar = fc.oneof(
  text,
  fc.maxSafeInteger(),
  fc.constantFrom(0, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
  fc.boolean(),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => new Uint8Array(bytes)),
);

export const attribute: fc.Arbitrary<Attribute> = fc.letrec<{ value: Attribute }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(attributeName, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;

export const attributes = fc.dictionary(attributeName, attribute, { maxKeys: 6, noNullPrototype: true });

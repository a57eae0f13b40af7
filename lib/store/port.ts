/**
 * The store port: the one narrow door to durable state, modelled on DynamoDB so that every
 * adapter (SQLite, memory, DynamoDB) has the same semantics. Items are addressed by a partition
 * key `pk` and a sort key `sk`; sort keys order by their UTF-8 bytes.
 *
 * Contract, for every adapter:
 * - When a write returns `ok`, it is durable: it survives the death of this process and of the machine.
 * - `transact` is all or nothing, and serializable against every other write.
 * - `get` and `query` are strongly consistent: they see every write that returned before they began.
 * - A failed condition is an outcome, not an error, and names the writes whose condition failed.
 * - `StoreError` with code `unknown_outcome` means that the write may or may not stand;
 *   every other code means that nothing was written.
 */

/**
 * A value that every adapter stores exactly: well-formed text, a safe integer (not −0), a flag, bytes, or lists and
 * plain objects of these, at most 32 deep. Anything else is `invalid`, `undefined` and `null` included.
 */
export type Attribute =
  | string
  | number
  | boolean
  | Uint8Array
  | readonly Attribute[]
  | { readonly [name: string]: Attribute };

export type Key = { readonly pk: string; readonly sk: string };

/** A stored item, at most `maxItemBytes` in all. The attribute names `pk` and `sk` are its key. */
export type Item = Key & { readonly [name: string]: Attribute };

/**
 * What must hold of the stored item, as it was before the transaction, for a write to be applied; `name` is a top-level
 * attribute. A comparison with an absent attribute, or with one of another type, does not hold; text orders by its
 * UTF-8 bytes; `all` and `any` have at least one part.
 */
export type Condition =
  | { readonly kind: 'absent' }
  | { readonly kind: 'present' }
  | { readonly kind: 'equals'; readonly name: string; readonly value: string | number | boolean | Uint8Array }
  | { readonly kind: 'less'; readonly name: string; readonly value: string | number }
  | { readonly kind: 'greater'; readonly name: string; readonly value: string | number }
  | { readonly kind: 'missing'; readonly name: string }
  | { readonly kind: 'all'; readonly of: readonly Condition[] }
  | { readonly kind: 'any'; readonly of: readonly Condition[] };

/**
 * One conditional write. `update` creates an absent item (as DynamoDB does) unless `when` forbids it, names each
 * attribute once, and at least one; `add` increments numbers, an absent one counting from 0. `check` writes nothing.
 */
export type Write =
  | { readonly kind: 'put'; readonly item: Item; readonly when?: Condition }
  | {
      readonly kind: 'update';
      readonly key: Key;
      readonly set?: { readonly [name: string]: Attribute };
      readonly unset?: readonly string[];
      readonly add?: { readonly [name: string]: number };
      readonly when?: Condition;
    }
  | { readonly kind: 'delete'; readonly key: Key; readonly when?: Condition }
  | { readonly kind: 'check'; readonly key: Key; readonly when: Condition };

/** `failed` holds the indexes, ascending, of the writes whose condition did not hold. Nothing was written then. */
export type Outcome = { readonly ok: true } | { readonly ok: false; readonly failed: readonly number[] };

/** A range of one partition. `prefix`, `from` (inclusive) and `to` (exclusive) bound the sort key; `after` resumes a page. */
export type Query = {
  readonly pk: string;
  readonly prefix?: string;
  readonly from?: string;
  readonly to?: string;
  readonly after?: string;
  readonly limit?: number;
  readonly descending?: boolean;
};

/**
 * One page of a query; `next`, when there may be more, is the `after` of the following page. A page may end before its
 * `limit`, and without one (after about 1 MiB): only an absent `next` is the end.
 */
export type Page = { readonly items: readonly Item[]; readonly next?: string };

/** A change as the feed reports it: the item as it stands after the change, or none when it was deleted. */
export type Change = { readonly key: Key; readonly item?: Item };

/** An opaque position in the change feed. */
export type FeedPosition = string & { readonly __brand: 'FeedPosition' };

/** Every write of every process on this store, in commit order for one key, at least once. */
export interface ChangeFeed {
  /** The position after everything that was written so far: read the state after asking, and nothing is missed. */
  now(): Promise<FeedPosition>;
  /**
   * Changes after a position. Returns at the first ones, or empty once `waitMs` has passed or `signal` aborts.
   * Throws `feed_expired` when the position is older than what the feed keeps: load the state anew.
   */
  read(
    after: FeedPosition,
    options: { readonly limit: number; readonly waitMs: number; readonly signal?: AbortSignal },
  ): Promise<{ readonly changes: readonly Change[]; readonly position: FeedPosition }>;
}

export interface Store {
  get(key: Key): Promise<Item | undefined>;
  query(query: Query): Promise<Page>;
  /** Applies 1 to `maxTransactionWrites` writes to distinct keys, all or none. */
  transact(writes: readonly Write[]): Promise<Outcome>;
  readonly feed: ChangeFeed;
  /** Waits for writes under way, then releases everything. Idempotent. */
  close(): Promise<void>;
}

export const maxTransactionWrites = 100;
/** DynamoDB's limit, which all adapters enforce (Amazon DynamoDB Developer Guide, "Service quotas"). */
export const maxItemBytes = 400 * 1024;

export type StoreErrorCode =
  /** Another transaction touched the same item at the same time; nothing was written; try again. */
  | 'conflict'
  /** The store could not be reached or is out of capacity; nothing was written. */
  | 'unavailable'
  /** No answer: the write may stand or not. Read before anything else. */
  | 'unknown_outcome'
  /** An item, transaction or request over the limits, or malformed; a bug in the caller. */
  | 'invalid'
  /** No space left; nothing was written. */
  | 'full'
  /** The medium can't be written to; nothing was written. */
  | 'read_only'
  /** What is stored can't be read back. */
  | 'corrupt'
  | 'feed_expired'
  | 'closed';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;
  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

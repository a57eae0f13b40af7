/**
 * What a destination is sent: events, in the order of the log. Four kinds, and none of them can be forged into another,
 * because each mapping writes the kind itself.
 *
 * - `entry`: a sealed entry of the audit log. `body` is hex B = SHA-256 of its bytes, `chain` is hex C(seq), `previous`
 *   is hex C(seq − 1); a receiver that keeps these with `seq` can recompute the chain in its own query language:
 *   `C(i) = SHA-256("holdfast/chain/v1|" + log + "|" + i + "|" + body + "|" + previous)`.
 * - `stub`: stands in the place of an entry that the receiver will not take. Same id, sequence and hashes, so the chain
 *   has no gap; `fetch` is where the entry itself can be read.
 * - `heartbeat`: what the log and this feed stand at. A feed that is silent, or that lacks what was delivered, shows.
 * - `test`: a nonce that a person looks for at the receiver.
 *
 * Every mapping must carry, in fields of their own: the id, kind, log, seq, dseq where there is one, body, chain and
 * previous of entries and stubs, and where there is `raw`, its bytes exactly (as text, or in base64 where the format
 * can't hold them). Strings within `entry` are attacker-influenced: user names, host names, reasons.
 */
import type { Entry } from '../audit/entry.ts';

type Placed = {
  /** `<log>:<seq>`. The same whenever it is sent again: a receiver drops duplicates by it. */
  readonly id: string;
  /** Index in the global log, from 0. */
  readonly seq: number;
  /** Contiguous from 0 in a filtered feed, where `seq` has gaps; absent in a whole one. */
  readonly dseq?: number;
  /** Hex B, hex C(seq), hex C(seq − 1). */
  readonly body: string;
  readonly chain: string;
  readonly previous: string;
};

export type EntryEvent = Placed & {
  readonly kind: 'entry';
  /** The entry's own bytes, canonical JSON in UTF-8, at most 8 KiB. Absent in a redacted feed: its hashes remain. */
  readonly raw?: Uint8Array;
  /** What the entry says; in a redacted feed without what was taken away. */
  readonly entry: Entry;
};

/** `oversize`: larger than the receiver takes. `refused`: the receiver refuses its content, or its form. */
export type StubReason = 'oversize' | 'refused';

export type StubEvent = Placed & {
  readonly kind: 'stub';
  readonly reason: StubReason;
  /** Of the entry: `YYYY-MM-DDThh:mm:ss.sssZ`. */
  readonly time: string;
  /** Path at the admin API: `/v1/audit/entries?order=oldest&cursor=<seq>&limit=1`. */
  readonly fetch: string;
};

export type HeartbeatEvent = {
  readonly kind: 'heartbeat';
  /** `<log>:heartbeat:<destination>:<time in Unix milliseconds>` */
  readonly id: string;
  readonly time: string;
  /** The feed's name and how often its position was set anew: dseq begins again with each generation. */
  readonly destination: string;
  readonly generation: number;
  /** Of the sealed log: how many entries, and hex C(size − 1). */
  readonly head: { readonly size: number; readonly chain: string };
  /** Everything below this sequence was delivered, filtered out or quarantined; hex C(next − 1). */
  readonly next: number;
  readonly chain: string;
  /** The first sequence of this generation. */
  readonly since: number;
  /** In this generation: entries delivered, left out by the filter, replaced by stubs. They add up to next − since. */
  readonly delivered: number;
  readonly filtered: number;
  readonly quarantined: number;
  /** In a filtered feed: the dseq that comes next, = delivered + quarantined. */
  readonly dseq?: number;
  /** Sealed entries that are not delivered yet, and the age of the oldest of them. */
  readonly lag: { readonly entries: number; readonly ms: number };
};

export type TestEvent = {
  readonly kind: 'test';
  /** `<log>:test:<destination>:<nonce>` */
  readonly id: string;
  readonly time: string;
  readonly destination: string;
  /** 32 hex digits. */
  readonly nonce: string;
};

export type FeedEvent = EntryEvent | StubEvent | HeartbeatEvent | TestEvent;

/**
 * What one send carries. Sent again after a failure, a crash or by a second process, a batch has the same id and the
 * same events: a destination whose bytes are a function of the batch alone sends the same bytes.
 */
export type Batch = {
  /** 32 hex digits: the receiver's idempotency key where it has such a thing. */
  readonly id: string;
  /** The log's origin. */
  readonly log: string;
  /** The destination's name. */
  readonly destination: string;
  /** Unix milliseconds of when it was made: kept with the batch, so the same when it is sent again. */
  readonly madeAt: number;
  /** One at least. Entries and stubs by rising `seq`, then a heartbeat or a test. */
  readonly events: readonly FeedEvent[];
  /** The newest signed checkpoint when the batch was made: its size, and the note (C2SP tlog-checkpoint). */
  readonly checkpoint?: { readonly size: number; readonly note: string };
  /** Set when it is part of a replay: its name. */
  readonly replay?: string;
};

/** The change feed of the SQLite store: a table that every process appends to in the transaction that makes the change. */
import type { DatabaseSync } from 'node:sqlite';
import { decodeItem } from './encoding.ts';
import { checkFeedLimit, createBell, formatPosition, parsePosition, waitFor } from './feed.ts';
import type { Change, ChangeFeed } from './port.ts';
import { toStoreError } from './sqlite-errors.ts';

export type SqliteFeed = {
  readonly port: ChangeFeed;
  /** Appends a change, inside the caller's transaction; no value when the item was deleted. */
  record(pk: Uint8Array, sk: Uint8Array, value: Uint8Array | null): void;
  /** Now and then removes what is too old or too much, inside the caller's transaction. */
  prune(): void;
  /** Wakes whoever waits in this process. */
  ring(): void;
};

export type SqliteFeedOptions = {
  readonly now?: () => number;
  readonly feedMaxChanges?: number;
  readonly feedMaxAgeMs?: number;
  readonly assertOpen: () => void;
};

/** As long as DynamoDB Streams keeps changes (Developer Guide, "Change data capture for DynamoDB Streams"). */
const dayMs = 24 * 60 * 60 * 1000;
/** How often a waiting reader looks for commits of other processes. */
const pollMs = 50;
/** Changes recorded between two prunings. */
const pruneEvery = 1_000;

export function openSqliteFeed(database: DatabaseSync, path: string, options: SqliteFeedOptions): SqliteFeed {
  const { now = Date.now, feedMaxChanges = 100_000, feedMaxAgeMs = dayMs, assertOpen } = options;
  const append = database.prepare('INSERT INTO change (at, pk, sk, value) VALUES (?, ?, ?, ?)');
  const newer = database.prepare('SELECT seq, pk, sk, value FROM change WHERE seq > ? ORDER BY seq LIMIT ?');
  // Separate sub-selects: only these two forms read one end of the table instead of all of it.
  const bounds = database.prepare(
    'SELECT (SELECT min(seq) FROM change) AS first, (SELECT max(seq) FROM change) AS last',
  );
  const firstSince = database.prepare('SELECT seq FROM change WHERE at >= ? ORDER BY seq LIMIT 1');
  const removeBelow = database.prepare('DELETE FROM change WHERE seq < ?');
  const dataVersion = database.prepare('PRAGMA data_version');
  const id = String(database.prepare('SELECT id FROM feed').get()!['id']);
  let sincePruned = pruneEvery;

  const bell = createBell(() => {
    let seen = dataVersion.get()!['data_version'];
    const poll = setInterval(() => {
      try {
        const version = dataVersion.get()!['data_version'];
        if (version === seen) return;
        seen = version;
      } catch {
        // Whoever waits reads for itself, and gets the error.
      }
      bell.ring();
    }, pollMs);
    return () => clearInterval(poll);
  });

  /** Sequence numbers: all up to `oldest` may be gone, `newest` is the last one written. */
  function extent(): { readonly id: string; readonly oldest: number; readonly newest: number } {
    const row = bounds.get()!;
    return { id, oldest: Number(row['first'] ?? 1) - 1, newest: Number(row['last'] ?? 0) };
  }

  function changesAfter(
    sequence: number,
    limit: number,
  ): { readonly changes: readonly Change[]; readonly last: number } {
    const rows = newer.all(sequence, limit);
    const changes = rows.map((row): Change => {
      const key = { pk: toText(row['pk']), sk: toText(row['sk']) };
      const value = row['value'] as Uint8Array | null;
      return value === null ? { key } : { key, item: decodeItem(key, value) };
    });
    return { changes, last: Number(rows.at(-1)?.['seq'] ?? sequence) };
  }

  const port: ChangeFeed = {
    async now() {
      assertOpen();
      try {
        return formatPosition(id, extent().newest);
      } catch (error) {
        throw toStoreError(error, path);
      }
    },
    async read(after, { limit, ...wait }) {
      checkFeedLimit(limit);
      const attempt = () => {
        assertOpen();
        const { changes, last } = changesAfter(parsePosition(after, extent()), limit);
        // Again: another process may have pruned between the two statements, and the changes would have a gap.
        parsePosition(after, extent());
        return changes.length === 0 ? undefined : { changes, position: formatPosition(id, last) };
      };
      try {
        return (await waitFor(bell, attempt, wait)) ?? { changes: [], position: after };
      } catch (error) {
        throw toStoreError(error, path);
      }
    },
  };

  return {
    port,
    ring: bell.ring,
    record(pk, sk, value) {
      append.run(now(), pk, sk, value);
      sincePruned += 1;
    },
    prune() {
      if (sincePruned < pruneEvery) return;
      sincePruned = 0;
      const { newest } = extent();
      const firstYoung = Number(firstSince.get(now() - feedMaxAgeMs)?.['seq'] ?? newest);
      removeBelow.run(Math.min(newest, Math.max(firstYoung, newest - feedMaxChanges + 1)));
    },
  };
}

function toText(bytes: unknown): string {
  return Buffer.from(bytes as Uint8Array).toString();
}

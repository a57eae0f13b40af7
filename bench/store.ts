/** Durable commits per second of the SQLite store: alone, in groups, in transactions of 100, and beside a bare INSERT. Prints one line of JSON. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Store, Write } from '../lib/store/port.ts';
import { openSqliteStore } from '../lib/store/sqlite.ts';

const rounds = 5;
const singles = 2_000;
const grouped = 20_000;
const groupSize = 100;

/** The size of a usual audit entry. */
const entry = new Uint8Array(400).fill(0x61);

function append(pk: string, index: number): Write {
  return { kind: 'put', item: { pk, sk: `${index}`.padStart(16, '0'), entry }, when: { kind: 'absent' } };
}

async function commitAll(store: Store, transactions: readonly (readonly Write[])[]): Promise<void> {
  const outcomes = await Promise.all(transactions.map((writes) => store.transact(writes)));
  assert(outcomes.every((outcome) => outcome.ok));
}

/** The floor: one durable INSERT per commit, without conditions, feed or checksums. */
function bareCommits(path: string): number {
  const database = new DatabaseSync(path);
  database.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE item (sk INTEGER PRIMARY KEY, value BLOB)',
  );
  const insert = database.prepare('INSERT INTO item VALUES (?, ?)');
  const start = performance.now();
  for (let i = 0; i < singles; i += 1) insert.run(i, entry);
  const perSecond = (singles / (performance.now() - start)) * 1000;
  database.close();
  return perSecond;
}

/** Each returns how many items it wrote. */
const figures = {
  async single(store: Store, pk: string) {
    for (let i = 0; i < singles; i += 1) await commitAll(store, [[append(pk, i)]]);
    return singles;
  },
  async grouped(store: Store, pk: string) {
    for (let i = 0; i < grouped; i += groupSize) {
      await commitAll(
        store,
        Array.from({ length: groupSize }, (_, j) => [append(pk, i + j)]),
      );
    }
    return grouped;
  },
  async transactionsOf100(store: Store, pk: string) {
    for (let i = 0; i < grouped; i += groupSize) {
      await commitAll(store, [Array.from({ length: groupSize }, (_, j) => append(pk, i + j))]);
    }
    return grouped;
  },
};

function median(values: readonly number[]): number {
  return Math.round(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!);
}

async function count(store: Store, pk: string): Promise<number> {
  let items = 0;
  for (let page = await store.query({ pk }); ; page = await store.query({ pk, after: page.next! })) {
    items += page.items.length;
    if (page.next === undefined) return items;
  }
}

const perSecond: Record<keyof typeof figures, number[]> = { single: [], grouped: [], transactionsOf100: [] };
const bare: number[] = [];
const directory = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
try {
  // Interleaved, so that a busy moment of the machine hits all of them.
  for (let round = 0; round < rounds; round += 1) {
    bare.push(bareCommits(join(directory, `${round}.bare.sqlite`)));
    const store = openSqliteStore(join(directory, `${round}.sqlite`));
    for (const name of Object.keys(figures) as (keyof typeof figures)[]) {
      const start = performance.now();
      const written = await figures[name](store, name);
      perSecond[name].push((written / (performance.now() - start)) * 1000);
      assert.equal(await count(store, name), written, 'what was counted stands');
    }
    await store.close();
  }
} finally {
  rmSync(directory, { recursive: true });
}

console.log(
  JSON.stringify({
    bench: 'store',
    machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
    node: process.version,
    bareCommitsPerSecond: median(bare),
    singleCommitsPerSecond: median(perSecond.single),
    groupedCommitsPerSecond: median(perSecond.grouped),
    itemsPerSecondInTransactionsOf100: median(perSecond.transactionsOf100),
    singleToBare: Number((median(perSecond.single) / median(bare)).toFixed(2)),
  }),
);

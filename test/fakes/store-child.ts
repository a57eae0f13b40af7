/** A process of its own on an SQLite store, for tests of crashes and of several processes: see `main` for what it does. */
import { writeSync } from 'node:fs';
import { StatementSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { openSqliteStore } from '../../lib/store/sqlite.ts';

const [, , task = '', path = '', argument = '0'] = process.argv;
const store = openSqliteStore(path);

/** Synchronous: what was acknowledged before a kill has left this process. */
function acknowledge(line: string): void {
  writeSync(1, `${line}\n`);
}

/** Transaction `i` writes both halves of pair `i`, removes those of pair `i - 2`, and counts. */
async function writePair(i: number): Promise<void> {
  const outcome = await store.transact([
    { kind: 'put', item: { pk: 'left', sk: `${i}`, i }, when: { kind: 'absent' } },
    { kind: 'put', item: { pk: 'right', sk: `${i}`, i } },
    { kind: 'delete', key: { pk: 'left', sk: `${i - 2}` } },
    { kind: 'delete', key: { pk: 'right', sk: `${i - 2}` } },
    { kind: 'update', key: { pk: 'count', sk: 'pairs' }, add: { n: 1 } },
  ]);
  if (!outcome.ok) throw new Error(`pair ${i} was refused`);
  acknowledge(`${i}`);
}

/** Kills this process just before or just after the statement with this number. */
function killAt(statement: number, when: 'before' | 'after'): void {
  const run = StatementSync.prototype.run;
  let count = 0;
  StatementSync.prototype.run = function (this: StatementSync, ...parameters: Parameters<typeof run>) {
    const isLast = count++ === statement;
    if (isLast && when === 'before') process.kill(process.pid, 'SIGKILL');
    const result = run.apply(this, parameters);
    if (isLast) process.kill(process.pid, 'SIGKILL');
    return result;
  } as typeof run;
}

async function main(): Promise<void> {
  switch (task) {
    // Pairs until it is killed: by itself at a statement, or by its parent.
    case 'die-before':
    case 'die-after':
      killAt(Number(argument), task === 'die-before' ? 'before' : 'after');
      for (let i = 0; ; i += 1) await writePair(i);
    case 'pairs':
      for (let i = Number(argument); ; i += 1) await writePair(i);
    // Adds to a counter that other processes add to as well: half by `add`, half by read and conditional write.
    case 'count':
      for (let i = 0; i < Number(argument); i += 1) {
        await store.transact([{ kind: 'update', key: { pk: 'count', sk: 'shared' }, add: { n: 1 } }]);
        while (!(await incrementOptimistically())) await nextTurn();
      }
      await store.close();
      return;
    default:
      throw new Error(`unknown task: ${task}`);
  }
}

async function incrementOptimistically(): Promise<boolean> {
  const key = { pk: 'count', sk: 'optimistic' };
  const n = (await store.get(key))?.['n'] as number | undefined;
  const { ok } = await store.transact([
    {
      kind: 'put',
      item: { ...key, n: (n ?? 0) + 1 },
      when: n === undefined ? { kind: 'absent' } : { kind: 'equals', name: 'n', value: n },
    },
  ]);
  return ok;
}

await main();

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { queryAll, readFeed } from '../../test/conformance/store-cases.ts';
import type { Change, Store } from './port.ts';
import { openSqliteStore } from './sqlite.ts';

const child = fileURLToPath(new URL('../../test/fakes/store-child.ts', import.meta.url));

function start(task: string, path: string, argument: number): ChildProcess {
  return spawn(process.execPath, [child, task, path, `${argument}`], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Runs to the end; `onLine` sees how many lines were acknowledged so far. */
async function finish(running: ChildProcess, onLine: (lines: number) => void = () => {}) {
  let output = '';
  running.stdout!.on('data', (chunk) => {
    output += chunk;
    onLine(output.split('\n').length - 1);
  });
  const [code, signal] = await once(running, 'close');
  return { acknowledged: output.split('\n').length - 1, code, signal };
}

async function inDirectory(body: (path: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-crash-'));
  try {
    await body(join(directory, 'store.sqlite'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The pairs that stand are whole, are the ones they should be, and none that was acknowledged is missing. */
async function checkPairs(store: Store, acknowledged: number): Promise<number> {
  const written = ((await store.get({ pk: 'count', sk: 'pairs' }))?.['n'] ?? 0) as number;
  assert(written === acknowledged || written === acknowledged + 1, `${acknowledged} acknowledged, ${written} stand`);
  const standing = [written - 2, written - 1].filter((i) => i >= 0);
  for (const pk of ['left', 'right']) {
    const items = await queryAll(store, { pk });
    assert.deepEqual(items.map((item) => item['i']).sort(), standing.toSorted(), `${pk} of ${written}`);
  }
  return written;
}

/** A process that died left a store which takes writes and whose feed continues. */
async function checkUsable(store: Store): Promise<void> {
  const position = await store.feed.now();
  assert.deepEqual(await store.transact([{ kind: 'put', item: { pk: 'after', sk: 'crash' } }]), { ok: true });
  const { changes } = await readFeed(store, position, (seen: readonly Change[]) => seen.length > 0);
  assert.equal(changes[0]?.key.sk, 'crash');
}

test('killed before any statement: all or nothing, and what was acknowledged stands', async () => {
  const outcomes = new Set<string>();
  // The first two transactions have 9 and 8 statements; to die after one is to die before the next.
  for (let statement = 0; statement < 18; statement += 1) {
    await inDirectory(async (path) => {
      const { acknowledged, signal } = await finish(start('die-before', path, statement));
      assert.equal(signal, 'SIGKILL');
      const store = openSqliteStore(path);
      const written = await checkPairs(store, acknowledged);
      outcomes.add(`${acknowledged} acknowledged, ${written} stand`);
      await checkUsable(store);
      await store.close();
    });
  }
  assert.deepEqual(
    [...outcomes],
    ['0 acknowledged, 0 stand', '1 acknowledged, 1 stand', '2 acknowledged, 2 stand'],
    'the table went through both transactions',
  );
});

test('killed right after COMMIT, before the answer: the write stands', async () => {
  // The first transaction: BEGIN, 2 × put, 1 × update with a change each, pruning, COMMIT.
  const commit = 1 + 3 * 2 + 1;
  await inDirectory(async (path) => {
    const { acknowledged } = await finish(start('die-after', path, commit));
    const store = openSqliteStore(path);
    assert.equal(acknowledged, 0);
    assert.equal(await checkPairs(store, 0), 1);
    await store.close();
  });
  await inDirectory(async (path) => {
    const { acknowledged } = await finish(start('die-before', path, commit));
    const store = openSqliteStore(path);
    assert.equal(acknowledged, 0);
    assert.equal(await checkPairs(store, 0), 0);
    await store.close();
  });
});

test('every acknowledgement comes after an fsync of its own', async (t) => {
  // Killing a process loses nothing that the kernel has; against a loss of power only the system calls are proof.
  if (spawnSync('strace', ['-o', '/dev/null', 'true']).status !== 0) {
    t.skip('strace is not installed, or not allowed here');
    return;
  }
  await inDirectory(async (path) => {
    const trace = `${path}.strace`;
    const calls = ['-f', '-e', 'trace=write,fsync,fdatasync', '-o', trace];
    // Dies in the fourth transaction.
    const { status, signal, stdout } = spawnSync('strace', [
      ...calls,
      process.execPath,
      child,
      'die-before',
      path,
      '34',
    ]);
    assert(signal === 'SIGKILL' || status === 137, `${status} ${signal}`);
    const events = readFileSync(trace, 'utf8')
      .split('\n')
      .flatMap((line) => {
        if (/ (fsync|fdatasync)\(\d+\) += 0/.test(line)) return ['sync'];
        return / write\(1, "\d+\\n"/.test(line) ? ['acknowledged'] : [];
      });
    const acknowledged = String(stdout).split('\n').length - 1;
    assert(acknowledged >= 2);
    assert.equal(events.filter((event) => event === 'acknowledged').length, acknowledged);
    events.forEach((event, index) => {
      if (event === 'acknowledged') assert.equal(events[index - 1], 'sync', events.join(' '));
    });
  });
});

test('killed again and again at any moment, the store goes on where it was', async () => {
  await inDirectory(async (path) => {
    let written = 0;
    for (let round = 0; round < 4; round += 1) {
      const running = start('pairs', path, written);
      const target = 3 + round * 7;
      const { acknowledged } = await finish(running, (lines) => {
        if (lines >= target) running.kill('SIGKILL');
      });
      const store = openSqliteStore(path);
      written = await checkPairs(store, written + acknowledged);
      await store.close();
    }
    assert(written >= 3 + 10 + 17 + 24);
  });
});

test('several processes on one file lose no update, and each sees the changes of the others', async () => {
  await inDirectory(async (path) => {
    const store = openSqliteStore(path);
    const position = await store.feed.now();
    const done = Promise.all(Array.from({ length: 3 }, () => finish(start('count', path, 40))));
    const last = (changes: readonly Change[], sk: string) =>
      changes.findLast((change) => change.key.sk === sk)?.item?.['n'];
    const { changes } = await readFeed(
      store,
      position,
      (seen) => last(seen, 'shared') === 120 && last(seen, 'optimistic') === 120,
    );
    assert.deepEqual(
      (await done).map(({ code }) => code),
      [0, 0, 0],
    );
    for (const sk of ['shared', 'optimistic']) {
      const history = changes.filter((change) => change.key.sk === sk).map((change) => change.item?.['n']);
      assert.deepEqual(
        history,
        Array.from({ length: 120 }, (_, index) => index + 1),
      );
      assert.equal((await store.get({ pk: 'count', sk }))?.['n'], 120);
    }
    await store.close();
  });
});

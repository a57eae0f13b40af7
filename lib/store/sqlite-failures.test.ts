import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { mustCommit, put, queryAll, rejectsWith } from '../../test/conformance/store-cases.ts';
import { type Store, StoreError, type StoreErrorCode } from './port.ts';
import { openSqliteStore } from './sqlite.ts';

const child = fileURLToPath(new URL('../../test/fakes/store-limits-child.ts', import.meta.url));

async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-store-'));
  try {
    await body(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function withStore(path: string, body: (store: Store) => Promise<void>): Promise<void> {
  const store = openSqliteStore(path);
  try {
    await body(store);
  } finally {
    await store.close();
  }
}

function refusesToOpen(path: string, code: StoreErrorCode, remedy: RegExp): void {
  assert.throws(
    () => openSqliteStore(path),
    (error) => {
      assert(error instanceof StoreError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, remedy);
      return true;
    },
  );
}

test(
  'a new store is a 0600 file in a 0700 directory, and so are its log and index',
  { skip: process.platform === 'win32' && 'no file modes here' },
  () =>
    inDirectory(async (directory) => {
      const before = process.umask(0);
      try {
        const path = join(directory, 'state', 'deep', 'store.sqlite');
        await withStore(path, async (store) => {
          await mustCommit(store, put('p', 's'));
          for (const suffix of ['', '-wal', '-shm']) {
            assert.equal(statSync(path + suffix).mode & 0o777, 0o600, suffix);
          }
          assert.equal(statSync(join(directory, 'state', 'deep')).mode & 0o777, 0o700);
          assert.equal(statSync(join(directory, 'state')).mode & 0o777, 0o700);
        });
      } finally {
        process.umask(before);
      }
    }),
);

test('a file that is no database is refused, and left as it is', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'store.sqlite');
    const text = 'this is a letter, not a database\n'.repeat(50);
    writeFileSync(path, text);
    refusesToOpen(path, 'corrupt', /not an SQLite database; check the path/);
    assert.equal(readFileSync(path, 'utf8'), text);
  }));

test('a directory in place of the file is refused', () =>
  inDirectory(async (directory) => {
    refusesToOpen(directory, 'unavailable', /is not a file/);
  }));

test('a database of another program is refused, and left as it is', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'other.sqlite');
    const other = new DatabaseSync(path);
    other.exec('CREATE TABLE theirs (a)');
    other.close();
    const bytes = readFileSync(path);
    refusesToOpen(path, 'corrupt', /another program/);
    assert.deepEqual(readFileSync(path), bytes);
    const again = new DatabaseSync(path);
    assert.deepEqual(
      again
        .prepare('SELECT name FROM sqlite_schema')
        .all()
        .map((row) => row['name']),
      ['theirs'],
    );
    again.close();
  }));

test('a newer schema is refused', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'store.sqlite');
    await withStore(path, (store) => mustCommit(store, put('p', 's')));
    const newer = new DatabaseSync(path);
    newer.exec('PRAGMA user_version = 2');
    newer.close();
    refusesToOpen(path, 'corrupt', /schema version 2, this program knows 1; run the release that wrote it/);
  }));

test('a damaged page gives corrupt, not other values', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'store.sqlite');
    await withStore(path, async (store) => {
      for (let i = 0; i < 50; i += 1) await mustCommit(store, put('p', `s${i}`, { text: 'x'.repeat(2000) }));
    });
    const { size } = statSync(path);
    const file = openSync(path, 'r+');
    // All pages but the first, which holds the schema.
    writeSync(file, Buffer.alloc(size - 4096, 0xa5), 0, size - 4096, 4096);
    closeSync(file);
    let opened: Store | undefined;
    try {
      opened = openSqliteStore(path);
    } catch (error) {
      assert(error instanceof StoreError);
      assert.equal(error.code, 'corrupt', error.message);
    }
    if (opened === undefined) return;
    await rejectsWith('corrupt', queryAll(opened, { pk: 'p' }));
    await rejectsWith('corrupt', opened.transact([put('p', 's1')]));
    await opened.close();
  }));

test('a value changed behind our back gives corrupt, and its neighbours are still served', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'store.sqlite');
    await withStore(path, (store) => mustCommit(store, put('p', 'a', { n: 1 }), put('p', 'b', { n: 2 })));
    const other = new DatabaseSync(path);
    other.exec("UPDATE item SET value = CAST(replace(value, x'6e', x'6f') AS BLOB) WHERE sk = CAST('a' AS BLOB)");
    other.close();
    await withStore(path, async (store) => {
      await rejectsWith('corrupt', store.get({ pk: 'p', sk: 'a' }));
      await rejectsWith('corrupt', store.query({ pk: 'p' }));
      assert.equal((await store.get({ pk: 'p', sk: 'b' }))?.['n'], 2);
      // One transaction of the group meets the damage, the other does not.
      const update = (sk: string) => store.transact([{ kind: 'update', key: { pk: 'p', sk }, add: { n: 1 } }]);
      const [damaged, sound] = await Promise.allSettled([update('a'), update('b')]);
      assert.equal(damaged.status === 'rejected' && damaged.reason.code, 'corrupt');
      assert.deepEqual(sound, { status: 'fulfilled', value: { ok: true } });
    });
  }));

test('a lock that another process holds delays a write, and reads go on', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'store.sqlite');
    await withStore(path, async (store) => {
      await mustCommit(store, put('p', 's', { n: 1 }));
      const other = new DatabaseSync(path);
      other.exec('BEGIN IMMEDIATE');
      let done = false;
      const pending = store.transact([put('p', 's', { n: 2 })]).then((outcome) => {
        done = true;
        return outcome;
      });
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      assert.equal((await store.get({ pk: 'p', sk: 's' }))?.['n'], 1);
      assert.equal(done, false);
      other.exec('COMMIT');
      other.close();
      assert.deepEqual(await pending, { ok: true });
      assert.equal((await store.get({ pk: 'p', sk: 's' }))?.['n'], 2);
    });
  }));

/** Runs the child, which prints the code and message of the error that it met. */
function runLimited(command: string, args: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
}

test('on a full disk a write is refused as full, what was acknowledged stands, and freed space is used again', (t) =>
  inDirectory(async (directory) => {
    const script = `mount -t tmpfs -o size=1500k none "${directory}" && exec "${process.execPath}" "${child}" fill "${directory}"`;
    const probe = spawnSync('unshare', ['-rm', 'sh', '-c', `mount -t tmpfs -o size=100k none "${directory}"`]);
    if (probe.status !== 0) {
      t.skip('a small file system of its own is not allowed here: unshare -rm, mount -t tmpfs');
      return;
    }
    const { status, output } = runLimited('unshare', ['-rm', 'sh', '-c', script]);
    assert.equal(status, 0, output);
    assert.match(output, /full: .*no space left on its disk; free some/);
    assert.match(output, /all acknowledged items stand/);
    assert.match(output, /written again after space was freed/);
  }));

test(
  'a directory or a file that may not be written is refused with its remedy',
  { skip: process.platform === 'win32' && 'no file modes here' },
  () =>
    inDirectory(async (directory) => {
      const path = join(directory, 'store.sqlite');
      await withStore(path, (store) => mustCommit(store, put('p', 's')));
      // The child becomes an ordinary user if it is root, whom modes do not stop.
      chmodSync(directory, 0o755);
      chmodSync(path, 0o444);
      for (const target of [path, join(directory, 'new.sqlite')]) {
        const { status, output } = runLimited(process.execPath, [child, 'open', target]);
        assert.equal(status, 0, output);
        assert.match(output, /^read_only: .*cannot be .*; give this user .*permission on the file and its directory/);
      }
    }),
);

test(
  'an I/O error while committing is an unknown outcome, and the store serves nothing after it',
  { skip: process.platform === 'win32' && 'no ulimit here' },
  () =>
    inDirectory(async (directory) => {
      const path = join(directory, 'store.sqlite');
      await withStore(path, (store) => mustCommit(store, put('p', 'before')));
      // Writing past the limit fails with EFBIG, in the write-ahead log.
      const script = `ulimit -f 256; exec "${process.execPath}" "${child}" grow "${path}"`;
      const { status, output } = runLimited('sh', ['-c', script]);
      assert.equal(status, 0, output);
      assert.match(output, /^unknown_outcome: .*while committing; check the disk, then restart/m);
      assert.match(output, /^then unavailable/m);
      const acknowledged = Number(/acknowledged (\d+)/.exec(output)?.[1]);
      await withStore(path, async (store) => {
        const items = await queryAll(store, { pk: 'grow' });
        assert(
          items.length === acknowledged || items.length === acknowledged + 1,
          `${items.length} of ${acknowledged}`,
        );
        await mustCommit(store, put('p', 'after'));
      });
    }),
);

test('a file that was removed or replaced takes no writes, and takes them again when it is put back', () =>
  inDirectory((directory) =>
    withStore(join(directory, 'store.sqlite'), async (store) => {
      const path = join(directory, 'store.sqlite');
      await mustCommit(store, put('a', '1'));
      renameSync(path, `${path}.away`);
      await rejectsWith('unavailable', store.transact([put('a', '2')]));
      writeFileSync(path, readFileSync(`${path}.away`));
      await rejectsWith('unavailable', store.transact([put('a', '3')]));
      renameSync(`${path}.away`, path);
      await mustCommit(store, put('a', '4'));
      assert.deepEqual(
        (await queryAll(store, { pk: 'a', limit: 10 })).map(({ sk }) => sk),
        ['1', '4'],
      );
    }),
  ));

/** A process whose SQLite store meets the limits of its disk or its rights: prints the errors, for tests. */
import { closeSync, ftruncateSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { StoreError } from '../../lib/store/port.ts';
import { openSqliteStore } from '../../lib/store/sqlite.ts';

const [, , task = '', path = ''] = process.argv;

function report(error: unknown): void {
  if (!(error instanceof StoreError)) throw error;
  console.log(`${error.code}: ${error.message}`);
}

/** As an ordinary user. */
function open(): void {
  if (process.getuid?.() === 0) {
    process.setgid?.(65_534);
    process.setuid?.(65_534);
  }
  try {
    openSqliteStore(path);
    console.log('opened');
  } catch (error) {
    report(error);
  }
}

const text = 'x'.repeat(10_000);

/** Writes until an error; returns how many were acknowledged. */
async function writeAll(store: ReturnType<typeof openSqliteStore>, pk: string): Promise<number> {
  for (let count = 0; ; count += 1) {
    try {
      await store.transact([{ kind: 'put', item: { pk, sk: `s${count}`, text } }]);
    } catch (error) {
      report(error);
      return count;
    }
  }
}

/** Runs in a file system of 1.5 MB. */
async function fill(): Promise<void> {
  const ballast = join(path, 'ballast');
  const file = openSync(ballast, 'w');
  ftruncateSync(file, 0);
  writeSync(file, Buffer.alloc(500_000));
  closeSync(file);
  const store = openSqliteStore(join(path, 'store.sqlite'));
  const count = await writeAll(store, 'fill');
  let standing = 0;
  for (let index = 0; index <= count; index += 1) {
    if ((await store.get({ pk: 'fill', sk: `s${index}` })) !== undefined) standing += 1;
  }
  console.log(standing === count && count > 0 ? 'all acknowledged items stand' : `${standing} of ${count} stand`);
  unlinkSync(ballast);
  await store.transact([{ kind: 'put', item: { pk: 'again', sk: 's' } }]);
  console.log('written again after space was freed');
  await store.close();
}

/** Runs under a limit on the size of files. */
async function grow(): Promise<void> {
  const store = openSqliteStore(path);
  console.log(`acknowledged ${await writeAll(store, 'grow')}`);
  await store.get({ pk: 'grow', sk: 's0' }).catch((error) => console.log(`then ${error.code}`));
}

switch (task) {
  case 'open':
    open();
    break;
  case 'fill':
    await fill();
    break;
  case 'grow':
    await grow();
    break;
  default:
    throw new Error(`unknown task: ${task}`);
}

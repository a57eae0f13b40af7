/** The SQLite file of a store: created with its final mode, recognised as ours, brought to this version's schema. */
import { accessSync, closeSync, constants, existsSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StoreError } from './port.ts';
import { toStoreError } from './sqlite-errors.ts';

/** In the file's header, so that a database of another program is not taken for a store: "Hfst". */
const applicationId = 0x48667374;
const schemaVersion = 1;

/**
 * `item` holds what stands, `change` what happened, in commit order: `seq` only grows, because the newest row is never
 * pruned. Keys are BLOBs, which compare by memcmp, and so by UTF-8 bytes.
 */
const schema = `
  CREATE TABLE item (
    pk BLOB NOT NULL, sk BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (pk, sk)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE change (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, pk BLOB NOT NULL, sk BLOB NOT NULL, value BLOB
  ) STRICT;
  CREATE TABLE feed (id TEXT NOT NULL) STRICT;
  INSERT INTO feed VALUES (lower(hex(randomblob(16))));
  PRAGMA application_id = ${applicationId};
  PRAGMA user_version = ${schemaVersion};
`;

/** How long SQLite itself blocks the process for a lock; longer waits are retries that let other work run. */
const openTimeoutMs = 5_000;
const writeTimeoutMs = 20;

/** Throws `read_only`, `full`, `corrupt` or `unavailable`, each with its remedy. */
export function openSqliteFile(path: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    createWithMode(path);
    database = new DatabaseSync(path, { timeout: openTimeoutMs, enableForeignKeyConstraints: false });
    recognise(database, path);
    // FULL: with a write-ahead log, only this makes a commit survive a loss of power (https://www.sqlite.org/pragma.html#pragma_synchronous).
    // The fullfsync pragmas do so on macOS, and are without effect elsewhere.
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA fullfsync = ON;
      PRAGMA checkpoint_fullfsync = ON;
      PRAGMA trusted_schema = OFF;
      PRAGMA cell_size_check = ON;
      PRAGMA journal_size_limit = 67108864;
    `);
    ensureSchema(database);
    database.exec(`PRAGMA busy_timeout = ${writeTimeoutMs}`);
    return database;
  } catch (error) {
    database?.close();
    throw toStoreError(error, path);
  }
}

/**
 * A file that is removed or replaced while it is open goes on taking writes, and nobody will ever read them
 * (https://www.sqlite.org/howtocorrupt.html, section 2.4). Returns what throws `unavailable` then.
 */
export function watchSqliteFile(path: string): () => void {
  const opened = statSync(path);
  return () => {
    const now = statSync(path, { throwIfNoEntry: false });
    if (now?.dev === opened.dev && now.ino === opened.ino) return;
    const how = now === undefined ? 'was removed' : 'was replaced';
    throw new StoreError(
      'unavailable',
      `store ${JSON.stringify(path)} ${how} while it was in use; put it back, or stop the server and restore it`,
    );
  };
}

/** The file exists with mode 0600 before SQLite opens it; its write-ahead log and index take the same mode. */
function createWithMode(path: string): void {
  const directory = dirname(path);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (existsSync(path)) {
    if (!statSync(path).isFile()) throw new StoreError('unavailable', `store ${JSON.stringify(path)} is not a file`);
    // SQLite would open a file it may not write for reading only, and fail at the first write.
    accessSync(path, constants.R_OK | constants.W_OK);
    accessSync(directory, constants.W_OK);
    return;
  }
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    // Another process was faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return;
  }
  const handle = openSync(directory, 'r');
  fsyncSync(handle);
  closeSync(handle);
}

/** Only reads: a database that is not ours, or of a newer version, stays as it is. */
function recognise(database: DatabaseSync, path: string): void {
  if (isEmpty(database)) return;
  if (readPragma(database, 'application_id') !== applicationId) {
    throw new StoreError('corrupt', `${JSON.stringify(path)} is a database of another program; check the path`);
  }
  const version = readPragma(database, 'user_version');
  if (version !== schemaVersion) {
    throw new StoreError(
      'corrupt',
      `store ${JSON.stringify(path)} has schema version ${version}, this program knows ${schemaVersion}; run the release that wrote it, or a newer one`,
    );
  }
}

function ensureSchema(database: DatabaseSync): void {
  if (!isEmpty(database)) return;
  database.exec('BEGIN IMMEDIATE');
  try {
    // Again, under the lock: another process may have been faster.
    if (isEmpty(database)) database.exec(schema);
    database.exec('COMMIT');
  } finally {
    if (database.isTransaction) database.exec('ROLLBACK');
  }
}

function isEmpty(database: DatabaseSync): boolean {
  const tables = database.prepare('SELECT count(*) AS count FROM sqlite_schema').get()!['count'];
  return tables === 0 && readPragma(database, 'application_id') === 0 && readPragma(database, 'user_version') === 0;
}

function readPragma(database: DatabaseSync, name: 'user_version' | 'application_id'): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()![name]);
}

/** What an SQLite error means for the store: its code, and a remedy that an operator can act on. */
import { StoreError } from './port.ts';
import { fromSystemError } from './system-errors.ts';

// Primary result codes: https://www.sqlite.org/rescode.html
const sqliteCodes = {
  perm: 3,
  busy: 5,
  locked: 6,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cantOpen: 14,
  notADatabase: 26,
};

/** The primary result code of an error from `node:sqlite`, `undefined` for any other error. */
function sqliteCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === 'number' ? code & 0xff : undefined;
}

/** Another process holds the lock: nothing happened, and it is worth trying again. */
export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === sqliteCodes.busy || code === sqliteCodes.locked;
}

/**
 * `committing`: the error came from COMMIT. Then an I/O error leaves the outcome open, because the commit record may be
 * in the write-ahead log although its fsync failed; a full disk does not, because the record itself was not written.
 */
export function toStoreError(error: unknown, path: string, committing = false): StoreError {
  if (error instanceof StoreError) return error;
  const store = `store ${JSON.stringify(path)}`;
  const make = (code: StoreError['code'], message: string) =>
    new StoreError(code, `${store} ${message}`, { cause: error });
  switch (sqliteCode(error)) {
    case sqliteCodes.busy:
    case sqliteCodes.locked:
      return make('unavailable', 'is locked by another process; try again, or stop the process that holds it');
    case sqliteCodes.full:
      return make('full', 'has no space left on its disk; free some, nothing was written');
    case sqliteCodes.readOnly:
    case sqliteCodes.perm:
      return make('read_only', 'cannot be written; give this user write permission on the file and its directory');
    case sqliteCodes.cantOpen:
      return make('unavailable', 'cannot be opened; check that its directory exists and is writable');
    case sqliteCodes.corrupt:
      return make('corrupt', 'is damaged; stop the server and restore it from a backup');
    case sqliteCodes.notADatabase:
      return make('corrupt', 'is not an SQLite database; check the path, or restore it from a backup');
    case sqliteCodes.ioError:
      return committing
        ? make('unknown_outcome', 'failed to reach its disk while committing; check the disk, then restart')
        : make('unavailable', 'cannot reach its disk; check the disk, nothing was written');
    default:
      return fromSystemError(error, store);
  }
}

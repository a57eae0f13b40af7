/**
 * One server on one state directory. Node has no file locks of its own, but SQLite does: an exclusive transaction holds
 * one that the kernel lets go of when the process dies, however it dies (https://www.sqlite.org/lockingv3.html).
 */
import { DatabaseSync } from 'node:sqlite';
import { StandaloneError } from './errors.ts';

/** Returns how to let go of the lock. Throws `StandaloneError` `locked` while somebody else holds it. */
export function takeLock(path: string): () => void {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // A rollback journal: in WAL mode an exclusive transaction would still let a second one open.
    database.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (!/locked|busy/i.test((error as Error).message))
      throw new StandaloneError('state_unusable', `can't lock ${JSON.stringify(path)}: ${(error as Error).message}`, {
        hint: 'name a state directory on a local disk that this account may write to',
        cause: error,
      });
    throw new StandaloneError(
      'locked',
      `another server runs on this state directory (${JSON.stringify(path)} is held)`,
      {
        hint: 'stop it first, or name another directory with --state',
        cause: error,
      },
    );
  }
  return () => database.close();
}

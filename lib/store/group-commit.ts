/** Group commit: transactions requested in one turn of the event loop share one commit, and resolve only after it. */
import { type Outcome, StoreError, type Write } from './port.ts';

/** One connection to a database with transactions; every call is synchronous and throws the database's own errors. */
export type Connection = {
  /** Takes the write lock. */
  begin(): void;
  /** Evaluates and applies one transaction inside the open one; a `StoreError` means that nothing of it was written. */
  apply(writes: readonly Write[]): Outcome;
  /** Durable when it returns. */
  commit(): void;
  /** Without effect when no transaction is open. */
  rollback(): void;
  isBusy(error: unknown): boolean;
  toStoreError(error: unknown, committing: boolean): StoreError;
  /** After every commit, and after a failure. */
  onCommit(): void;
};

export type GroupCommit = {
  transact(writes: readonly Write[]): Promise<Outcome>;
  /** Resolves once nothing is queued. */
  drain(): Promise<void>;
  /** The reason why this connection must not be used any more. */
  failure(): StoreError | undefined;
};

type Job = {
  readonly writes: readonly Write[];
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
};

/** Writes committed together at most: bounds how long one commit keeps the process from other work. */
const maxGroupWrites = 1_000;
/** Between two attempts at a lock that another process holds. */
const lockPauseMs = 12;

/** `maxLockAttempts`: how often to ask for a lock that another process holds; with SQLite's own 20 ms each, about 5 s. */
export function createGroupCommit(
  connection: Connection,
  options: { readonly maxLockAttempts?: number } = {},
): GroupCommit {
  const { maxLockAttempts = 150 } = options;
  let queue: Job[] = [];
  let scheduled = false;
  let lockAttempts = 0;
  let failed: StoreError | undefined;
  let onDrained: (() => void)[] = [];

  function schedule(): void {
    if (queue.length === 0) {
      for (const resolve of onDrained) resolve();
      onDrained = [];
    } else if (!scheduled) {
      scheduled = true;
      setImmediate(runQueue);
    }
  }

  function runQueue(): void {
    scheduled = false;
    try {
      connection.begin();
    } catch (error) {
      lockAttempts += 1;
      if (connection.isBusy(error) && lockAttempts < maxLockAttempts) {
        scheduled = true;
        setTimeout(runQueue, lockPauseMs);
      } else {
        rejectQueue(connection.toStoreError(error, false));
      }
      return;
    }
    lockAttempts = 0;
    const group = takeGroup(queue);
    queue = queue.slice(group.length);
    commitGroup(group);
    schedule();
  }

  /** Runs in an open transaction, and ends it. */
  function commitGroup(group: readonly Job[]): void {
    const settled: (() => void)[] = [];
    let committing = false;
    try {
      for (const job of group) settled.push(applyJob(job));
      committing = true;
      connection.commit();
    } catch (error) {
      recover(group, connection.toStoreError(error, committing));
      return;
    }
    for (const settle of settled) settle();
    connection.onCommit();
  }

  /** Returns how to settle the job, for after the commit. */
  function applyJob({ writes, resolve, reject }: Job): () => void {
    try {
      const outcome = connection.apply(writes);
      return () => resolve(outcome);
    } catch (error) {
      // The job's own fault, and nothing of it was written: the others of the group go on.
      if (error instanceof StoreError) return () => reject(error);
      throw error;
    }
  }

  function recover(group: readonly Job[], error: StoreError): void {
    connection.rollback();
    if (error.code === 'unknown_outcome') {
      // What the file holds and what this connection believes may differ: none of its answers can be trusted any more.
      failed = new StoreError('unavailable', error.message, { cause: error });
      for (const job of group) job.reject(error);
      rejectQueue(failed);
      connection.onCommit();
      return;
    }
    if (group.length === 1) {
      group[0]!.reject(error);
      return;
    }
    // One may have failed because of the others (a full disk): each gets its own chance.
    for (const job of group) commitAlone(job);
  }

  function commitAlone(job: Job): void {
    try {
      if (failed !== undefined) throw failed;
      connection.begin();
    } catch (error) {
      job.reject(connection.toStoreError(error, false));
      return;
    }
    commitGroup([job]);
  }

  function rejectQueue(error: StoreError): void {
    lockAttempts = 0;
    const jobs = queue;
    queue = [];
    for (const job of jobs) job.reject(error);
    schedule();
  }

  return {
    transact(writes) {
      return new Promise((resolve, reject) => {
        queue.push({ writes, resolve, reject });
        schedule();
      });
    },
    drain() {
      return new Promise((resolve) => {
        onDrained.push(resolve);
        schedule();
      });
    },
    failure: () => failed,
  };
}

function takeGroup(queue: readonly Job[]): readonly Job[] {
  let writes = 0;
  const size = queue.findIndex((job) => {
    writes += job.writes.length;
    return writes > maxGroupWrites;
  });
  return size === -1 ? queue : queue.slice(0, Math.max(1, size));
}

/**
 * Delivers to one destination until there is nothing to do, it must wait, or the deadline: the same code embedded and as
 * a function. The log is the queue, the cursor is the only state; whoever calls this may die at any step, and the
 * identical batch is sent again, first.
 */
import { readCursor, takeLease } from './cursor.ts';
import { heartbeatMs } from './next-batch.ts';
import { readRecord } from './record.ts';
import type { RunDeps, RunOutcome } from './run-port.ts';
import { createWorker, LostLease, leaseMs } from './worker.ts';

export type RunLimits = {
  /** Unix milliseconds: nothing is begun after it. */
  readonly until: number;
  readonly signal: AbortSignal;
};

/** Throws `StoreError` when the store can't be reached: then nothing is lost, and it is called again. */
export async function runDestination(deps: RunDeps, name: string, limits: RunLimits): Promise<RunOutcome> {
  const early = await withoutLease(deps, name);
  if (early !== undefined) return early;
  const lease = await takeLease(deps.store, name, { owner: deps.owner, now: deps.now(), leaseMs });
  if (lease.kind !== 'taken') return lease;
  const worker = createWorker(deps, lease.cursor);
  try {
    for (;;) {
      if (limits.signal.aborted || deps.now() >= limits.until) return { kind: 'more' };
      const record = await readRecord(deps.store, name);
      if (record === undefined || record.id !== lease.cursor.state.id) return { kind: 'gone' };
      const outcome = await worker.round(record, limits.signal);
      if (outcome !== undefined) return outcome;
    }
  } catch (error) {
    if (error instanceof LostLease) return { kind: 'held', until: deps.now() + leaseMs };
    throw error;
  } finally {
    await worker.release();
  }
}

/** What can be told from reading alone: taking the lease costs two writes, and most rings are for somebody else. */
export async function withoutLease(
  { store, reader, now, owner }: Pick<RunDeps, 'store' | 'reader' | 'now' | 'owner'>,
  name: string,
): Promise<RunOutcome | undefined> {
  const [record, cursor] = await Promise.all([readRecord(store, name), readCursor(store, name)]);
  if (record === undefined || cursor === undefined || record.id !== cursor.state.id) return { kind: 'gone' };
  if (record.paused) return { kind: 'asleep' };
  const { state, leaseUntil } = cursor;
  if (leaseUntil > now() && state.owner !== owner) return { kind: 'held', until: leaseUntil };
  const isKicked = state.kick !== record.kick || state.configRevision !== record.configRevision;
  if (isKicked) return undefined;
  if (state.state === 'integrity_hold') return { kind: 'asleep' };
  if (state.retryAt > now()) return { kind: 'backing_off', until: state.retryAt };
  const hasMore =
    state.main.inflight !== undefined ||
    record.test?.nonce !== state.test?.nonce ||
    record.replay?.id !== state.replay?.id ||
    (state.replay !== undefined && state.replay.next < state.replay.to) ||
    now() >= state.heartbeatAt + heartbeatMs ||
    (await reader.head()).size !== state.main.next;
  return hasMore ? undefined : { kind: 'idle', until: state.heartbeatAt + heartbeatMs };
}

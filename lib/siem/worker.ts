/**
 * A worker: holds the lease of one destination and delivers batch after batch. Each round writes down what is on its way,
 * sends it, and judges the answer; each write is conditional on the one before, so one that lost its lease moves nothing.
 */
import { randomBytes } from 'node:crypto';
import { AuditError } from '../audit/port.ts';
import { systemActor } from '../audit/system-entry.ts';
import { toHex } from '../crypto/encoding.ts';
import { hasDseq } from './build-batch.ts';
import { type Cursor, type CursorState, commit, type Inflight, putCursor, readCursor } from './cursor.ts';
import type { Destination, SendResult } from './destination.ts';
import type { Batch, FeedEvent } from './event.ts';
import { filterKey } from './filter.ts';
import { nextBatch, nextHeartbeat, type Prepared } from './next-batch.ts';
import { applyResult, dropInflight, enter, type TrackName, withInflight } from './outcome.ts';
import type { DestinationRecord } from './record.ts';
import type { RunDeps, RunOutcome } from './run-port.ts';
import { IntegrityError } from './sealed-reader.ts';
import { sendTimeoutMs, withDeadline } from './send-deadline.ts';

/** Twice what a send may take, so that a worker that lives never loses it. */
export const leaseMs = 2 * sendTimeoutMs;

/** Another worker has it now. Nothing more is written by this one. */
export class LostLease extends Error {
  override readonly name = 'LostLease';
}

/** Holds the lease and the cursor as it was last written. Invariant: `state` is what is written next. */
export function createWorker(deps: RunDeps, taken: Cursor) {
  const { store, now, origin, audit, random = randomBytes, jitter = Math.random } = deps;
  let cursor = taken;
  let { state } = taken;
  let isLost = false;
  /** Whose turn it is when both have something. */
  let turn: TrackName = 'main';

  /** One batch at most. An outcome when there is nothing more to do for now. */
  async function round(record: DestinationRecord, stop: AbortSignal): Promise<RunOutcome | undefined> {
    await notice(record);
    if (record.paused || state.state === 'integrity_hold') return { kind: 'asleep' };
    if (state.retryAt > now()) return { kind: 'backing_off', until: state.retryAt };
    const destination = deps.destinationOf(record);
    let next: Awaited<ReturnType<typeof nextBatch>>;
    try {
      next = await nextBatch({ ...deps, random }, { state, record, destination }, turn);
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      await hold(record, error);
      return { kind: 'asleep' };
    }
    if (next === undefined) return { kind: 'idle', until: nextHeartbeat(state) };
    if (next.kind === 'moved') {
      ({ state } = next);
      await renewIfOld();
      return undefined;
    }
    turn = next.track === 'main' && state.replay !== undefined ? 'replay' : 'main';
    await writeDown(next);
    const { track, inflight, events } = next;
    const result = await exchange(record, destination, next, stop);
    if (result === undefined) return { kind: 'more' };
    const answered = {
      ...{ track, inflight, events, now: now(), jitter: jitter() },
      ...{ newId: toHex(random(16)), maxEvents: destination.limits.maxEvents },
    };
    if (result.kind === 'auth') deps.credentials.forget(record.config);
    await judge(record, applyResult(state, answered, result));
    return undefined;
  }

  /** What operators changed since. */
  async function notice(record: DestinationRecord): Promise<void> {
    const { config } = record;
    if (state.configRevision !== record.configRevision) {
      const { limit: _limit, narrowUntil: _until, ...kept } = dropInflight(state);
      state = { ...kept, configRevision: record.configRevision, retryAt: 0, streak: 0 };
      if (state.filter !== filterKey(config.filter)) beginGeneration(filterKey(config.filter));
    }
    if (state.replay?.id !== record.replay?.id) {
      const { replay: _before, ...rest } = state;
      state = record.replay === undefined ? rest : { ...rest, replay: newReplay(record) };
    }
    if (state.kick === record.kick) return;
    const kicked = { ...state, kick: record.kick, retryAt: 0 };
    if (state.state === 'integrity_hold') await change(record, enter(kicked, 'active', now()));
    else state = kicked;
  }

  function beginGeneration(filter: string): void {
    const { next, chain } = state.main;
    const main = { next, ...(chain !== undefined && { chain }), delivered: 0, filtered: 0, quarantined: 0 };
    state = { ...state, filter, generation: state.generation + 1, since: next, main };
  }

  /** In a filtered feed it begins where the counting began, so that each event gets the dseq that it had. */
  function newReplay({ config, replay }: DestinationRecord): NonNullable<CursorState['replay']> {
    const { id, from, to } = replay as NonNullable<DestinationRecord['replay']>;
    const next = hasDseq(config) && from >= state.since ? state.since : from;
    return { id, from, to: Math.min(to, state.main.next), next, delivered: 0, filtered: 0, quarantined: 0 };
  }

  /** On its way, from now on; with it, what was delivered before. */
  async function writeDown({ track, inflight, isNew }: Prepared): Promise<void> {
    if (!isNew) return renewIfOld();
    state = withInflight(state, track, inflight);
    await write();
  }

  async function exchange(
    record: DestinationRecord,
    destination: Destination,
    { inflight, events, track }: Prepared,
    stop: AbortSignal,
  ): Promise<SendResult | undefined> {
    const fetched = await deps.credentials.fetch(record.config);
    if (!fetched.ok) return fetched.result;
    const { pending } = inflight;
    const call = (signal: AbortSignal) =>
      pending !== undefined && destination.confirm !== undefined
        ? destination.confirm(pending.token, fetched.credentials, signal)
        : destination.send(batchOf(record, inflight, events, track), fetched.credentials, signal);
    const result = await withDeadline(call, { stop, timer: deps.timer, destination });
    // Told to stop in the middle of a send: nothing is known of it, so nothing is written of it.
    return stop.aborted && result.kind === 'transient' ? undefined : result;
  }

  function batchOf(
    record: DestinationRecord,
    inflight: Inflight,
    events: readonly FeedEvent[],
    track: TrackName,
  ): Batch {
    const { id, madeAt, checkpoint } = inflight;
    return {
      ...{ id, log: origin, destination: record.config.name, madeAt, events },
      ...(checkpoint !== undefined && { checkpoint }),
      ...(track === 'replay' && state.replay !== undefined && { replay: state.replay.id }),
    };
  }

  /** Written with an audit entry when it is another state; otherwise with the next thing that is written. */
  async function judge(record: DestinationRecord, next: CursorState): Promise<void> {
    if (next.state !== state.state) return change(record, next);
    const isNothing = next.main.inflight === undefined && next.replay?.inflight === undefined;
    const isPlain = next.retryAt === 0 && isNothing && next.limit === state.limit;
    state = next;
    // What was delivered is written with the next batch; all else at once, so that it outlives this process.
    if (!isPlain) await write();
  }

  async function hold(record: DestinationRecord, error: IntegrityError): Promise<void> {
    deps.logger.error(
      { err: error, destination: record.config.name, seq: error.seq },
      'The log is not what was sealed',
    );
    const lastError = { at: now(), reason: error.message.slice(0, 300) };
    await change(record, enter({ ...dropInflight(state), lastError }, 'integrity_hold', now()));
  }

  /** No change of state without its entry. When the log can't take it, all but the change stands. */
  async function change(record: DestinationRecord, next: CursorState): Promise<void> {
    const { name } = record.config;
    const reason = next.state === 'active' ? undefined : next.lastError?.reason;
    const following = successor(next);
    try {
      const { ok } = await audit.append(
        {
          type: 'siem.state',
          actor: systemActor,
          object: { kind: 'destination', id: name },
          outcome: 'success',
          detail: { from: state.state, to: next.state, ...(reason !== undefined && { reason }) },
        },
        [putCursor(following)],
      );
      if (!ok) throw lost();
      cursor = following;
      state = next;
      deps.logger.warn({ destination: name, state: next.state, reason }, 'A destination changed its state');
    } catch (error) {
      if (!(error instanceof AuditError)) throw error;
      const stands = await readCursor(store, name);
      if (stands?.version === following.version && stands.epoch === following.epoch) {
        cursor = following;
        state = next;
        return;
      }
      deps.logger.warn(
        { err: error, destination: name, state: next.state },
        'A change of state waits for the audit log',
      );
      state = { ...next, state: state.state, stateAt: state.stateAt };
      if (next.state === 'integrity_hold') throw error;
      await write();
    }
  }

  function successor(next: CursorState): Cursor {
    return { ...cursor, version: cursor.version + 1, leaseUntil: now() + leaseMs, state: next };
  }

  async function write(): Promise<void> {
    const following = successor(state);
    if (!(await commit(store, following))) throw lost();
    cursor = following;
  }

  function lost(): LostLease {
    isLost = true;
    return new LostLease('another worker has taken the lease');
  }

  async function renewIfOld(): Promise<void> {
    if (cursor.leaseUntil - now() < sendTimeoutMs + 10_000) await write();
  }

  /** Writes what is not written, and lets others have it. What fails here is found again by whoever comes next. */
  async function release(): Promise<void> {
    if (isLost) return;
    try {
      await commit(store, { ...successor(state), leaseUntil: 0 });
    } catch (error) {
      deps.logger.warn({ err: error, destination: cursor.name }, 'The lease of a destination could not be given back');
    }
  }

  return { round, release };
}

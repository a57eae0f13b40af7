/**
 * Delivers to one destination until there is nothing to do, it must wait, or the deadline: the same code embedded and as
 * a function. The log is the queue, the cursor is the only state; whoever calls this may die at any step.
 *
 * Order of each round: what is on its way is written down (with what was delivered before it, in one write), then it is
 * sent, then the answer is judged. So after a crash the identical batch is sent again, first.
 */
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { readCheckpoint } from '../audit/head.ts';
import { AuditError, type AuditLog } from '../audit/port.ts';
import { systemActor } from '../audit/system-entry.ts';
import { toHex } from '../crypto/encoding.ts';
import type { Store } from '../store/port.ts';
import { eventsOf, hasDseq, type Stretch, takeStretch } from './build-batch.ts';
import type { CredentialReader } from './credentials.ts';
import { type Cursor, type CursorState, commit, type Inflight, putCursor, readCursor, takeLease } from './cursor.ts';
import type { Destination, SendResult } from './destination.ts';
import type { Batch, FeedEvent, HeartbeatEvent } from './event.ts';
import { filterKey } from './filter.ts';
import { applyResult, dropInflight, enter, type TrackName, trackOf, withInflight, withTrack } from './outcome.ts';
import { type DestinationRecord, readRecord } from './record.ts';
import { IntegrityError, type SealedHead, type SealedReader } from './sealed-reader.ts';

export type RunDeps = {
  readonly store: Store;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly origin: string;
  readonly reader: SealedReader;
  readonly credentials: CredentialReader;
  /** The destination of a record; the same one while its configuration is the same. */
  readonly destinationOf: (record: DestinationRecord) => Destination;
  readonly now: () => number;
  /** Names this worker among those that may run at the same time. A lease that it left behind is its own again. */
  readonly owner: string;
  readonly logger: Pick<Logger, 'warn' | 'error'>;
  readonly random?: (n: number) => Uint8Array;
  /** In [0, 1). */
  readonly jitter?: () => number;
  /** Calls back once later; returns what cancels it. Ends a send that takes too long. */
  readonly timer?: (callback: () => void, ms: number) => () => void;
};

export type RunLimits = {
  /** Unix milliseconds: nothing is begun after it. */
  readonly until: number;
  readonly signal: AbortSignal;
};

/**
 * `idle`: all is delivered; nothing to do before then, unless something is sealed or an operator changes something.
 * `backing_off`: not to be tried before then, unless an operator wants it. `held`: another worker has the lease until
 * then. `asleep`: paused or on hold, until an operator changes it. `more`: the deadline came first.
 */
export type RunOutcome =
  | { readonly kind: 'idle' | 'backing_off' | 'held'; readonly until: number }
  | { readonly kind: 'asleep' | 'more' | 'gone' };

export const heartbeatMs = 60_000;
const sendTimeoutMs = 30_000;
/** Twice what a send may take, so that a worker that lives never loses it. */
const leaseMs = 2 * sendTimeoutMs;

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
async function withoutLease({ store, reader, now, owner }: RunDeps, name: string): Promise<RunOutcome | undefined> {
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

/** Another worker has it now. Nothing more is written by this one. */
class LostLease extends Error {
  override readonly name = 'LostLease';
}

/** What is to be sent, and the cursor's state with it on its way. */
type Prepared = {
  readonly track: TrackName;
  readonly inflight: Inflight;
  readonly events: readonly FeedEvent[];
  /** Not written down yet. */
  readonly isNew: boolean;
};

/** Holds the lease and the cursor as it was last written. Invariant: `state` is what is written next. */
function createWorker(deps: RunDeps, taken: Cursor) {
  const { store, now, reader, origin, audit } = deps;
  const random = deps.random ?? randomBytes;
  const jitter = deps.jitter ?? Math.random;
  const timer = deps.timer ?? unrefTimer;
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
    let prepared: Prepared | 'moved' | undefined;
    try {
      prepared = await prepare(record, destination);
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      await hold(record, error);
      return { kind: 'asleep' };
    }
    if (prepared === 'moved') return undefined;
    if (prepared === undefined) return { kind: 'idle', until: nextHeartbeat() };
    await writeDown(prepared);
    const { track, inflight, events } = prepared;
    const result = await exchange(record, destination, prepared, stop);
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

  async function prepare(record: DestinationRecord, destination: Destination): Promise<Prepared | 'moved' | undefined> {
    const head = await reader.head();
    const order: readonly TrackName[] = turn === 'main' ? ['main', 'replay'] : ['replay', 'main'];
    for (const name of order) {
      if (name === 'replay' && state.replay === undefined) continue;
      const found =
        trackOf(state, name).inflight === undefined
          ? await choose(record, destination, name, head)
          : await remake(record, name, head);
      if (found === undefined) continue;
      turn = name === 'main' && state.replay !== undefined ? 'replay' : 'main';
      return found;
    }
    return undefined;
  }

  /** The identical batch again. */
  async function remake(record: DestinationRecord, name: TrackName, head: SealedHead): Promise<Prepared> {
    const inflight = trackOf(state, name).inflight as Inflight;
    const { from: next, to: end, sent: maxEvents } = inflight;
    const { chain } = trackOf(state, name);
    const track = { next, ...(chain !== undefined && { chain }) };
    const unlimited = { end, maxEvents: Math.max(maxEvents, 1), maxBytes: Number.POSITIVE_INFINITY };
    const stretch = await takeStretch(reader, head, track, record, unlimited);
    if (inflight.chain !== undefined && stretch.chain !== inflight.chain) {
      throw new IntegrityError(next, `entries ${next} to ${end - 1} are not those that were sent before`);
    }
    return { track: name, inflight, events: makeEvents(record, name, stretch, inflight), isNew: false };
  }

  /** A new batch from where the track stands. */
  async function choose(
    record: DestinationRecord,
    { limits }: Destination,
    name: TrackName,
    head: SealedHead,
  ): Promise<Prepared | 'moved' | undefined> {
    const track = trackOf(state, name);
    const isProbe = state.state !== 'active';
    const most = isProbe ? 1 : Math.min(limits.maxEvents, state.limit ?? limits.maxEvents);
    const test =
      name === 'main' && record.test && record.test.nonce !== state.test?.nonce ? record.test.nonce : undefined;
    const isSkipping = name === 'replay' && track.next < (state.replay?.from ?? 0);
    const end = name === 'main' ? head.size : isSkipping ? (state.replay?.from ?? 0) : (state.replay?.to ?? 0);
    // Somebody waits for the test: of a probe it is the one event.
    const maxEvents = isSkipping ? limits.maxEvents : test !== undefined && most === 1 ? 0 : most;
    const stretch = await takeStretch(reader, head, track, record, { end, maxEvents, maxBytes: limits.maxBytes });
    const room = most - stretch.taken.length;
    const isDue = name === 'main' && now() >= nextHeartbeat();
    const withTest = test !== undefined && room > 0;
    const withHeartbeat = isDue && room > (withTest ? 1 : 0) && !isSkipping;
    if (stretch.to === stretch.from && !withTest && !withHeartbeat) return undefined;
    if (isSkipping || (stretch.taken.length === 0 && !withTest && !withHeartbeat)) {
      skip(name, stretch);
      await renewIfOld();
      return 'moved';
    }
    const checkpoint = await readCheckpoint(store);
    const madeAt = now();
    const draft: Inflight = {
      ...{ id: toHex(random(16)), configRevision: record.configRevision, madeAt },
      ...{ from: stretch.from, to: stretch.to, sent: stretch.taken.length, filtered: stretch.filtered },
      ...{ stubs: [], rest: false },
      ...(stretch.chain !== undefined && { chain: stretch.chain }),
      ...(withTest && { test }),
      ...(checkpoint && { checkpoint: { size: checkpoint.size, note: checkpoint.note } }),
    };
    const inflight = withHeartbeat
      ? { ...draft, heartbeat: JSON.stringify(await heartbeatAfter(record, stretch, head, madeAt)) }
      : draft;
    return { track: name, inflight, events: makeEvents(record, name, stretch, inflight), isNew: true };
  }

  /** Nothing of it is for this destination, or it is only counted. */
  function skip(name: TrackName, { to, chain, taken, filtered }: Stretch): void {
    const track = trackOf(state, name);
    state = withTrack(state, name, {
      ...track,
      next: to,
      ...(chain !== undefined && { chain }),
      delivered: track.delivered + taken.length,
      filtered: track.filtered + filtered,
    });
  }

  function makeEvents(
    { config, salt }: DestinationRecord,
    name: TrackName,
    { taken }: Stretch,
    inflight: Inflight,
  ): readonly FeedEvent[] {
    const { delivered, quarantined } = trackOf(state, name);
    const isCounted = hasDseq(config) && (name === 'main' || (state.replay?.from ?? 0) >= state.since);
    return eventsOf({ origin, config, salt }, taken, inflight, isCounted ? delivered + quarantined : undefined);
  }

  /** As it will be once the batch that it closes is delivered. */
  async function heartbeatAfter(
    { config }: DestinationRecord,
    { to, chain, taken, filtered }: Stretch,
    head: SealedHead,
    madeAt: number,
  ): Promise<HeartbeatEvent> {
    const { main, generation, since } = state;
    const delivered = main.delivered + taken.length;
    const oldest = to < head.size ? (await reader.read(to, head))[0] : undefined;
    return {
      kind: 'heartbeat',
      id: `${origin}:heartbeat:${config.name}:${madeAt}`,
      time: new Date(madeAt).toISOString(),
      destination: config.name,
      generation,
      head: { size: head.size, chain: head.chain },
      next: to,
      chain: chain ?? main.chain ?? '',
      since,
      delivered,
      filtered: main.filtered + filtered,
      quarantined: main.quarantined,
      ...(hasDseq(config) && { dseq: delivered + main.quarantined }),
      lag: {
        entries: head.size - to,
        ms: oldest === undefined ? 0 : Math.max(0, madeAt - Date.parse(oldest.entry.ts)),
      },
    };
  }

  function nextHeartbeat(): number {
    return state.heartbeatAt + heartbeatMs;
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
    const result = await withDeadline(call, { stop, timer, destination });
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

/** A destination that does not end when told to is closed, and what it says later is not heard. */
async function withDeadline(
  call: (signal: AbortSignal) => Promise<SendResult>,
  { stop, timer, destination }: { stop: AbortSignal; timer: NonNullable<RunDeps['timer']>; destination: Destination },
): Promise<SendResult> {
  const timedOut: SendResult = { kind: 'transient', reason: 'no answer in time' };
  if (stop.aborted) return timedOut;
  const controller = new AbortController();
  const end = () => controller.abort();
  const cancel = timer(end, sendTimeoutMs);
  stop.addEventListener('abort', end, { once: true });
  const late = new Promise<'late'>((resolve) => {
    // A little more, for a destination that ends as it should and says why.
    controller.signal.addEventListener('abort', () => setTimeout(() => resolve('late'), 100).unref(), { once: true });
  });
  try {
    const result = await Promise.race([call(controller.signal), late]);
    if (result !== 'late') return result;
    await destination.close();
    return timedOut;
  } finally {
    cancel();
    stop.removeEventListener('abort', end);
  }
}

function unrefTimer(callback: () => void, ms: number): () => void {
  const timer = setTimeout(callback, ms);
  timer.unref();
  return () => clearTimeout(timer);
}

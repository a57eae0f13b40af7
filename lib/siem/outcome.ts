/**
 * What follows from a receiver's answer: the next state of the cursor, as a pure function. The position moves only when
 * every event of the batch is at the receiver; whatever else it answers, the batch, or its parts, come again.
 */
import { authProbeMs, backoffMs, configProbeMs } from './backoff.ts';
import type { CursorState, FeedState, Inflight, Track } from './cursor.ts';
import type { SendResult } from './destination.ts';
import type { FeedEvent } from './event.ts';

export type TrackName = 'main' | 'replay';

export type Answered = {
  readonly track: TrackName;
  readonly inflight: Inflight;
  readonly events: readonly FeedEvent[];
  readonly now: number;
  /** In [0, 1). */
  readonly jitter: number;
  /** For a batch whose content changes: 32 hex digits. */
  readonly newId: string;
  /** The destination's own limit. */
  readonly maxEvents: number;
};

/** So many failures one after the other open the breaker. */
const breakerFailures = 3;
/** What an acknowledged receiver does not confirm within this time is sent again. */
const confirmWithinMs = 120_000;
const firstAskMs = 250;
const mostAskMs = 5_000;
/** After so many batches that went well, twice as many events are tried again. */
const growAfter = 50;

export function applyResult(state: CursorState, answered: Answered, result: SendResult): CursorState {
  const { inflight, now } = answered;
  if (inflight.pending !== undefined && result.kind === 'transient')
    return askLater(state, answered, inflight.pending.token);
  switch (result.kind) {
    case 'delivered':
      return advance(state, answered);
    case 'pending':
      return askLater(state, answered, result.token);
    case 'partial':
      return quarantineSome(state, answered, result.rejected);
    case 'too_large':
    case 'rejected':
      return narrow(state, answered, result.kind, result.reason);
    case 'transient':
      return fail(state, 'retrying', result.reason, now, (failures) =>
        backoffMs(failures, answered.jitter, result.retryAfterMs),
      );
    case 'auth':
      return fail(state, 'blocked_auth', result.reason, now, () => authProbeMs);
    case 'config':
      return fail(state, 'blocked_config', result.reason, now, () => configProbeMs);
    default:
      return result satisfies never;
  }
}

export function trackOf(state: CursorState, name: TrackName): Track {
  const track = name === 'main' ? state.main : state.replay;
  if (track === undefined) throw new TypeError('there is no replay');
  return track;
}

export function withTrack(state: CursorState, name: TrackName, track: Track): CursorState {
  if (name === 'main') return { ...state, main: track };
  if (state.replay === undefined) throw new TypeError('there is no replay');
  return { ...state, replay: { ...state.replay, ...track } };
}

export function withInflight(state: CursorState, name: TrackName, inflight: Inflight | undefined): CursorState {
  const { inflight: _old, ...rest } = trackOf(state, name);
  if (name === 'main') return { ...state, main: inflight === undefined ? rest : { ...rest, inflight } };
  const { id, from, to } = state.replay as NonNullable<CursorState['replay']>;
  return { ...state, replay: { ...rest, id, from, to, ...(inflight !== undefined && { inflight }) } };
}

/** Nothing is on its way any more: it is made anew, from where the tracks stand. */
export function dropInflight(state: CursorState): CursorState {
  const main = withInflight(state, 'main', undefined);
  return main.replay === undefined ? main : withInflight(main, 'replay', undefined);
}

/** Into another state; the same one goes on since it began. */
export function enter(state: CursorState, next: FeedState, now: number): CursorState {
  return state.state === next ? state : { ...state, state: next, stateAt: now };
}

/** Entries beyond doubt are at the receiver: [from, to) is behind us. */
export function advance(state: CursorState, { track: name, inflight, now, maxEvents }: Answered): CursorState {
  const track = trackOf(state, name);
  const stubs = inflight.stubs.length;
  const { chain = track.chain } = inflight;
  const moved = withTrack(withInflight(state, name, undefined), name, {
    next: inflight.to,
    ...(chain !== undefined && { chain }),
    delivered: track.delivered + inflight.sent - stubs,
    filtered: track.filtered + inflight.filtered,
    quarantined: track.quarantined + stubs,
  });
  const grown = grow(moved, maxEvents);
  return {
    ...enter(grown, 'active', now),
    failures: 0,
    retryAt: 0,
    deliveredAt: now,
    ...(inflight.heartbeat !== undefined && { heartbeatAt: inflight.madeAt }),
    ...(inflight.test !== undefined && { test: { nonce: inflight.test, sentAt: now } }),
  };
}

function grow(state: CursorState, maxEvents: number): CursorState {
  const { limit, narrowUntil, ...rest } = state;
  if (limit === undefined) return state;
  // The event that was refused is behind us, and with it the reason to go slowly.
  if (narrowUntil !== undefined) return state.main.next >= narrowUntil ? { ...rest, streak: 0 } : state;
  if (state.streak + 1 < growAfter) return { ...state, streak: state.streak + 1 };
  return limit * 2 >= maxEvents ? { ...rest, streak: 0 } : { ...rest, limit: limit * 2, streak: 0 };
}

function askLater(state: CursorState, { track, inflight, now }: Answered, token: string): CursorState {
  const { since = now, asked = -1 } = inflight.pending ?? {};
  if (now - since >= confirmWithinMs) {
    const { pending: _unconfirmed, ...again } = inflight;
    const sendAgain = withInflight(state, track, again);
    return fail(sendAgain, 'retrying', 'the receiver did not confirm the batch in time', now, () => firstAskMs);
  }
  const pending = { token, since, asked: asked + 1 };
  const retryAt = now + Math.min(mostAskMs, firstAskMs * 2 ** Math.min(pending.asked, 10));
  return { ...withInflight(state, track, { ...inflight, pending }), retryAt };
}

/** Some entries are refused for good: now they go as stubs, and they alone. */
function quarantineSome(
  state: CursorState,
  answered: Answered,
  rejected: readonly { readonly index: number; readonly reason: 'oversize' | 'refused' }[],
): CursorState {
  const { events, inflight, track, newId } = answered;
  if (rejected.length === 0) return advance(state, answered);
  const stubs: Inflight['stubs'] = [];
  for (const { index, reason } of rejected) {
    const event = events[index];
    if (event?.kind !== 'entry') return refusedForm(state, answered, event?.kind ?? 'event');
    stubs.push({ seq: event.seq, reason });
  }
  const { pending: _answered, ...rest } = inflight;
  return { ...withInflight(state, track, { ...rest, id: newId, stubs, rest: true }), retryAt: 0 };
}

/** Halves; one entry alone becomes a stub. */
function narrow(state: CursorState, answered: Answered, kind: 'too_large' | 'rejected', reason: string): CursorState {
  const { events, inflight, track, newId } = answered;
  const [event] = events;
  if (inflight.rest) return refusedForm(state, answered, 'stub', reason);
  if (events.length === 1) {
    if (event?.kind !== 'entry') return refusedForm(state, answered, event?.kind ?? 'event', reason);
    const stub = { seq: event.seq, reason: kind === 'too_large' ? ('oversize' as const) : ('refused' as const) };
    const { pending: _answered, ...rest } = inflight;
    return { ...withInflight(state, track, { ...rest, id: newId, stubs: [stub] }), retryAt: 0 };
  }
  const { narrowUntil: _before, ...rest } = dropInflight(state);
  const narrowUntil =
    kind === 'rejected' && track === 'main' ? Math.max(state.narrowUntil ?? 0, inflight.to) : undefined;
  return {
    ...rest,
    limit: Math.ceil(events.length / 2),
    ...(narrowUntil !== undefined && { narrowUntil }),
    streak: 0,
    retryAt: 0,
  };
}

/** What stands for an entry, or for the feed itself, must never be left out: an operator has to look. */
function refusedForm(state: CursorState, { now }: Answered, what: string, reason = 'refused'): CursorState {
  return fail(state, 'blocked_config', `the receiver takes no ${what}: ${reason}`, now, () => configProbeMs);
}

function fail(
  state: CursorState,
  next: Exclude<FeedState, 'active' | 'integrity_hold'>,
  reason: string,
  now: number,
  waitMs: (failures: number) => number,
): CursorState {
  const failures = state.failures + 1;
  const failed = {
    ...state,
    failures,
    retryAt: now + waitMs(failures),
    lastError: { at: now, reason: reason.slice(0, 300) },
  };
  if (next === 'retrying' && state.state === 'active' && failures < breakerFailures) return failed;
  // The next attempt is of one event, so what is on its way is made anew.
  return enter(dropInflight(failed), next, now);
}

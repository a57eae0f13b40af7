/** A feed of now, as the shipped queries want it: entries of many operations, and a heartbeat that counts them. */
import fc from 'fast-check';
import type { EntryEvent, FeedEvent, HeartbeatEvent } from '../../lib/siem/event.ts';
import { hostileText } from '../fakes/hostile-text.ts';
import { type EventInit, feedOf, heartbeat, specimens, testLog } from '../fakes/siem-events.ts';

/** `dseq` only in a filtered feed. */
export function wholeFeed(
  count: number,
  init: (i: number) => EventInit = specimenAt,
  startAt = Date.now() - 60_000,
): readonly EntryEvent[] {
  const inits = Array.from({ length: count }, (_, i) => init(i));
  return feedOf(inits, startAt).map(({ dseq: _, ...event }) => event);
}

export function filteredFeed(count: number): readonly EntryEvent[] {
  return wholeFeed(count)
    .filter(({ seq }) => seq % 3 !== 1)
    .map((event, dseq) => ({ ...event, dseq }));
}

/** What the feed stands at after these events. */
export function heartbeatAfter(events: readonly EntryEvent[], time = Date.now()): HeartbeatEvent {
  const last = events.at(-1)!;
  const { dseq: _, ...common } = heartbeat;
  const next = last.seq + 1;
  return {
    ...common,
    id: `${testLog}:heartbeat:test:${time}`,
    time: new Date(time).toISOString(),
    head: { size: next, chain: last.chain },
    next,
    chain: last.chain,
    delivered: events.length,
    filtered: next - events.length,
    quarantined: 0,
    ...(last.dseq !== undefined && { dseq: last.dseq + 1 }),
  };
}

/** A whole one whose sender has not been heard of for longer than the shipped queries bear. */
export function silentFeed(count: number): readonly FeedEvent[] {
  const startAt = Date.now() - 400_000;
  const events = wholeFeed(count, specimenAt, startAt);
  return [...events, heartbeatAfter(events, startAt + 60_000)];
}

/** Log-ins by people whose names are meant to break what reads them; the same in every run. */
export function hostileFeed(count: number): readonly EntryEvent[] {
  const names = fc.sample(hostileText, { numRuns: count, seed: 33 });
  return wholeFeed(count, (i) => ({
    type: 'session.create',
    actor: { id: names[i]!, kind: 'user', auth: 'oidc' },
    object: { kind: 'user', id: names[i]! },
    detail: { method: 'oidc', expires: '2026-01-03T00:00:00.000Z' },
  }));
}

const known = specimens();
function specimenAt(i: number): EventInit {
  const { op, object, outcome, detail } = known[i % known.length]!.entry;
  return { type: op.type as EventInit['type'], object, outcome: outcome as 'success' | 'denied', detail };
}

export const withHeartbeat = (events: readonly EntryEvent[]): readonly FeedEvent[] => [
  ...events,
  heartbeatAfter(events),
];

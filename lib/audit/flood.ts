/**
 * Flood control for denials: a token bucket for each actor and type, and for what is over it a count, which becomes
 * one `log.gap` entry per actor and interval. Whoever floods chooses the actor, so what is tracked is bounded.
 */
import type { Actor, AuditEvent } from './port.ts';
import type { OperationType } from './registry.ts';
import { systemActor } from './system-entry.ts';

const capacity = 5;
const intervalMs = 10_000;
const maxTracked = 1024;

type Bucket = {
  readonly actor: Actor;
  readonly type: OperationType;
  tokens: number;
  updated: number;
  suppressed: number;
  unwritten: boolean;
};

/** `restore` takes the count back, for a gap that could not be written. */
export type Gap = { readonly event: AuditEvent; readonly restore: () => void };

export type FloodControl = {
  /** True if the event may have an entry of its own; else it is counted. */
  admit(event: AuditEvent): boolean;
  /** Counts an event that was admitted but could not be written. */
  count(event: AuditEvent): void;
  /** The gaps that are due: all, or those whose interval has passed. Counts begin anew. */
  takeGaps(all: boolean): Gap[];
  /** True while something is counted, so that a timer is needed. */
  isCounting(): boolean;
};

export const gapIntervalMs = intervalMs;

export function createFloodControl({ now }: { readonly now: () => number }): FloodControl {
  const buckets = new Map<string, Bucket>();
  /** Everyone beyond the bound, together. */
  const shared = new Map<OperationType, Bucket>();
  let counted = 0;

  function bucketOf({ actor, type }: AuditEvent): Bucket {
    const key = `${type}|${actor.kind}|${actor.id}`;
    const known = buckets.get(key);
    if (known !== undefined) return refill(known);
    if (buckets.size >= maxTracked) dropIdle();
    const isShared = buckets.size >= maxTracked;
    const held = isShared ? shared.get(type) : undefined;
    if (held !== undefined) return refill(held);
    const fresh = {
      actor: isShared ? systemActor : actor,
      type,
      tokens: capacity,
      updated: now(),
      suppressed: 0,
      unwritten: false,
    };
    if (isShared) shared.set(type, fresh);
    else buckets.set(key, fresh);
    return fresh;
  }

  function refill(bucket: Bucket): Bucket {
    const time = now();
    const gained = (Math.max(0, time - bucket.updated) / intervalMs) * capacity;
    bucket.tokens = Math.min(capacity, bucket.tokens + gained);
    bucket.updated = time;
    return bucket;
  }

  /** A full bucket that counts nothing is as good as none. */
  function dropIdle(): void {
    for (const [key, bucket] of buckets) {
      if (bucket.suppressed === 0 && refill(bucket).tokens >= capacity) buckets.delete(key);
    }
  }

  let gapsTakenAt = now();

  return {
    admit(event) {
      const bucket = bucketOf(event);
      if (bucket.tokens >= 1) {
        bucket.tokens -= 1;
        return true;
      }
      bucket.suppressed += 1;
      counted += 1;
      return false;
    },
    count(event) {
      const bucket = bucketOf(event);
      bucket.suppressed += 1;
      bucket.unwritten = true;
      counted += 1;
    },
    takeGaps(all) {
      if (counted === 0 || (!all && now() - gapsTakenAt < intervalMs)) return [];
      gapsTakenAt = now();
      counted = 0;
      const gaps: Gap[] = [];
      for (const bucket of [...buckets.values(), ...shared.values()]) {
        if (bucket.suppressed === 0) continue;
        const { suppressed } = bucket;
        const restore = () => {
          bucket.suppressed += suppressed;
          bucket.unwritten = true;
          counted += suppressed;
        };
        gaps.push({ event: gapOf(bucket), restore });
        bucket.suppressed = 0;
        bucket.unwritten = false;
      }
      return gaps;
    },
    isCounting: () => counted > 0,
  };
}

function gapOf({ actor, type, suppressed, unwritten }: Bucket): AuditEvent {
  return {
    type: 'log.gap',
    actor,
    object: { kind: 'log', id: type },
    outcome: 'denied',
    detail: { type, count: suppressed, reason: unwritten ? 'not_written' : 'flood' },
  };
}

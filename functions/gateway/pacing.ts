/**
 * When nodes come back: the interval grows with what this gateway holds, so that check-ins never come faster than it
 * serves them, and is jittered by ±20 %, so that a restart of everything is no herd. The answer "no change" is the
 * same for all but for that time, so it is encoded a few times, not once per node.
 */
import { encodeAnswer } from '../../lib/wire/messages.ts';

const variants = 16;
const jitter = 0.2;

export type Pacing = {
  /** "No change", encoded without its counter. */
  unchanged(): Uint8Array;
  nextCheckInMs(): number;
};

export function createPacing(deps: {
  readonly intervalMs: number;
  readonly maxPerSecond: number;
  /** How many nodes are connected. */
  readonly connected: () => number;
  readonly random: () => number;
}): Pacing {
  let encodedFor = 0;
  let encoded: readonly Uint8Array[] = [];

  return {
    unchanged() {
      const intervalMs = interval();
      if (intervalMs !== encodedFor) {
        encoded = Array.from({ length: variants }, (_, index) => encodeUnchanged(spread(intervalMs, index / variants)));
        encodedFor = intervalMs;
      }
      return encoded[Math.floor(deps.random() * variants)]!;
    },
    nextCheckInMs: () => spread(interval(), deps.random()),
  };

  /** Whole seconds, so that it changes rarely. */
  function interval(): number {
    const needed = Math.ceil(deps.connected() / deps.maxPerSecond) * 1000;
    return Math.max(deps.intervalMs, needed);
  }
}

function spread(intervalMs: number, at: number): number {
  return Math.round(intervalMs * (1 - jitter + 2 * jitter * at));
}

function encodeUnchanged(nextCheckInMs: number): Uint8Array {
  return encodeAnswer({ answer: { case: 'checkIn', value: { nextCheckInMs } } });
}

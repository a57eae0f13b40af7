/** Pace: when to try again, spread out so that many agents never come at once. */

/** A number in [0, 1). */
export type Random = () => number;

/**
 * Full jitter: anywhere between nothing and the exponential bound, so that agents that failed together don't return
 * together (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
 */
export function backOffMs(attempt: number, bounds: { firstMs: number; maxMs: number }, random: Random): number {
  const bound = Math.min(bounds.maxMs, bounds.firstMs * 2 ** Math.min(attempt, 30));
  return Math.floor(random() * bound);
}

/** Up to a tenth later, never sooner. */
export function jitteredMs(ms: number, random: Random): number {
  return Math.floor(ms * (1 + random() / 10));
}

/** A token bucket per key, in this process: protection from load, and never a reason to trust anybody. */

export type RateLimit = {
  /** Requests at once. */
  readonly burst: number;
  readonly perSecond: number;
  /** How many keys are remembered; the one that was quiet longest is forgotten first. */
  readonly maxKeys: number;
};

/** Says whether one more request of this key may be served now, and otherwise in how many milliseconds. */
export function createRateLimiter(now: () => number, limit: RateLimit): (key: string) => number {
  const buckets = new Map<string, { level: number; at: number }>();
  return (key) => {
    const at = now();
    const held = buckets.get(key);
    const refilled = held ? held.level + (Math.max(0, at - held.at) / 1000) * limit.perSecond : limit.burst;
    const level = Math.min(limit.burst, refilled);
    const admitted = level >= 1;
    // Deleted first, so that the map's own order is the order of last use.
    buckets.delete(key);
    buckets.set(key, { level: admitted ? level - 1 : level, at });
    if (buckets.size > limit.maxKeys) buckets.delete(buckets.keys().next().value ?? '');
    return admitted ? 0 : Math.ceil(((1 - level) / limit.perSecond) * 1000);
  };
}

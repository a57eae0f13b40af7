/**
 * A token bucket per source address. It protects the service from load and is never a reason to trust anybody: who is
 * within the limit has proven nothing.
 */

export type RateLimit = {
  /** Requests that a source may make at once. */
  readonly burst: number;
  readonly perSecond: number;
  /** How many sources are remembered; the one that was quiet longest is forgotten first. */
  readonly maxSources: number;
};

/** Ample, because a whole site of nodes may come from one address. */
export const defaultRateLimit: RateLimit = { burst: 500, perSecond: 100, maxSources: 10_000 };

/** Says whether one more request of this source may be served now. */
export function createRateLimiter(now: () => number, limit: RateLimit = defaultRateLimit): (source: string) => boolean {
  const buckets = new Map<string, { level: number; at: number }>();
  return (source) => {
    const key = network(source);
    const at = now();
    const held = buckets.get(key);
    const elapsedMs = held ? Math.max(0, at - held.at) : 0;
    const level = held ? Math.min(limit.burst, held.level + (elapsedMs / 1000) * limit.perSecond) : limit.burst;
    const admitted = level >= 1;
    // Deleted first, so that the map's own order is the order of last use.
    buckets.delete(key);
    buckets.set(key, { level: admitted ? level - 1 : level, at });
    if (buckets.size > limit.maxSources) buckets.delete(buckets.keys().next().value ?? '');
    return admitted;
  };
}

/** One customer has a whole /64 of IPv6 addresses (RFC 6177 §2); the limit is for all of them. */
function network(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head.split(':').filter((group) => group !== '');
  if (tail === undefined) return groups.slice(0, 4).join(':');
  const rest = tail.split(':').filter((group) => group !== '');
  const zeros = Array.from({ length: Math.max(0, 8 - groups.length - rest.length) }, () => '0');
  return [...groups, ...zeros, ...rest].slice(0, 4).join(':');
}

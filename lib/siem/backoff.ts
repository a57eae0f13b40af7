/** When a destination is tried again: full jitter, from a second to a quarter of an hour, for as long as it takes. */

const firstMs = 1_000;
const mostMs = 15 * 60_000;
/** A receiver may ask for more time than we would give, but not for a day. */
const mostRetryAfterMs = 60 * 60_000;
/** The credentials may have been put right. Never given up. */
export const authProbeMs = 5 * 60_000;
/** Whatever was missing at the receiver may be there now; an operator's `resume` tries at once. */
export const configProbeMs = 15 * 60_000;

/**
 * `failures` is how many there were one after the other, from 1; `jitter` in [0, 1). Marc Brooker, "Exponential Backoff
 * And Jitter", AWS Architecture Blog, 2015; never less than a tenth, so that no two attempts follow at once.
 */
export function backoffMs(failures: number, jitter: number, retryAfterMs = 0): number {
  const most = Math.min(mostMs, firstMs * 2 ** Math.min(failures - 1, 20));
  const own = Math.max(Math.floor(jitter * most), firstMs / 10);
  return Math.max(own, Math.min(Math.max(retryAfterMs, 0), mostRetryAfterMs));
}

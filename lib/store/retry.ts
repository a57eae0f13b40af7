/** Bounded retry of store calls that changed nothing, with full jitter. */
import { StoreError } from './port.ts';

export type RetryDeps = {
  readonly sleep: (ms: number) => Promise<void>;
  /** In [0, 1). */
  readonly jitter: () => number;
};

/**
 * Calls again on `conflict` and `unavailable`, after a random time below 10 ms, 20 ms, 40 ms … at most 1 s
 * (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). Every other error, `unknown_outcome`
 * above all, needs a decision that only the caller can make.
 */
export async function retryUnwritten<T>(
  operation: () => Promise<T>,
  deps: RetryDeps,
  options: { readonly attempts?: number } = {},
): Promise<T> {
  const { attempts = 8 } = options;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await operation();
    } catch (error) {
      if (attempt >= attempts || !isUnwritten(error)) throw error;
      await deps.sleep(Math.floor(deps.jitter() * Math.min(1_000, 10 * 2 ** (attempt - 1))));
    }
  }
}

function isUnwritten(error: unknown): boolean {
  return error instanceof StoreError && (error.code === 'conflict' || error.code === 'unavailable');
}

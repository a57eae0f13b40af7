/** Waiting for the change feed of an adapter that runs in this process: a bell that writes ring, and a bounded wait for it. */
import { type FeedPosition, StoreError } from './port.ts';

export type Bell = {
  ring(): void;
  /** Calls back on every ring until the returned function is called. */
  listen(callback: () => void): () => void;
};

/** `onFirst` runs when somebody starts to listen while nobody did, and what it returns when the last one stops. */
export function createBell(onFirst: () => () => void = () => () => {}): Bell {
  const listeners = new Set<() => void>();
  let onLast = () => {};
  return {
    ring() {
      for (const callback of [...listeners]) callback();
    },
    listen(callback) {
      if (listeners.size === 0) onLast = onFirst();
      listeners.add(callback);
      return () => {
        if (listeners.delete(callback) && listeners.size === 0) onLast();
      };
    },
  };
}

/** Tries now and at every ring until there is a value, `waitMs` has passed or `signal` aborts; `undefined` then. */
export function waitFor<T>(
  bell: Bell,
  attempt: () => T | undefined,
  options: { readonly waitMs: number; readonly signal?: AbortSignal },
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const first = attempt();
    if (first !== undefined || options.waitMs <= 0 || options.signal?.aborted === true) {
      resolve(first);
      return;
    }
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      stopListening();
      options.signal?.removeEventListener('abort', giveUp);
      settle();
    };
    const giveUp = () => finish(() => resolve(undefined));
    const timer = setTimeout(giveUp, options.waitMs);
    options.signal?.addEventListener('abort', giveUp);
    const stopListening = bell.listen(() => {
      try {
        const value = attempt();
        if (value !== undefined) finish(() => resolve(value));
      } catch (error) {
        finish(() => reject(error));
      }
    });
  });
}

/** A position is the feed's own id and the number of the last change seen, so that one of another store is noticed. */
export function formatPosition(feed: string, sequence: number): FeedPosition {
  return `${feed}.${sequence}` as FeedPosition;
}

/** The number in a position, checked to lie between what the feed has pruned (`oldest`) and what it has written (`newest`). */
export function parsePosition(
  position: FeedPosition,
  feed: { readonly id: string; readonly oldest: number; readonly newest: number },
): number {
  const match = /^([0-9a-z]{1,32})\.(0|[1-9][0-9]{0,15})$/.exec(position);
  if (match === null) throw new StoreError('invalid', `malformed feed position: ${JSON.stringify(position)}`);
  const sequence = Number(match[2]);
  if (match[1] !== feed.id || sequence < feed.oldest || sequence > feed.newest) {
    throw new StoreError('feed_expired', 'the feed no longer reaches back to this position; load the state anew');
  }
  return sequence;
}

export function checkFeedLimit(limit: number): void {
  if (!(Number.isSafeInteger(limit) && limit > 0)) {
    throw new StoreError('invalid', `limit must be a positive integer, not ${limit}`);
  }
}

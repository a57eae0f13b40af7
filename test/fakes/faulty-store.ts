/** A store whose calls fail on a plan, both ways: not applied, and applied but reported as failed. */
import { type Store, StoreError } from '../../lib/store/port.ts';

/**
 * `conflict`, `unavailable`: refused, nothing was written. `lost_request`, `lost_answer`: `unknown_outcome`, and the
 * write does not stand, or does. A read fails as `unavailable` whichever the fault.
 */
export type Fault = 'conflict' | 'unavailable' | 'lost_request' | 'lost_answer';

/** For tables that try each fault at each call. */
export const everyFault: readonly Fault[] = ['conflict', 'unavailable', 'lost_request', 'lost_answer'];

/** `index` counts the calls of `get`, `query` and `transact` together, from 0; `nth` those of this method. */
export type StoreCall = {
  readonly method: 'get' | 'query' | 'transact';
  readonly index: number;
  readonly nth: number;
};

export type FaultPlan = (call: StoreCall) => Fault | undefined;

/** The one call with this index fails. */
export function failAt(index: number, fault: Fault): FaultPlan {
  return (call) => (call.index === index ? fault : undefined);
}

/** `calls` is how many there were, so that a table knows when it has failed each of them. */
export type FaultyStore = Store & { readonly calls: number };

export function faultyStore(inner: Store, plan: FaultPlan): FaultyStore {
  const counts = { get: 0, query: 0, transact: 0 };
  let calls = 0;

  function nextFault(method: StoreCall['method']): Fault | undefined {
    const call = { method, index: calls, nth: counts[method] };
    calls += 1;
    counts[method] += 1;
    return plan(call);
  }

  async function read<T>(method: 'get' | 'query', from: () => Promise<T>): Promise<T> {
    if (nextFault(method) !== undefined) throw new StoreError('unavailable', `planned fault of ${method}`);
    return from();
  }

  return {
    feed: inner.feed,
    get calls() {
      return calls;
    },
    get: (key) => read('get', () => inner.get(key)),
    query: (query) => read('query', () => inner.query(query)),
    async transact(writes) {
      const fault = nextFault('transact');
      switch (fault) {
        case undefined:
          return inner.transact(writes);
        case 'conflict':
        case 'unavailable':
          throw new StoreError(fault, 'planned fault: nothing was written');
        case 'lost_request':
          throw new StoreError('unknown_outcome', 'planned fault: the request was lost');
        case 'lost_answer':
          await inner.transact(writes);
          throw new StoreError('unknown_outcome', 'planned fault: the answer was lost');
        default:
          throw new TypeError(`unknown fault: ${fault satisfies never}`);
      }
    },
    close: () => inner.close(),
  };
}

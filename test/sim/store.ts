/** A store as a process sees it over a bad network: conflicts, time-outs, and outcomes that nobody tells. */
import { type Store, StoreError, type Write } from '../../lib/store/port.ts';
import type { Random, Scheduler } from './scheduler.ts';

/** A process. Once it is dead nothing reaches it any more, though what it sent may still arrive. */
export type Process = { dead: boolean };

export type Faults = {
  /** Of a write: refused, and nothing was written. */
  readonly refused: number;
  /** Of a write: no answer. Of those a third was never received, a third was, and a third is received later. */
  readonly unknown: number;
  /** Of a read. */
  readonly unread: number;
};

export type Network = { readonly scheduler: Scheduler; readonly random: Random; readonly faults: Faults };

export function storeOver(inner: Store, { scheduler, random, faults }: Network, process: Process): Store {
  const never = new Promise<never>(() => undefined);

  /** The dead hear nothing. */
  async function reached<T>(answer: Promise<T>): Promise<T> {
    const outcome = await answer.then(
      (value) => () => value,
      (error: unknown) => () => {
        throw error;
      },
    );
    return process.dead ? never : outcome();
  }

  function read<T>(from: () => Promise<T>): Promise<T> {
    return reached(
      scheduler.turn(() => {
        if (random() < faults.unread) throw new StoreError('unavailable', 'simulated: not readable');
        return from();
      }),
    );
  }

  async function write(writes: readonly Write[]) {
    // A crash comes before or after what was sent arrives.
    if (process.dead && random() < 0.5) return never;
    const dice = random();
    if (dice < faults.refused)
      throw new StoreError(dice < faults.refused / 2 ? 'conflict' : 'unavailable', 'simulated');
    if (dice > faults.refused + faults.unknown) return inner.transact(writes);
    const fate = random();
    if (fate < 1 / 3) await inner.transact(writes);
    else if (fate < 2 / 3) scheduler.turn(() => inner.transact(writes)).catch(() => undefined);
    throw new StoreError('unknown_outcome', 'simulated: no answer');
  }

  return {
    feed: inner.feed,
    get: (key) => read(() => inner.get(key)),
    query: (query) => read(() => inner.query(query)),
    transact: (writes) => reached(scheduler.turn(() => write(writes))),
    close: async () => undefined,
  };
}

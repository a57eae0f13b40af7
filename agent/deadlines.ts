/** Deadlines of resources: the time that each has, and what happens to work that doesn't heed it. */
import { HostError } from './host.ts';

export type DeadlineDeps = {
  now(): number;
  /** A signal that fires after so many milliseconds. */
  deadline(timeoutMs: number): AbortSignal;
};

const sharedMs = 1000;

/** Timers are costly beside a check: resources that begin within one second have their time from its beginning. */
export function sharedDeadlines(deps: DeadlineDeps): (timeoutMs: number) => AbortSignal {
  const kept = new Map<number, { readonly from: number; readonly signal: AbortSignal }>();
  return (timeoutMs) => {
    const now = deps.now();
    const known = kept.get(timeoutMs);
    if (known !== undefined && !known.signal.aborted && Math.abs(now - known.from) < sharedMs) {
      return known.signal;
    }
    const signal = deps.deadline(timeoutMs);
    kept.set(timeoutMs, { from: now, signal });
    return signal;
  };
}

type Overdue = () => void;

/** Those that wait for a signal, with one listener for all of them: many resources share one. */
const waiting = new WeakMap<AbortSignal, Set<Overdue>>();

/** An executor that ignores its signal must not hold up the run for ever. */
export function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const overdue = () => reject(new HostError('timed_out', 'its time was up'));
    if (signal.aborted) {
      overdue();
    }
    const all = waiting.get(signal) ?? waitFor(signal);
    all.add(overdue);
    work.then(
      (value) => {
        all.delete(overdue);
        resolve(value);
      },
      (error: unknown) => {
        all.delete(overdue);
        reject(error);
      },
    );
  });
}

function waitFor(signal: AbortSignal): Set<Overdue> {
  const all = new Set<Overdue>();
  waiting.set(signal, all);
  const onAbort = () => {
    for (const overdue of all) {
      overdue();
    }
  };
  signal.addEventListener('abort', onAbort, { once: true });
  return all;
}

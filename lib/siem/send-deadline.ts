/** Ends a send that takes too long, whatever the destination does. */
import type { Destination, SendResult } from './destination.ts';

/** Calls back once later; returns what cancels it. */
export type Timer = (callback: () => void, ms: number) => () => void;

type Limits = {
  readonly stop: AbortSignal;
  readonly timer?: Timer | undefined;
  readonly destination: Pick<Destination, 'close'>;
};

export const sendTimeoutMs = 30_000;

/** A destination that does not end when told to is closed, and what it says later is not heard. */
export async function withDeadline(
  call: (signal: AbortSignal) => Promise<SendResult>,
  { stop, timer = unrefTimer, destination }: Limits,
): Promise<SendResult> {
  const timedOut: SendResult = { kind: 'transient', reason: 'no answer in time' };
  if (stop.aborted) return timedOut;
  const controller = new AbortController();
  const end = () => controller.abort();
  const cancel = timer(end, sendTimeoutMs);
  stop.addEventListener('abort', end, { once: true });
  const late = new Promise<'late'>((resolve) => {
    // A little more, for a destination that ends as it should and says why.
    controller.signal.addEventListener('abort', () => setTimeout(() => resolve('late'), 100).unref(), { once: true });
  });
  try {
    const result = await Promise.race([call(controller.signal), late]);
    if (result !== 'late') return result;
    await destination.close();
    return timedOut;
  } finally {
    cancel();
    stop.removeEventListener('abort', end);
  }
}

function unrefTimer(callback: () => void, ms: number): () => void {
  const timer = setTimeout(callback, ms);
  timer.unref();
  return () => clearTimeout(timer);
}

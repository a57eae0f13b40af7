/**
 * Looks, every few minutes, for nodes that took a build and fell silent. Only what a gateway could have heard is
 * silence: the time before it listened, and the time in which its view of the fleet was stale, count for nobody.
 */
import type { Logger } from 'pino';
import type { OutcomeDeps } from '../../lib/artifacts/outcomes.ts';
import { countSilent } from '../../lib/artifacts/silence.ts';

export type SilenceWatchDeps = OutcomeDeps & {
  /** Whether nodes are heard now. */
  readonly isListening: () => boolean;
  readonly logger: Pick<Logger, 'warn'>;
};

export type SilenceWatch = {
  /** Resolves when no look is under way. */
  settled(): Promise<void>;
  close(): Promise<void>;
};

export function createSilenceWatch(deps: SilenceWatchDeps, intervalMs: number): SilenceWatch {
  const stop = new AbortController();
  let since = deps.now();
  let looking: Promise<void> | undefined;
  const timer = setInterval(() => {
    looking ??= look().finally(() => {
      looking = undefined;
    });
  }, intervalMs);
  timer.unref();

  const settled = async () => looking;

  return {
    settled,
    close() {
      clearInterval(timer);
      stop.abort();
      return settled();
    },
  };

  async function look(): Promise<void> {
    if (!deps.isListening()) {
      since = deps.now();
      return;
    }
    try {
      await countSilent(deps, { since, signal: stop.signal });
    } catch (error) {
      if (!stop.signal.aborted) deps.logger.warn({ err: error }, 'Nodes that fell silent could not be counted');
    }
  }
}

/** The sealer: brings what the lanes hold into the one order, and publishes it under a signed checkpoint. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type FeedPosition, StoreError } from '../store/port.ts';
import type { Checkpoint } from './checkpoint.ts';
import { lanePartition, systemLane } from './items.ts';
import { createPublisher, type PublishDeps } from './publish.ts';
import { closeDeadLanes, sealBlock } from './seal.ts';

export type SealerDeps = PublishDeps & {
  readonly now: () => number;
  readonly random?: (n: number) => Uint8Array;
  readonly delay?: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly logger?: Pick<Logger, 'info' | 'error'>;
  /** For tests; the default is what a block item holds. */
  readonly maxBlockEntries?: number;
};

export type Sealer = {
  /**
   * Seals everything unsealed and publishes one checkpoint over it; undefined when there was nothing to do. Whatever
   * it throws, nothing is lost and the next call goes on from the head. It covers what was appended before the call:
   * calls while one is under way share the one that follows it.
   */
  sealOnce(): Promise<Checkpoint | undefined>;
  /**
   * Seals whenever there is something new, until the signal; at most one checkpoint a second, at least one a minute.
   * What fails is tried again, ever more seldom, and is logged once for as long as it fails in the same way.
   */
  run(signal: AbortSignal): Promise<void>;
};

const checkpointIntervalMs = 1000;
const heartbeatMs = 60_000;
/** After the first failure; twice as long after each further one. */
const retryMs = 1000;
/** Well within what a waiting operation has (`maxUnsealedMs`), once what failed works again. */
const mostRetryMs = 15_000;

export function createSealer(given: SealerDeps): Sealer {
  const delay = given.delay ?? ((ms, signal) => sleep(ms, undefined, { ref: false, ...(signal && { signal }) }));
  const deps = { random: randomBytes, ...given, delay };
  const { store, now, logger } = deps;
  const publisher = createPublisher(deps);
  let underWay: Promise<unknown> = Promise.resolve();
  let following: Promise<Checkpoint | undefined> | undefined;

  async function seal(): Promise<Checkpoint | undefined> {
    for (;;) {
      const { head, more } = await sealBlock(deps, heartbeatMs);
      if (more) continue;
      await closeDeadLanes(deps, head);
      return publisher.publish();
    }
  }

  function sealOnce(): Promise<Checkpoint | undefined> {
    following ??= underWay.then(() => {
      following = undefined;
      const result = seal();
      underWay = result.catch(() => undefined);
      return result;
    });
    return following;
  }

  async function run(signal: AbortSignal): Promise<void> {
    let position: FeedPosition | undefined;
    /** There may be something to seal. True at first: whatever came before this process. */
    let pending = true;
    let sealedAt = Number.NEGATIVE_INFINITY;
    let failures = 0;
    let failure: string | undefined;
    while (!signal.aborted) {
      try {
        position ??= await store.feed.now();
        const sinceMs = now() - sealedAt;
        if ((pending && sinceMs >= checkpointIntervalMs) || sinceMs >= heartbeatMs || sinceMs < 0) {
          pending = false;
          sealedAt = now();
          await sealOnce();
          continue;
        }
        const waitMs = (pending ? checkpointIntervalMs : heartbeatMs) - sinceMs;
        if (pending) {
          await delay(waitMs, signal);
          continue;
        }
        const { changes, position: next } = await store.feed.read(position, { limit: 1000, waitMs, signal });
        position = next;
        if (failures > 0) logger?.info({ failures }, 'the audit log is sealed again');
        failures = 0;
        failure = undefined;
        pending = changes.some(({ key }) => key.pk.startsWith('lane#') && key.pk !== lanePartition(systemLane));
      } catch (error) {
        if (signal.aborted) return;
        pending = true;
        if (error instanceof StoreError && error.code === 'feed_expired') {
          position = undefined;
          continue;
        }
        failures += 1;
        if (failure !== String(error)) logger?.error({ err: error }, 'the audit log could not be sealed');
        failure = String(error);
        await delay(Math.min(retryMs * 2 ** Math.min(failures - 1, 10), mostRetryMs), signal).catch(() => undefined);
      }
    }
  }

  return { sealOnce, run };
}

/** The writer: what a process appends through. Operations that wait together share one transaction. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Store, Write } from '../store/port.ts';
import { awaitSeal } from './await-seal.ts';
import { createFloodControl, gapIntervalMs } from './flood.ts';
import { createIntents } from './intents.ts';
import { createLane } from './lane.ts';
import { type Operation, parseOperation, takeBatch } from './operation.ts';
import {
  type AppendOutcome,
  AuditError,
  type AuditEvent,
  type AuditLog,
  type IntentEvent,
  type IntentOutcome,
} from './port.ts';
import { createSealGuard } from './seal-guard.ts';
import { newOperationId, systemTypes } from './system-entry.ts';

export type AuditWriterDeps = {
  readonly store: Store;
  /** The log's origin, such as `holdfast.local/<fleet>`. */
  readonly origin: string;
  /** Names this process among those that write at the same time; the same after a restart. */
  readonly writerId: string;
  readonly now: () => number;
  /** Transactions in flight at once; 4 unless told otherwise. */
  readonly lanes?: number;
  readonly random?: (n: number) => Uint8Array;
  readonly delay?: (ms: number) => Promise<void>;
  /** Calls back once later; returns what cancels it. The default does not keep the process alive. */
  readonly timer?: (callback: () => void, ms: number) => () => void;
};

export interface AuditWriter extends AuditLog {
  /** Writes the counts of suppressed denials that are due. */
  flushGaps(): Promise<void>;
  /** Waits for what was appended, records suppressed denials, and refuses everything after. Idempotent. */
  close(): Promise<void>;
}

const maxQueued = 20_000;
/** A store that commits together what is asked together takes as many slots in one commit. */
const defaultLanes = 4;
/** What the log doesn't take within this time, a denied caller does not wait for. */
const maxDenyWaitMs = 1_000;

export async function openAuditWriter(deps: AuditWriterDeps): Promise<AuditWriter> {
  const {
    store,
    origin,
    writerId,
    now,
    lanes: laneCount = defaultLanes,
    random = pooledRandom(),
    timer = unrefTimer,
  } = deps;
  const delay = deps.delay ?? ((ms: number) => sleep(ms));
  const guard = createSealGuard({ store, now });
  const flood = createFloodControl({ now });
  const operationId = () => newOperationId(random);
  const queue: Operation[] = [];
  const idle = Array.from({ length: laneCount }, (_, number) => {
    const backoff = (attempt: number) => delay(jitter(random, 10 * 2 ** attempt));
    const { seen, onWritten, onFenced } = guard;
    const shared = { store, origin, writerId, lanes: laneCount, now, seen, onWritten, onFenced, backoff };
    return createLane({ ...shared, newOperationId: operationId }, number);
  }).reverse(); // Taken from the end: whoever has little to write uses lane 0 alone.
  const working = new Set<Promise<void>>();
  let cancelTimer: (() => void) | undefined;
  let closing: Promise<void> | undefined;
  const intents = createIntents({ store, now, newOperationId: operationId, enqueue: enqueueParsed });
  await guard.refresh();

  async function enqueue(event: AuditEvent, writes: readonly Write[]): Promise<AppendOutcome> {
    return enqueueParsed(parseOperation({ event, writes, operationId: operationId() }));
  }

  async function enqueueParsed(parsed: ReturnType<typeof parseOperation>): Promise<AppendOutcome> {
    if (queue.length >= maxQueued) throw new AuditError('unavailable', 'too many operations wait for the audit log');
    return new Promise((resolve, reject) => {
      queue.push({ ...parsed, resolve, reject });
      pump();
    });
  }

  function pump(): void {
    while (queue.length > 0) {
      const lane = idle.pop();
      if (lane === undefined) return;
      const work = lane
        .commit(takeBatch(queue), (again) => queue.unshift(...again))
        .then(() => {
          working.delete(work);
          idle.push(lane);
          pump();
        });
      working.add(work);
    }
  }

  async function append(event: AuditEvent, writes: readonly Write[] = []): Promise<AppendOutcome> {
    await assertAppendable(event);
    return enqueue(event, writes);
  }

  async function intend(event: IntentEvent, writes: readonly Write[] = []): Promise<IntentOutcome> {
    await assertAppendable(event);
    await intents.settleAbandoned();
    return intents.intend(event, writes);
  }

  async function appendSealed(event: AuditEvent, writes: readonly Write[] = []): Promise<AppendOutcome> {
    const outcome = await append(event, writes);
    if (outcome.ok) await awaitSeal({ store, now, delay }, outcome.entry);
    return outcome;
  }

  async function assertAppendable({ type }: IntentEvent): Promise<void> {
    assertOpen();
    if (systemTypes.has(type)) throw new AuditError('invalid', `${type} is recorded by the log alone`);
    await guard.assertSealing();
  }

  function deny(event: AuditEvent): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = timer(resolve, maxDenyWaitMs);
    void recordDenial(event).finally(() => {
      cancel();
      resolve();
    });
    return promise;
  }

  async function recordDenial(event: AuditEvent): Promise<void> {
    try {
      assertOpen();
      if (flood.admit(event)) await enqueue(event, []).catch(() => flood.count(event));
      await recordGaps(false);
    } catch {
      // Port contract: the denial stands, whether or not it can be recorded.
    }
  }

  async function recordGaps(all: boolean): Promise<void> {
    const gaps = flood.takeGaps(all);
    await Promise.all(gaps.map(({ event, restore }) => enqueue(event, []).catch(restore)));
    if (flood.isCounting() && closing === undefined) cancelTimer ??= timer(onTimer, gapIntervalMs);
  }

  function onTimer(): void {
    cancelTimer = undefined;
    recordGaps(false).catch(() => undefined);
  }

  function assertOpen(): void {
    if (closing !== undefined) throw new AuditError('unavailable', 'the audit log is closed');
  }

  async function drain(): Promise<void> {
    cancelTimer?.();
    await recordGaps(true);
    while (working.size > 0) await Promise.all(working);
  }

  function close(): Promise<void> {
    closing ??= drain();
    return closing;
  }

  return { append, intend, appendSealed, deny, flushGaps: () => recordGaps(false), close };
}

/** Full jitter: anything up to the bound. */
function jitter(random: (n: number) => Uint8Array, maxMs: number): number {
  return (((random(1)[0] as number) + 1) / 256) * maxMs;
}

/** One call for many ids: the call costs more than the bytes. */
function pooledRandom(): (n: number) => Uint8Array {
  let pool = new Uint8Array(0);
  let at = 0;
  return (n) => {
    if (at + n > pool.length) {
      pool = randomBytes(4096);
      at = 0;
    }
    at += n;
    return pool.subarray(at - n, at);
  };
}

function unrefTimer(callback: () => void, ms: number): () => void {
  const timeout = setTimeout(callback, ms).unref();
  return () => clearTimeout(timeout);
}

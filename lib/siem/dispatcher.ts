/**
 * The dispatcher of a process that lives on: serves every destination side by side, each at its own pace. The change
 * feed of the store is its doorbell: it rings when something is sealed and when an operator changes a destination.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { headKey } from '../audit/items.ts';
import type { AuditLog } from '../audit/port.ts';
import type { SecretsProvider } from '../secrets/provider.ts';
import { type FeedPosition, type Store, StoreError } from '../store/port.ts';
import { createCredentialReader } from './credentials.ts';
import type { Destination, OpenDestination } from './destination.ts';
import { type DestinationRecord, readRecords, recordsPartition } from './record.ts';
import { runDestination } from './run-destination.ts';
import type { RunOutcome } from './run-port.ts';
import { createSealedReader } from './sealed-reader.ts';

export type DispatcherDeps = {
  readonly store: Store;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly origin: string;
  readonly secrets?: Pick<SecretsProvider, 'get'>;
  readonly open: OpenDestination;
  readonly now: () => number;
  readonly owner: string;
  readonly logger: Pick<Logger, 'warn' | 'error'>;
  readonly random?: (n: number) => Uint8Array;
  readonly jitter?: () => number;
  /** Resolves early, without an error, when the signal aborts. */
  readonly delay?: (ms: number, signal: AbortSignal) => Promise<void>;
};

export interface Dispatcher {
  /** Delivers until the signal aborts, and then ends what is under way. Never throws. */
  run(signal: AbortSignal): Promise<void>;
}

/** Looked at again after so long, whatever the doorbell says. */
const lookAgainMs = 60_000;
const retryMs = 1_000;
/** A store that is written to a thousand times a second is looked at fifty times: the product comes first. */
const feedPauseMs = 20;
/** A turn for everything else in this process. */
const shiftMs = 10_000;

export function createDispatcher(deps: DispatcherDeps): Dispatcher {
  const { store, logger, now } = deps;
  const delay = deps.delay ?? pause;
  const opened = createOpened(deps.open);
  const runDeps = {
    ...deps,
    reader: createSealedReader(deps),
    credentials: createCredentialReader(deps.secrets, now),
    destinationOf: opened.of,
  };

  async function run(signal: AbortSignal): Promise<void> {
    const serving: Serving = new Map();
    const serveAll = async () => {
      for (const { config } of await readRecords(store)) {
        if (serving.has(config.name)) continue;
        const bell = createBell();
        const done = serve(config.name, bell, signal, serving);
        serving.set(config.name, { bell, done });
      }
    };
    let position: FeedPosition | undefined;
    while (!signal.aborted) {
      try {
        if (position === undefined) {
          position = await store.feed.now();
          await serveAll();
          for (const { bell } of serving.values()) bell.ring('all');
        }
        const read = await store.feed.read(position, { limit: 1000, waitMs: lookAgainMs, signal });
        position = read.position;
        if (read.changes.some(({ key }) => key.pk === headKey.pk && key.sk === headKey.sk))
          for (const { bell } of serving.values()) bell.ring('sealed');
        const changed = read.changes.filter(({ key }) => key.pk === recordsPartition);
        if (changed.length > 0) await serveAll();
        for (const { key } of changed) serving.get(key.sk)?.bell.ring('all');
        await delay(feedPauseMs, signal);
      } catch (error) {
        if (signal.aborted) break;
        position = undefined;
        if (error instanceof StoreError && error.code === 'feed_expired') continue;
        logger.error({ err: error }, 'The destinations could not be looked at');
        await delay(retryMs, signal);
      }
    }
    await Promise.all([...serving.values()].map(({ done }) => done));
    await opened.close();
  }

  async function serve(name: string, bell: Bell, signal: AbortSignal, serving: Serving): Promise<void> {
    while (!signal.aborted) {
      bell.clear();
      const outcome = await attempt(name, signal);
      if (outcome.kind === 'gone') {
        await opened.forget(name);
        // Another one may have been added under its name meanwhile, and was not begun as long as this one was here.
        if (bell.isRung()) continue;
        serving.delete(name);
        return;
      }
      await untilNext(outcome, bell, signal);
    }
  }

  async function attempt(name: string, signal: AbortSignal): Promise<RunOutcome> {
    try {
      return await runDestination(runDeps, name, { until: now() + shiftMs, signal });
    } catch (error) {
      logger.error({ err: error, destination: name }, 'A destination could not be served');
      return { kind: 'backing_off', until: now() + retryMs };
    }
  }

  async function untilNext(outcome: RunOutcome, bell: Bell, signal: AbortSignal): Promise<void> {
    if (outcome.kind === 'more' || outcome.kind === 'gone') return;
    const waitMs = 'until' in outcome ? Math.max(0, outcome.until - now()) : lookAgainMs;
    const cut = new AbortController();
    const end = () => cut.abort();
    signal.addEventListener('abort', end, { once: true });
    // Who must wait is not woken by what is sealed, only by an operator.
    const stopListening = bell.onRing((ring) => {
      if (ring === 'all' || outcome.kind === 'idle') end();
    });
    try {
      if (!cut.signal.aborted && !signal.aborted) await delay(Math.min(waitMs, lookAgainMs), cut.signal);
    } finally {
      stopListening();
      signal.removeEventListener('abort', end);
    }
  }

  return { run };
}

/** By name, what is being served. */
type Serving = Map<string, { readonly bell: Bell; readonly done: Promise<void> }>;

type Ring = 'sealed' | 'all';
type Bell = {
  ring(ring: Ring): void;
  clear(): void;
  /** Since `clear`. */
  isRung(): boolean;
  /** Calls back for a ring since `clear`, and for each that comes, until the returned function is called. */
  onRing(callback: (ring: Ring) => void): () => void;
};

function createBell(): Bell {
  const heard = new Set<Ring>();
  let listener: ((ring: Ring) => void) | undefined;
  return {
    ring(ring) {
      heard.add(ring);
      listener?.(ring);
    },
    clear: () => heard.clear(),
    isRung: () => heard.size > 0,
    onRing(callback) {
      listener = callback;
      for (const ring of heard) callback(ring);
      return () => {
        listener = undefined;
      };
    },
  };
}

/** Destinations that were opened, by name: connections are kept as long as the configuration is the same. */
export function createOpened(open: OpenDestination) {
  const held = new Map<string, { readonly key: string; readonly destination: Destination }>();
  return {
    of(record: DestinationRecord): Destination {
      const { name } = record.config;
      const key = `${record.id}|${record.configRevision}`;
      const before = held.get(name);
      if (before?.key === key) return before.destination;
      // Nothing waits for it: what it still holds are idle connections.
      before?.destination.close().catch(() => undefined);
      const destination = open(record.config);
      held.set(name, { key, destination });
      return destination;
    },
    async forget(name: string): Promise<void> {
      const before = held.get(name);
      held.delete(name);
      await before?.destination.close();
    },
    async close(): Promise<void> {
      await Promise.all([...held.values()].map(({ destination }) => destination.close()));
      held.clear();
    },
  };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { ref: false, signal }).catch(() => undefined);
}

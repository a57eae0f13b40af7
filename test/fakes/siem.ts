/** A sealed log with destinations on it, for tests of delivery: real log, real dispatcher, fake receivers, one clock. */

import { destinationConfig } from '../../lib/siem/config.ts';
import { createCredentialReader } from '../../lib/siem/credentials.ts';
import type { Destination } from '../../lib/siem/destination.ts';
import type { FeedEvent } from '../../lib/siem/event.ts';
import { addDestination, type ManageDeps, type Start } from '../../lib/siem/manage.ts';
import { runDestination } from '../../lib/siem/run-destination.ts';
import type { RunDeps, RunOutcome } from '../../lib/siem/run-port.ts';
import { createSealedReader } from '../../lib/siem/sealed-reader.ts';
import type { Store } from '../../lib/store/port.ts';
import { createTestLog, testEvent, testOrigin } from './audit-log.ts';
import { createFakeDestination, type FakeDestination } from './destination.ts';
import { createMemorySecrets } from './secrets.ts';

export const webhookConfig = {
  kind: 'webhook',
  url: 'https://hook.example/in',
  secret: 'secret:siem/hook',
} as const;

export type SiemWorld = Awaited<ReturnType<typeof createSiemWorld>>;

export async function createSiemWorld(options: { readonly store?: Store } = {}) {
  const log = await createTestLog(options);
  const { store, clock, now, writer, sealer } = log;
  const secrets = createMemorySecrets({ 'siem/hook': 'a secret of the hook' });
  const fakes = new Map<string, FakeDestination>();
  const warnings: string[] = [];
  const logger = {
    warn: (_: object, text: string) => warnings.push(text),
    error: (_: object, text: string) => warnings.push(text),
  };
  const actor = { id: 'ada', kind: 'user', role: 'admin', auth: 'basic' } as const;
  const manage: ManageDeps = {
    ...{ store, audit: writer, origin: testOrigin, now },
    reader: createSealedReader({ store, origin: testOrigin }),
  };

  function fakeOf(name: string): FakeDestination {
    const fake = fakes.get(name) ?? createFakeDestination();
    fakes.set(name, fake);
    return fake;
  }

  /** A worker as a process of its own: with its own caches, on this or another view of the store. */
  function workerDeps(given: Partial<RunDeps> = {}): RunDeps {
    const from = given.store ?? store;
    return {
      ...{ store: from, audit: writer, origin: testOrigin, now, owner: 'one', logger, jitter: () => 0.5 },
      reader: createSealedReader({ store: from, origin: testOrigin }),
      credentials: createCredentialReader(secrets, now),
      destinationOf: ({ config }): Destination => fakeOf(config.name),
      ...given,
    } as RunDeps;
  }

  return {
    ...{ log, store, clock, now, writer, sealer, secrets, warnings, manage, actor, fakeOf, workerDeps },
    /** So many entries, sealed. */
    async append(count: number, event = testEvent): Promise<void> {
      await Promise.all(Array.from({ length: count }, () => writer.append(event)));
      await sealer.sealOnce();
    },
    /** Time passes, and the log is sealed all the while. */
    async pass(ms: number): Promise<void> {
      clock.time += ms;
      await sealer.sealOnce();
    },
    add(name: string, more: object = {}, start: Start = 'oldest') {
      const config = destinationConfig.parse({ ...webhookConfig, name, ...more });
      return addDestination(manage, { config, start, actor });
    },
    /** One run of a worker, to the end of what it can do. */
    run(name: string, given: Partial<RunDeps> = {}): Promise<RunOutcome> {
      const limits = { until: Number.POSITIVE_INFINITY, signal: new AbortController().signal };
      return runDestination(workerDeps(given), name, limits);
    },
  };
}

/** The sequences that arrived, each once, in order of their first arrival. */
export function sequencesOf(events: readonly FeedEvent[]): number[] {
  return [...new Set(events.flatMap((event) => ('seq' in event ? [event.seq] : [])))];
}

/** Resolves once the destination has every entry below `size`. */
export function arrival(fake: FakeDestination, size: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const push = fake.events.push.bind(fake.events);
  const look = () => {
    if (sequencesOf(fake.events).length >= size) resolve();
  };
  fake.events.push = (...events) => {
    const length = push(...events);
    look();
    return length;
  };
  look();
  return promise;
}

/** 0, 1, … below the end. */
export function upTo(end: number, from = 0): number[] {
  return Array.from({ length: end - from }, (_, i) => from + i);
}

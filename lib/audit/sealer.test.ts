import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestLog, testEvent, testOrigin } from '../../test/fakes/audit-log.ts';
import { createFakePublication } from '../../test/fakes/publication.ts';
import { createMemoryStore } from '../store/memory.ts';
import { StoreError } from '../store/port.ts';
import { type Entry, parseEntry } from './entry.ts';
import { readSlots, systemLane } from './items.ts';
import type { Publication } from './publication.ts';
import { createSealer } from './sealer.ts';
import { isSound } from './verdicts.ts';
import { verifyLog } from './verify.ts';

/** A publication that tells when a checkpoint of some size is there. */
function watched() {
  const inner = createFakePublication();
  const sizes: number[] = [];
  let wake: () => void = () => undefined;
  const publication: Publication = {
    ...inner,
    async publishCheckpoint(note, size) {
      const done = await inner.publishCheckpoint(note, size);
      sizes.push(size);
      wake();
      return done;
    },
  };
  async function until(count: number): Promise<void> {
    while (sizes.length < count) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  return { publication, sizes, until };
}

test('a new log begins with its log.open, and each block ends with all high-water marks', async () => {
  const log = await createTestLog();
  assert.equal((await log.sealer.sealOnce())?.size, 2);
  assert.equal(await log.sealer.sealOnce(), undefined, 'nothing to do');
  await Promise.all([1, 2, 3].map(() => log.writer.append(testEvent)));
  assert.equal((await log.sealer.sealOnce())?.size, 6);
  const own = (await readSlots(log.store, systemLane, 0, 10)).map(({ entry }): Entry => parseEntry(entry));
  assert.deepEqual(
    own.map(({ op }) => op.type),
    ['log.open', 'log.checkpoint', 'log.checkpoint'],
  );
  assert.deepEqual(own[0]?.detail, { origin: testOrigin });
  assert.deepEqual(own[2]?.detail, { lanes: { log: 2, 'w-0': 2 } });
});

test('an idle log has a heartbeat every minute, and not before', async () => {
  const log = await createTestLog();
  await log.sealer.sealOnce();
  log.clock.time += 59_999;
  assert.equal(await log.sealer.sealOnce(), undefined);
  log.clock.time += 1;
  assert.equal((await log.sealer.sealOnce())?.size, 3);
});

test('blocks that are full are followed by more, under one checkpoint', async () => {
  const log = await createTestLog({ sealer: { maxBlockEntries: 10 } });
  await Promise.all(Array.from({ length: 35 }, () => log.writer.append(testEvent)));
  assert.equal((await log.sealer.sealOnce())?.size, 35 + 1 + 4);
  const verdicts = await verifyLog({ source: log.publication, verifiers: log.verifiers, now: log.now });
  assert.ok(isSound(verdicts), JSON.stringify(verdicts));
});

test('while it runs, what is appended is sealed, at most one checkpoint a second, until the signal', async () => {
  const { publication, sizes, until } = watched();
  const delays: number[] = [];
  const log = await createTestLog();
  const delay = async (ms: number) => {
    delays.push(ms);
    log.clock.time += ms;
  };
  const { store, signer, now } = log;
  const sealer = createSealer({ store, origin: testOrigin, signer, publication, now, delay });
  const stop = new AbortController();
  const running = sealer.run(stop.signal);
  await until(1);
  await log.writer.append(testEvent);
  await until(2);
  log.clock.time += 300;
  await log.writer.append(testEvent);
  await until(3);
  stop.abort();
  await running;
  assert.deepEqual(sizes, [2, 4, 6]);
  assert.deepEqual(delays, [1000, 700]);
});

test('errors are logged and do not end the run; an expired feed is begun anew', async () => {
  const { publication, until } = watched();
  const inner = createMemoryStore();
  let faults = 2;
  const store = {
    ...inner,
    feed: {
      now: () => inner.feed.now(),
      read: ((...args) => {
        faults -= 1;
        if (faults === 1) throw new StoreError('feed_expired', 'planned');
        if (faults === 0) throw new StoreError('unavailable', 'planned');
        return inner.feed.read(...args);
      }) as typeof inner.feed.read,
    },
  };
  const log = await createTestLog({ store });
  const errors: unknown[] = [];
  const logger = { info: () => undefined, error: (fields: unknown) => errors.push(fields) };
  const delay = async (ms: number) => {
    log.clock.time += ms;
  };
  const { signer, now } = log;
  const deps = { store, origin: testOrigin, signer, publication, now, delay };
  const stop = new AbortController();
  const running = createSealer({ ...deps, logger: logger as never }).run(stop.signal);
  await until(1);
  await log.writer.append(testEvent);
  await until(2);
  await log.writer.append(testEvent);
  await until(3);
  stop.abort();
  await running;
  assert.equal(errors.length, 1);
});

test('what can not be published is tried ever more seldom, is logged once, and is sealed when it can be', async () => {
  const { publication, until } = watched();
  const log = await createTestLog();
  const lines: string[] = [];
  const logger = {
    info: (_fields: unknown, text: string) => lines.push(text),
    error: ({ err }: { err: Error }, text: string) => lines.push(`${text}: ${err.message}`),
  };
  const tenMinutes = log.clock.time + 600_000;
  let attempts = 0;
  const gone: Publication = {
    ...publication,
    async write(...args) {
      attempts += 1;
      if (log.clock.time < tenMinutes) throw new Error('no such directory');
      return publication.write(...args);
    },
  };
  const delay = async (ms: number) => {
    log.clock.time += ms;
  };
  const { store, signer, now } = log;
  await log.writer.append(testEvent);
  const stop = new AbortController();
  const deps = { store, origin: testOrigin, signer, publication: gone, now, delay, logger: logger as never };
  const running = createSealer(deps).run(stop.signal);
  await until(1);
  assert.ok(attempts < 60, `${attempts} attempts in ten minutes`);
  while (lines.length < 2) await new Promise((resolve) => setImmediate(resolve));
  stop.abort();
  await running;
  assert.deepEqual(lines, ['the audit log could not be sealed: no such directory', 'the audit log is sealed again']);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everyFault, failAt, faultyStore } from '../../test/fakes/faulty-store.ts';
import { createSiemWorld, type SiemWorld, sequencesOf, upTo } from '../../test/fakes/siem.ts';
import { StoreError } from '../store/port.ts';
import { readCursor } from './cursor.ts';
import { createOpened } from './dispatcher.ts';
import type { Batch } from './event.ts';
import { readStatus } from './status.ts';

/** Small batches, one refused entry, a heartbeat: every kind of write in one run. */
async function prepared(): Promise<SiemWorld> {
  const world = await createSiemWorld();
  await world.append(9);
  await world.add('a');
  await world.pass(60_000);
  world.fakeOf('a');
  return world;
}

const judge = ({ events }: Batch) => {
  if (events.length > 3) return { kind: 'too_large', reason: '413' } as const;
  const index = events.findIndex((event) => event.kind === 'entry' && event.seq === 4);
  return index < 0
    ? ({ kind: 'delivered' } as const)
    : ({ kind: 'partial', rejected: [{ index, reason: 'refused' }] } as const);
};

async function settle(world: SiemWorld, given: Parameters<SiemWorld['run']>[1] = {}): Promise<void> {
  for (let i = 0; i < 50; i++) {
    const outcome = await world.run('a', given);
    if (outcome.kind === 'idle') return;
    assert.ok('until' in outcome, outcome.kind);
    world.clock.time = Math.max(world.clock.time, outcome.until);
  }
  assert.fail('it did not come to an end');
}

async function assertWhole(world: SiemWorld, context: string): Promise<void> {
  const { events, batches } = world.fakeOf('a');
  const status = await readStatus(world.manage, 'a');
  const { size } = await world.manage.reader.head();
  assert.equal(status?.next, size, context);
  assert.deepEqual(
    sequencesOf(events).toSorted((a, b) => a - b),
    upTo(size),
    context,
  );
  assert.equal(status.delivered + status.quarantined, size, context);
  // In order: a batch never begins beyond what has arrived.
  const seen = new Set<number>();
  for (const batch of batches) {
    const [first] = batch.events;
    if (first !== undefined && 'seq' in first && first.seq > 0) {
      assert.ok(
        seen.has(first.seq - 1) || first.kind === 'stub',
        `${context}: ${first.seq} came before ${first.seq - 1}`,
      );
    }
    for (const event of batch.events) if ('seq' in event) seen.add(event.seq);
  }
}

test('R32 every store call fails each way: nothing is lost, the order is kept, and it ends', async () => {
  const whole = await prepared();
  whole.fakeOf('a').answers.push(...Array.from({ length: 100 }, () => judge));
  const counted = faultyStore(whole.store, () => undefined);
  await whole.run('a', { store: counted });
  let tried = 0;
  for (let index = 0; index < counted.calls; index++) {
    for (const fault of everyFault) {
      const world = await prepared();
      world.fakeOf('a').answers.push(...Array.from({ length: 100 }, () => judge));
      const store = faultyStore(world.store, failAt(index, fault));
      await world.run('a', { store }).catch((error) => assert.ok(error instanceof StoreError, String(error)));
      assert.ok(store.calls > index, 'the fault was met');
      await settle(world, { owner: 'two' });
      await assertWhole(world, `${fault} at store call ${index}`);
      tried += 1;
    }
  }
  assert.ok(tried > 60, `${tried} faults were tried`);
});

test('R32 the process is killed before and after each write and each send: the batch on its way comes first, the same', async () => {
  class Killed extends Error {}
  for (const when of ['before', 'after'] as const) {
    for (let step = 0; ; step++) {
      const world = await prepared();
      const fake = world.fakeOf('a');
      fake.answers.push(...Array.from({ length: 100 }, () => judge));
      let count = 0;
      let isDead = false;
      const at = async <T>(act: () => Promise<T>): Promise<T> => {
        if (isDead) throw new Killed();
        const isNow = count++ === step;
        if (isNow && when === 'before') isDead = true;
        if (isDead) throw new Killed();
        const result = await act();
        if (isNow) isDead = true;
        if (isDead) throw new Killed();
        return result;
      };
      const store = {
        ...world.store,
        get: world.store.get,
        query: world.store.query,
        transact: (writes: never[]) => at(() => world.store.transact(writes)),
      };
      const destinationOf = () => ({
        ...fake,
        send: (...given: Parameters<typeof fake.send>) => at(() => fake.send(...given)),
      });
      const ended = await world.run('a', { store: store as never, destinationOf: destinationOf as never }).then(
        () => true,
        (error) => {
          assert.ok(error instanceof Killed, String(error));
          return false;
        },
      );
      const onItsWay = (await readCursor(world.store, 'a'))?.state.main.inflight;
      const sent = fake.batches.length;
      await settle(world, { owner: 'two' });
      if (onItsWay !== undefined) {
        const again = fake.batches[sent];
        assert.equal(again?.id, onItsWay.id, `${when} step ${step}`);
        const before = fake.batches.slice(0, sent).find(({ id }) => id === onItsWay.id);
        if (before !== undefined) assert.deepEqual(again, before);
      }
      await assertWhole(world, `killed ${when} step ${step}`);
      if (ended) {
        assert.ok(step > 10, `${step} steps`);
        break;
      }
    }
  }
});

test('R32 two dispatchers at once: one works, the other waits; one that lost its lease sends twice and moves nothing', async () => {
  const world = await createSiemWorld();
  await world.append(3);
  await world.add('a');
  const fake = world.fakeOf('a');
  const { promise: held, resolve: goOn } = Promise.withResolvers<void>();
  const { promise: began, resolve: begin } = Promise.withResolvers<void>();
  fake.answers.push(async () => {
    begin();
    await held;
    return { kind: 'delivered' };
  });
  const slow = world.run('a', { owner: 'one', timer: () => () => undefined });
  await began;
  assert.deepEqual(await world.run('a', { owner: 'two' }), { kind: 'held', until: world.clock.time + 60_000 });
  // The first one stalls beyond its lease; the second takes over and goes far ahead.
  await world.pass(60_000);
  assert.equal((await world.run('a', { owner: 'two' })).kind, 'idle');
  const cursor = await readCursor(world.store, 'a');
  goOn();
  assert.equal((await slow).kind, 'held');
  assert.deepEqual(await readCursor(world.store, 'a'), cursor, 'a stale worker moved the cursor');
  assert.deepEqual(fake.batches[1], fake.batches[0], 'the second worker began with the identical batch');
  await assertWhole(world, 'two dispatchers');
});

test('R32 many dispatchers at once, again and again: each entry arrives, and the cursor never goes back', async () => {
  const world = await createSiemWorld();
  await world.add('a', {}, 'oldest');
  let last = 0;
  for (let i = 0; i < 10; i++) {
    await world.append(7);
    await Promise.all(['x', 'y', 'z'].map((owner) => world.run('a', { owner })));
    const next = (await readCursor(world.store, 'a'))?.state.main.next ?? 0;
    assert.ok(next >= last);
    last = next;
  }
  await settle(world);
  await assertWhole(world, 'many');
});

test('a destination is opened once for each configuration, and closed when it has another or is gone', async () => {
  const world = await createSiemWorld();
  const record = await world.add('a');
  const log: string[] = [];
  const opened = createOpened(({ name }) => {
    log.push(`open ${name}`);
    return { ...world.fakeOf(name), close: async () => void log.push(`close ${name}`) };
  });
  assert.equal(opened.of(record), opened.of({ ...record, revision: 7 }));
  opened.of({ ...record, configRevision: 2 });
  await opened.forget('a');
  await opened.close();
  assert.deepEqual(log, ['open a', 'close a', 'open a', 'close a']);
});

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { testOrigin } from '../../test/fakes/audit-log.ts';
import { openFakes } from '../../test/fakes/destination.ts';
import { arrival, createSiemWorld, type SiemWorld, sequencesOf, upTo } from '../../test/fakes/siem.ts';
import { createDispatcher } from './dispatcher.ts';
import { removeDestination, resumeDestination } from './manage.ts';
import { readStatus } from './status.ts';

/** A dispatcher on the world, running, to the end of the test at most. */
function start(t: TestContext, world: SiemWorld, names: readonly string[]) {
  const stop = new AbortController();
  const { store, writer, now, secrets } = world;
  const logger = { warn: () => undefined, error: () => undefined };
  const open = openFakes(Object.fromEntries(names.map((name) => [name, world.fakeOf(name)])));
  const deps = {
    store,
    audit: writer,
    origin: testOrigin,
    secrets,
    open,
    now,
    owner: 'one',
    logger,
    jitter: () => 0.5,
  };
  const running = createDispatcher(deps).run(stop.signal);
  t.after(() => stop.abort());
  return {
    async stop() {
      stop.abort();
      await running;
    },
  };
}

test('R32 what is sealed arrives at once, at every destination, also at one that is added later', async (t) => {
  const world = await createSiemWorld();
  await world.append(3);
  await world.add('a');
  const running = start(t, world, ['a', 'b']);
  await world.append(3);
  const { size } = await world.manage.reader.head();
  await arrival(world.fakeOf('a'), size);
  await world.add('b');
  await world.append(2);
  const later = (await world.manage.reader.head()).size;
  await Promise.all([arrival(world.fakeOf('a'), later), arrival(world.fakeOf('b'), later)]);
  await removeDestination(world.manage, { name: 'b', actor: world.actor, revision: 1 });
  await world.append(1);
  const last = (await world.manage.reader.head()).size;
  await arrival(world.fakeOf('a'), last);
  await running.stop();
  assert.deepEqual(sequencesOf(world.fakeOf('a').events), upTo(last));
  assert.deepEqual(sequencesOf(world.fakeOf('b').events), upTo(later));
});

test('incident 38: a destination that takes a batch and never answers holds up neither the others nor the log', async (t) => {
  const world = await createSiemWorld();
  await world.add('hangs');
  await world.add('works');
  const hanging = world.fakeOf('hangs');
  hanging.answers.push(
    (_, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve({ kind: 'transient', reason: 'aborted' }), { once: true });
      }),
  );
  const running = start(t, world, ['hangs', 'works']);
  for (let i = 0; i < 20; i++) {
    await world.append(5);
    await arrival(world.fakeOf('works'), (await world.manage.reader.head()).size);
  }
  const { size } = await world.manage.reader.head();
  assert.equal(hanging.batches.length, 1, 'it still waits for its first answer');
  assert.ok(((await readStatus(world.manage, 'hangs'))?.lag.entries ?? 0) >= 100, 'its backlog grows, and shows');
  await running.stop();
  // It heals: the same batch first, then everything.
  const again = start(t, world, ['hangs', 'works']);
  await arrival(world.fakeOf('hangs'), size);
  await again.stop();
  assert.deepEqual(hanging.batches[1], hanging.batches[0]);
  assert.deepEqual(sequencesOf(hanging.events), upTo(size));
});

test('who waits is not woken by what is sealed, but by an operator', async (t) => {
  const world = await createSiemWorld();
  await world.append(1);
  await world.add('a');
  await world.add('b', {}, 'newest');
  const fake = world.fakeOf('a');
  const { promise: refused, resolve: refuse } = Promise.withResolvers<void>();
  fake.answers.push(() => {
    refuse();
    return { kind: 'auth', reason: '401' };
  });
  const running = start(t, world, ['a', 'b']);
  await refused;
  await world.append(1);
  await arrival(world.fakeOf('b'), 1);
  assert.equal(fake.batches.length, 1);
  await resumeDestination(world.manage, { name: 'a', actor: world.actor });
  await arrival(world.fakeOf('a'), (await world.manage.reader.head()).size);
  await running.stop();
  assert.ok(fake.batches.length > 1);
});

test('R32 a name that is added again while the one before it ends is served', async (t) => {
  const world = await createSiemWorld();
  await world.append(1);
  const { promise: closing, resolve: close } = Promise.withResolvers<void>();
  const { promise: closed, resolve: end } = Promise.withResolvers<void>();
  const before = world.fakeOf('a');
  before.close = async () => {
    close();
    await closed;
  };
  await world.add('a');
  const running = start(t, world, ['a', 'b']);
  await arrival(world.fakeOf('a'), 1);
  await removeDestination(world.manage, { name: 'a', actor: world.actor, revision: 1 });
  await closing;
  before.events.length = 0;
  await world.add('a');
  // The dispatcher has heard of it before the old one is gone: what is sealed after it is what the other one is told.
  await world.add('b');
  await arrival(world.fakeOf('b'), 1);
  end();
  await arrival(world.fakeOf('a'), 1);
  await running.stop();
});

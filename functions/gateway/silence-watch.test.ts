/** Looks at the right times, and at nothing that could not be heard. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { readRings } from '../../lib/artifacts/rings.ts';
import { recordTaken, silentAfterMs } from '../../lib/artifacts/silence.ts';
import { silentLogger } from '../../test/fakes/gateway-fleet.ts';
import { createRolloutWorld } from '../../test/fakes/rollout.ts';
import { createSilenceWatch } from './silence-watch.ts';

const everyMs = 5 * 60_000;

async function createWorld(t: TestContext) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const world = await createRolloutWorld(1);
  await world.publish('1.1.0');
  await recordTaken(world.deps, world.fleet[0]!.uuid, await world.rollout('1.1.0', 'all'));
  const state = { isListening: true, looks: 0 };
  const store: typeof world.store = {
    ...world.store,
    get: (key) => {
      if (key.pk === 'rings') state.looks += 1;
      return world.store.get(key);
    },
  };
  const deps = { ...world.deps, store, isListening: () => state.isListening, logger: silentLogger };
  return {
    state,
    watch: createSilenceWatch(deps, everyMs),
    pass(ms: number) {
      world.clock.now += ms;
      t.mock.timers.tick(everyMs);
    },
    halted: async () => (await readRings(world.store)).rings[0]?.halted,
  };
}

test('R39 it looks by itself, and a ring whose node fell silent is halted', async (t) => {
  const { watch, pass, halted, state } = await createWorld(t);
  assert.equal(state.looks, 0);
  pass(silentAfterMs);
  await watch.settled();
  assert.match((await halted()) ?? '', /1 of them silent/);
});

test('while the gateway hears nobody it does not look, and the hour begins when it hears again', async (t) => {
  const { watch, pass, halted, state } = await createWorld(t);
  state.isListening = false;
  pass(10 * silentAfterMs);
  await watch.settled();
  assert.equal(state.looks, 0);
  state.isListening = true;
  pass(silentAfterMs - 1);
  await watch.settled();
  assert.equal(await halted(), '');
  pass(1);
  await watch.settled();
  assert.match((await halted()) ?? '', /1 of them silent/);
});

test('closed, it looks no more', async (t) => {
  const { watch, pass, state } = await createWorld(t);
  await watch.close();
  pass(silentAfterMs);
  await watch.settled();
  assert.equal(state.looks, 0);
});

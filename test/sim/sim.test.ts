/** A bounded part of the simulation; `npm run test:sim` runs all of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mutations } from './mutations.ts';
import { Broken, simulate } from './world.ts';

test('R30 R31 writers, sealers, faults and crashes in any order: no invariant breaks', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    for (let run = 0; run < 5; run++) {
      await simulate(seed, run).catch((error: unknown) => {
        throw new Error(`seed ${seed}, run ${run}`, { cause: error });
      });
    }
  }
});

test('the same seed takes the same turns', async () => {
  assert.equal(await simulate(7, 3), await simulate(7, 3));
  assert.notEqual(await simulate(7, 3), await simulate(7, 4));
});

for (const mutation of mutations) {
  test(`R30 R31 the simulation finds the bug: ${mutation.name}`, async () => {
    for (let seed = 1; seed <= 100; seed++) {
      try {
        for (let run = 0; run < 4; run++) await simulate(seed, run, mutation);
      } catch (error) {
        assert.ok(error instanceof Broken, String(error));
        return;
      }
    }
    assert.fail('400 runs did not find it');
  });
}

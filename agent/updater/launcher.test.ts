import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseVersion } from '../../lib/artifacts/version.ts';
import { logger } from '../../test/fakes/agent.ts';
import {
  builtAt,
  createBuilds,
  createInstallation,
  type FakeInstallation,
  type OfferedBuild,
} from '../../test/fakes/builds.ts';
import { Died } from '../../test/fakes/update-disk.ts';
import { UpdateError } from './errors.ts';
import { floorOf, knownState } from './installed.ts';
import { launch, maxBoots, type TrialEnd } from './launcher.ts';
import type { BuildPlace } from './layout.ts';
import { stageBuild } from './stage.ts';
import { readUpdateState } from './state.ts';

const builds = createBuilds();

/** Starts the launcher with builds that end like this, one after the other. */
async function start(installation: FakeInstallation, ...ends: TrialEnd[]) {
  const tried: BuildPlace[] = [];
  const tryBuild = async (slot: 'a' | 'b') => {
    tried.push(slot);
    return ends.shift() ?? assert.fail('tried more often than expected');
  };
  return { runs: await launch(installation, { tryBuild }, logger), tried };
}

const stage = (installation: FakeInstallation, offered: OfferedBuild) =>
  stageBuild(installation, offered.wanted, offered.source, builtAt);

async function updated(version: string): Promise<FakeInstallation> {
  const installation = createInstallation(builds.keys);
  await stage(installation, await builds.build(version));
  assert.equal((await start(installation, 'healthy')).runs, 'a');
  return installation;
}

describe('the launcher', () => {
  test('starts what was installed when nothing else is there', async () => {
    assert.deepEqual(await start(createInstallation(builds.keys)), { runs: 'own', tried: [] });
  });

  test('a build that proves itself is active from then on; the next one takes the other slot', async () => {
    const installation = await updated('1.1.0');
    assert.deepEqual(await start(installation), { runs: 'a', tried: [] });
    await stage(installation, await builds.build('1.2.0', { rollout: 2 }));
    assert.deepEqual(await start(installation, 'healthy'), { runs: 'b', tried: ['b'] });
    const { outcome, active, floor } = await knownState(installation);
    assert.equal(active, 'b');
    assert.equal(floor?.version, '1.2.0');
    assert.deepEqual(outcome, { rollout: 2, version: '1.2.0', result: 'confirmed', reason: '', from: '1.1.0' });
  });

  test('R39 a signed build that crashes at once is rolled back after its starts', async () => {
    const installation = await updated('1.1.0');
    await stage(installation, await builds.build('1.2.0', { rollout: 2 }));
    const crashes = Array.from({ length: maxBoots }, () => 'exited' as const);
    assert.deepEqual(await start(installation, ...crashes), { runs: 'a', tried: ['b', 'b', 'b'] });
    const { outcome } = await knownState(installation);
    assert.deepEqual(outcome, { rollout: 2, version: '1.2.0', result: 'rolled_back', reason: 'exited', from: '1.1.0' });
  });

  test('R39 a signed build that runs and never checks in is rolled back at its deadline', async () => {
    const installation = await updated('1.1.0');
    await stage(installation, await builds.build('1.2.0'));
    assert.deepEqual(await start(installation, 'deadline'), { runs: 'a', tried: ['b'] });
    assert.equal((await knownState(installation)).outcome?.reason, 'deadline');
    // And is not offered to it again by the same rollout.
    const offered = await builds.build('1.2.0');
    await assert.rejects(stage(installation, offered), { code: 'failed_before' });
  });

  test('starts are counted before they happen: a build that takes the machine down is rolled back too', async () => {
    const installation = await updated('1.1.0');
    await stage(installation, await builds.build('1.2.0'));
    for (let boot = 0; boot < maxBoots; boot += 1) {
      const down = { tryBuild: () => Promise.reject(new Died()) };
      await assert.rejects(launch(installation, down, logger), Died);
    }
    assert.deepEqual(await start(installation), { runs: 'a', tried: [] });
  });

  test('being asked to end says nothing about the build', async () => {
    const installation = await updated('1.1.0');
    await stage(installation, await builds.build('1.2.0'));
    for (let round = 0; round < 5; round += 1) {
      assert.equal((await start(installation, 'stopped')).runs, 'stopped');
    }
    assert.equal((await start(installation, 'healthy')).runs, 'b');
  });

  test('a build that is altered between staging and start is never started', async () => {
    const installation = await updated('1.1.0');
    const offered = await builds.build('1.2.0');
    await stage(installation, offered);
    installation.disk.put(
      installation.layout.program('b'),
      offered.program.map((byte) => byte ^ 1),
    );
    assert.deepEqual(await start(installation), { runs: 'a', tried: [] });
    assert.equal((await knownState(installation)).outcome?.reason, 'file_altered');
  });

  test('an installed build that is newer than the active one is the one that runs', async () => {
    const { disk, ...installation } = await updated('1.1.0');
    assert.equal((await start({ ...installation, disk, version: parseVersion('1.0.9') })).runs, 'a');
    assert.equal((await start({ ...installation, disk, version: parseVersion('1.2.0') })).runs, 'own');
  });

  test('a damaged active build gives way: to the one before it, watched, and else to the installed one', async () => {
    const installation = await updated('1.1.0');
    await stage(installation, await builds.build('1.2.0'));
    await start(installation, 'healthy');
    installation.disk.put(installation.layout.program('b'), new Uint8Array(3));
    assert.deepEqual(await start(installation, 'healthy'), { runs: 'a', tried: ['a'] });
    installation.disk.put(installation.layout.manifest('a'), new Uint8Array(3));
    assert.deepEqual(await start(installation), { runs: 'own', tried: [] });
  });
});

describe('anti-rollback', () => {
  test('R38 without update.json the floor is found in the signed builds, and the newest is tried anew', async () => {
    const installation = await updated('1.1.0');
    await stage(installation, await builds.build('1.2.0'));
    await start(installation, 'healthy');
    for (const damage of ['lost', 'garbled'] as const) {
      installation.disk.files.delete(installation.layout.stateFile);
      if (damage === 'garbled') installation.disk.put(installation.layout.stateFile, new Uint8Array([123]));
      assert.equal((await floorOf(installation)).version, '1.2.0');
      await assert.rejects(stage(installation, await builds.build('1.1.5')), { code: 'older' });
      assert.deepEqual(await start(installation, 'healthy'), { runs: 'b', tried: ['b'] });
    }
  });

  test('R38 with everything deleted the program itself is the floor', async () => {
    const installation = createInstallation(builds.keys, '1.4.0');
    await assert.rejects(stage(installation, await builds.build('1.3.9')), { code: 'older' });
  });
});

describe('R38 the crash table', () => {
  /** From staging to the proof, with a death at one change of the disk. Whether it went through without one. */
  async function whole(installation: FakeInstallation, offered: OfferedBuild): Promise<boolean> {
    try {
      await stage(installation, offered);
      await start(installation, 'healthy');
      return true;
    } catch (error) {
      if (error instanceof Died) return false;
      throw error;
    }
  }

  for (const after of ['kill', 'power'] as const) {
    for (const stands of [false, true]) {
      test(`${after}, the change ${stands ? 'stands' : 'does not stand'}: old or new, never neither`, async () => {
        let change = 0;
        const came = { old: 0, new: 0 };
        for (;;) {
          change += 1;
          const installation = await updated('1.1.0');
          const offered = await builds.build('1.2.0', { rollout: 2 });
          installation.disk.changes = 0;
          installation.disk.dieAt = { change, stands };
          const finished = await whole(installation, offered);
          installation.disk.restart(after);
          // The next start: whatever is on trial proves itself.
          const { runs } = await start(installation, 'healthy');
          const state = await readUpdateState(installation.disk, installation.layout);
          assert.ok(state, `the state is readable after change ${change}`);
          assert.equal(runs, state.active, `change ${change}`);
          if (runs === 'b') {
            came.new += 1;
            assert.equal(state.outcome?.version, '1.2.0');
            assert.equal(state.outcome?.result, 'confirmed');
          } else {
            came.old += 1;
            assert.equal(runs, 'a', `change ${change}`);
            // And the update can be had again.
            await stage(installation, offered);
            assert.equal((await start(installation, 'healthy')).runs, 'b');
          }
          if (finished) break;
        }
        assert.ok(came.old > 10 && came.new > 3, JSON.stringify({ change, came }));
      });
    }
  }

  test('a refusal is of the closed set of codes', async () => {
    const installation = createInstallation(builds.keys);
    const offered = await builds.build('0.1.0');
    await assert.rejects(
      stage(installation, offered),
      (error) => error instanceof UpdateError && error.code === 'older',
    );
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { logger } from '../../test/fakes/agent.ts';
import { builtAt, createBuilds, createInstallation, type OfferedBuild } from '../../test/fakes/builds.ts';
import type { UpdateReport } from '../session.ts';
import { SessionError } from '../session-error.ts';
import { knownState } from './installed.ts';
import { launch } from './launcher.ts';
import { createUpdates, refuseUpdates, type UpdateSession } from './updates.ts';

const builds = createBuilds();

function createWorld(version = '1.0.0') {
  const installation = createInstallation(builds.keys, version);
  const reports: UpdateReport[] = [];
  const clock = { now: builtAt };
  let asked = 0;
  const session = (offered: OfferedBuild): UpdateSession => ({
    fetchBuild: () => {
      asked += 1;
      return offered.source.describe();
    },
    download: (digest) => offered.source.part(digest),
    reportUpdate: async (report) => void reports.push(report),
  });
  const deps = { logger, now: () => clock.now, installation };
  return { installation, reports, clock, session, deps, updates: createUpdates(deps), asked: () => asked };
}

describe('self-update in the daemon', () => {
  test('a wanted build is staged, and after its start the control plane hears how it ended, once', async () => {
    const { installation, updates, session, reports, deps } = createWorld();
    const offered = await builds.build('1.1.0');
    assert.equal(await updates.pursue(session(offered), offered.wanted), true);
    await launch(installation, { tryBuild: async () => 'healthy' }, logger);
    const after = createUpdates(deps);
    await after.pursue(session(offered), undefined);
    await after.pursue(session(offered), undefined);
    assert.deepEqual(reports, [{ rollout: 1, version: '1.1.0', result: 'confirmed', reason: '', from: '1.0.0' }]);
  });

  test('a report that does not arrive is kept', async () => {
    const { installation, updates, session, reports } = createWorld();
    const offered = await builds.build('1.1.0');
    await updates.pursue(session(offered), offered.wanted);
    await launch(installation, { tryBuild: async () => 'deadline' }, logger);
    const cut = { ...session(offered), reportUpdate: () => Promise.reject(new SessionError('closed', 'cut')) };
    await assert.rejects(updates.pursue(cut, undefined), SessionError);
    await updates.pursue(session(offered), undefined);
    assert.deepEqual(
      reports.map(({ result, reason }) => [result, reason]),
      [['rolled_back', 'deadline']],
    );
  });

  test('a refusal is reported with its word, and looked at again after an hour', async () => {
    const { updates, session, reports, clock, asked } = createWorld('2.0.0');
    const offered = await builds.build('1.1.0');
    for (let turn = 0; turn < 3; turn += 1) assert.equal(await updates.pursue(session(offered), offered.wanted), false);
    assert.deepEqual(
      reports.map(({ result, reason }) => [result, reason]),
      [['refused', 'older']],
    );
    assert.equal(asked(), 1);
    clock.now += 60 * 60_000;
    await updates.pursue(session(offered), offered.wanted);
    assert.equal(asked(), 2);
  });

  test('a build on trial says once that it proved itself, and touches nothing else', async () => {
    const { deps, session, installation } = createWorld();
    const offered = await builds.build('1.1.0');
    let said = 0;
    const trial = createUpdates({
      ...deps,
      tellHealthy: () => {
        said += 1;
      },
    });
    trial.proved();
    trial.proved();
    assert.equal(said, 1);
    assert.equal(await trial.pursue(session(offered), offered.wanted), false);
    assert.equal((await knownState(installation)).trial, undefined);
  });

  test('from a checkout, and without its launcher, an agent refuses with the reason', async () => {
    const { session, reports } = createWorld();
    const offered = await builds.build('1.1.0');
    for (const code of ['not_one_file', 'not_installed'] as const) {
      const updates = refuseUpdates(code, { logger, now: () => builtAt, version: '1.0.0' });
      for (let turn = 0; turn < 2; turn += 1)
        assert.equal(await updates.pursue(session(offered), offered.wanted), false);
    }
    assert.deepEqual(
      reports.map(({ result, reason }) => [result, reason]),
      [
        ['not_possible', 'not_one_file'],
        ['not_possible', 'not_installed'],
      ],
    );
  });
});

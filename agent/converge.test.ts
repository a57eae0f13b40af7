import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ResultKind } from '../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { withDirectory } from '../test/conformance/executor-fixture.ts';
import { type AgentFleet, createAgentFleet, facts, node, withState } from '../test/fakes/agent.ts';
import { day } from '../test/fakes/policy.ts';
import { type ConvergeDeps, converge } from './converge.ts';
import { executors } from './executors/registry.ts';
import { openHeldRelease } from './held-release.ts';
import { createLocalHost } from './local-host.ts';
import { memoryNotifications } from './notifications.ts';
import type { StateDirectory } from './state.ts';

function depsOf(state: StateDirectory, fleet: AgentFleet, change: Partial<ConvergeDeps> = {}): ConvergeDeps {
  return {
    executors,
    host: createLocalHost(),
    guard: async () => undefined,
    notifications: memoryNotifications(),
    now: fleet.now,
    deadline: () => new AbortController().signal,
    node,
    held: openHeldRelease(state, fleet.trust, node),
    runId: randomUUID,
    facts: async () => facts,
    ...change,
  };
}

function motd(fleet: AgentFleet, path: string) {
  return [{ type: 'file', id: path, desired: { path, content: fleet.put(Buffer.from('hello')), mode: '0644' } }];
}

describe('converge', () => {
  test('the held release becomes what is on the machine, and the report says so', async () => {
    await withState((state) =>
      withDirectory(async (directory) => {
        const fleet = createAgentFleet();
        const path = join(directory, 'motd');
        const release = fleet.publish(motd(fleet, path));
        const deps = depsOf(state, fleet);
        await deps.held.adopt(release, { now: fleet.now(), download: fleet.download });

        const dry = await converge(deps, { dryRun: true });
        assert.equal(dry.report.dryRun, true);
        assert.deepEqual(
          dry.report.results.map(({ result }) => result),
          [ResultKind.CREATED],
        );
        await assert.rejects(readFile(path));

        const { report, error } = await converge(deps, { dryRun: false });
        assert.equal(error, '');
        assert.equal(await readFile(path, 'utf8'), 'hello');
        assert.equal(report.releaseNumber, 1);
        assert.equal(Buffer.from(report.releaseDigest).toString('hex'), release.digest);
        assert.deepEqual(
          report.results.map(({ resource, result }) => [resource, result]),
          [[`base/file/${path}`, ResultKind.CREATED]],
        );
        const again = await converge(deps, { dryRun: false });
        assert.deepEqual(
          again.report.results.map(({ result }) => result),
          [ResultKind.UNCHANGED],
        );
        assert.notEqual(again.report.runId, report.runId);
      }),
    );
  });

  test('crates that are not bound to the enrolled name and labels are not applied', async () => {
    await withState((state) =>
      withDirectory(async (directory) => {
        const fleet = createAgentFleet();
        const path = join(directory, 'motd');
        const bindings = [{ match: { labels: { role: 'db' } }, crates: ['base'] }];
        const deps = depsOf(state, fleet);
        const release = fleet.publish(motd(fleet, path), { bindings });
        await deps.held.adopt(release, { now: fleet.now(), download: fleet.download });
        assert.deepEqual((await converge(deps, { dryRun: false })).report.results, []);
        await assert.rejects(readFile(path));
        const database = { uuid: node.uuid, name: 'db-1', labels: { role: 'db' } };
        const held = openHeldRelease(state, fleet.trust, database);
        await held.adopt(release, { now: fleet.now(), download: fleet.download });
        const bound = depsOf(state, fleet, { node: database, held });
        assert.equal((await converge(bound, { dryRun: false })).report.results.length, 1);
      }),
    );
  });

  test('an expired release is not applied, and the report says why', async () => {
    await withState((state) =>
      withDirectory(async (directory) => {
        const fleet = createAgentFleet();
        const path = join(directory, 'motd');
        const deps = depsOf(state, fleet);
        await deps.held.adopt(fleet.publish(motd(fleet, path)), { now: fleet.now(), download: fleet.download });
        const later = { ...deps, now: () => fleet.now() + 91 * day };
        const { report, error } = await converge(later, { dryRun: false });
        assert.match(error, /^expired: release 1 expired at/);
        assert.equal(report.error, error);
        assert.equal(report.releaseNumber, 1);
        assert.deepEqual(report.results, []);
        await assert.rejects(readFile(path));
      }),
    );
  });

  test('without a release there is nothing to do', async () => {
    await withState(async (state) => {
      const { report, error } = await converge(depsOf(state, createAgentFleet()), { dryRun: false });
      assert.deepEqual([report.releaseNumber, report.results, error], [0, [], '']);
    });
  });

  test('a report fits into a request, and failures keep their reasons first', async () => {
    await withState(async (state) => {
      const fleet = createAgentFleet();
      const deps = depsOf(state, fleet);
      const names = Array.from({ length: 600 }, (_, index) => `n${index}`);
      const command = `head -c 3000 /dev/zero | tr '\\0' x; exit 1`;
      const resources = names.map((name) => ({
        type: 'exec',
        id: name,
        desired: name === 'n599' ? { name, command, unless: 'false' } : { name, command: '/bin/true', creates: '/' },
      }));
      const release = fleet.publish(resources.map((one) => (one.id === 'n599' ? one : { ...one, type: 'future' })));
      await deps.held.adopt(release, { now: fleet.now(), download: fleet.download });
      const { report } = await converge(deps, { dryRun: false });
      assert.equal(report.results.length, 600);
      assert.match(report.results.at(-1)?.reason ?? '', /exited with 1: x/);
    });
  });
});

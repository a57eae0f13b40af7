import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { nodeKey } from '../../lib/identity/nodes.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { maxItemBytes } from '../../lib/store/port.ts';
import { driftKey, eventsKept, isFlapping, parseDrift } from './drift.ts';
import type { ResultName, Run, RunResult } from './run-report.ts';
import { createRunStore, runPartition } from './runs.ts';

const uuid = '6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11';
const minute = 60_000;
const start = Date.UTC(2030, 0, 1);
const file = 'web/file//etc/nginx.conf';

function runOf(
  at: number,
  release: number,
  results: { readonly [resource: string]: ResultName },
  change: Partial<Run> = {},
): Run {
  const list = Object.entries(results).map(
    ([resource, result]): RunResult => ({ resource, result, reason: 'other content', durationMs: 1 }),
  );
  const counts = { unchanged: 0, created: 0, updated: 0, removed: 0, skipped: 0, blocked: 0, failed: 0 };
  return {
    runId: randomUUID(),
    startedAt: start + at * minute,
    durationMs: 5,
    release: { number: release, digest: String(release).repeat(64).slice(0, 64) },
    dryRun: false,
    counts,
    results: list,
    omitted: 0,
    droppedRuns: 0,
    error: '',
    ...change,
  };
}

async function record(...runs: readonly Run[]) {
  const store = createMemoryStore();
  await store.transact([{ kind: 'put', item: { ...nodeKey(uuid), name: 'web-1' } }]);
  const runStore = createRunStore({ store, now: () => start });
  for (const run of runs) await runStore.record(uuid, run);
  const { resources } = parseDrift(await store.get(driftKey(uuid)));
  return {
    store,
    resources,
    causes: (name = file) => resources.find(({ resource }) => resource === name)?.events.map(({ cause }) => cause),
  };
}

describe('drift', () => {
  it('the first run under a release is ours; what moves under the same release moved outside', async () => {
    const { causes, resources } = await record(
      runOf(0, 1, { [file]: 'created' }),
      runOf(1, 1, { [file]: 'unchanged' }),
      runOf(2, 1, { [file]: 'updated' }),
      runOf(3, 2, { [file]: 'updated' }),
      runOf(4, 2, { [file]: 'updated' }),
    );
    assert.deepEqual(causes(), ['outside', 'ours', 'outside', 'ours']);
    assert.deepEqual(
      resources[0]?.events.map(({ release }) => release),
      [2, 2, 1, 1],
    );
  });

  const earlier: readonly (readonly [string, ResultName | undefined, Partial<Run>, string])[] = [
    ['failed', 'failed', {}, 'ours'],
    ['was skipped', 'skipped', {}, 'ours'],
    ['was blocked', 'blocked', {}, 'ours'],
    ['was in order', 'unchanged', {}, 'outside'],
    ['was changed', 'updated', {}, 'outside'],
    ['was not there', undefined, {}, 'ours'],
    ['was not kept, because it was in order', undefined, { omitted: 1 }, 'outside'],
    ['was only tried', 'unchanged', { dryRun: true }, 'ours'],
  ];
  for (const [what, result, change, cause] of earlier) {
    it(`a change after the resource ${what} is ${cause}`, async () => {
      const before = runOf(0, 1, { other: 'unchanged', ...(result === undefined ? {} : { [file]: result }) }, change);
      const { resources } = await record(before, runOf(1, 1, { [file]: 'updated' }));
      assert.equal(resources.find(({ resource }) => resource === file)?.events[0]?.cause, cause);
    });
  }

  it('a service that answers a notification did not drift', async () => {
    const service = 'web/service/nginx';
    const second = runOf(1, 1, { [file]: 'updated', [service]: 'updated' });
    const results = second.results.map((one) => (one.resource === service ? { ...one, reason: 'notified' } : one));
    const { causes } = await record(runOf(0, 1, { [file]: 'unchanged', [service]: 'unchanged' }), {
      ...second,
      results,
    });
    assert.deepEqual(causes(), ['outside']);
    assert.deepEqual(causes(service), ['ours']);
  });

  it('a dry run, a run without a release and one without changes leave no trace', async () => {
    const { release: _none, ...bare } = runOf(2, 1, { [file]: 'updated' });
    const { store } = await record(
      runOf(0, 1, { [file]: 'updated' }, { dryRun: true }),
      runOf(1, 1, { [file]: 'failed' }),
      bare,
    );
    assert.equal(await store.get(driftKey(uuid)), undefined);
  });

  it('the same run twice counts once, and an interrupted run before it is no witness', async () => {
    const run = runOf(3, 1, { [file]: 'updated' });
    const broken = runOf(2, 1, {}, { error: 'expired' });
    const { causes } = await record(runOf(0, 1, { [file]: 'unchanged' }), broken, run, run);
    assert.deepEqual(causes(), ['outside']);
  });

  it('three times in a day is flapping; three times in a week is not', async () => {
    const often = await record(...[0, 1, 2, 3].map((at) => runOf(at, 1, { [file]: 'updated' })));
    const [resource] = often.resources;
    assert.ok(resource);
    assert.equal(isFlapping(resource, start + 5 * minute), true);
    assert.equal(isFlapping(resource, start + 2 * 24 * 60 * minute), false, 'a day later nothing happened since');
    const seldom = await record(...[0, 2, 4, 6].map((day) => runOf(day * 24 * 60, 1, { [file]: 'updated' })));
    assert.equal(isFlapping(seldom.resources[0] as NonNullable<typeof resource>, start + 6 * 24 * 60 * minute), false);
  });

  it('what is kept is bounded, and fits into an item', async () => {
    const names = Array.from({ length: 180 }, (_, i) => `${'ü'.repeat(500)}${i}`);
    const runs = Array.from({ length: eventsKept + 5 }, (_, at) =>
      runOf(at, 1, Object.fromEntries(names.slice(0, at < 3 ? 180 : 3).map((name) => [name, 'updated' as const]))),
    );
    const { store, resources } = await record(...runs.slice(0, 1), ...runs.slice(3));
    assert.ok(resources.length > 3 && resources.length < 180);
    assert.equal(resources[0]?.events.length, eventsKept);
    const item = await store.get(driftKey(uuid));
    assert.ok(Buffer.byteLength(JSON.stringify(item)) < maxItemBytes);
    assert.ok((await store.query({ pk: runPartition(uuid) })).items.length > 0);
  });
});

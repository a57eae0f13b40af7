import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { nodeKey } from '../../lib/identity/nodes.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { ResultKind, RunReportSchema } from '../../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { maxResults, maxRunTextBytes, parseRunReport } from './run-report.ts';
import { createRunStore, runPartition, runsKept } from './runs.ts';

const now = Date.UTC(2026, 5, 1);
const uuid = randomUUID();

function report(change: object = {}) {
  return create(RunReportSchema, { runId: randomUUID(), started: timestampFromMs(now), ...change });
}

describe('reports of runs', () => {
  const impossible: readonly (readonly [string, object])[] = [
    ['no UUID', { runId: 'run-1' }],
    ['a path as run id', { runId: '../../../../../../../../etc/passwd-000' }],
    ['no start', { started: undefined }],
    ['a start in the far future', { started: timestampFromMs(now + 3 * 24 * 60 * 60 * 1000) }],
    ['a start in the far past', { started: timestampFromMs(0) }],
    ['a start beyond all dates', { started: { seconds: 2n ** 62n, nanos: 0 } }],
    ['a short digest', { releaseNumber: 1, releaseDigest: new Uint8Array(31) }],
    ['an unknown kind of result', { results: [{ resource: 'a', result: 99 }] }],
    ['no kind of result', { results: [{ resource: 'a' }] }],
    ['too many results', { results: Array.from({ length: maxResults + 1 }, () => ({ result: 1 })) }],
  ];
  for (const [name, change] of impossible) {
    it(`a report with ${name} is refused`, () => {
      assert.throws(() => parseRunReport(report(change), now), { code: 'INVALID_REPORT' });
    });
  }

  it('text is bounded and can not steer a terminal', () => {
    const hostile = `\u001b]0;title\u0007\r\n\u202ereversed\u0000\ud800${'x'.repeat(2000)}`;
    const results = [{ resource: hostile, result: ResultKind.FAILED, reason: hostile }];
    const run = parseRunReport(report({ results, error: hostile }), now);
    for (const text of [run.error, run.results[0]!.resource, run.results[0]!.reason]) {
      assert.ok(text.length <= 512);
      assert.match(text, /^[^\p{Cc}\p{Cf}]*$/u);
      assert.ok(text.isWellFormed());
    }
  });

  it('what changed or failed is kept before what was in order, and all is counted', () => {
    const fine = Array.from({ length: 3000 }, (_, n) => ({
      resource: `a/file/${'p'.repeat(300)}${n}`,
      result: ResultKind.UNCHANGED,
    }));
    const run = parseRunReport(
      report({ results: [...fine, { resource: 'a/file/x', result: ResultKind.FAILED }] }),
      now,
    );
    assert.equal(run.counts.unchanged, 3000);
    assert.equal(run.counts.failed, 1);
    assert.equal(run.results.at(-1)?.result, 'failed');
    assert.equal(run.results.length + run.omitted, 3001);
    assert.ok(JSON.stringify(run.results).length < 2 * maxRunTextBytes);
  });
});

describe('stored runs', () => {
  it('the newest are kept, an old one never comes back, and reporting again changes nothing', async () => {
    const store = createMemoryStore();
    await store.transact([{ kind: 'put', item: { ...nodeKey(uuid) } }]);
    const runs = createRunStore({ store, now: () => now });
    const all = Array.from({ length: runsKept + 5 }, (_, n) =>
      parseRunReport(report({ started: timestampFromMs(now + n * 1000) }), now),
    );
    for (const run of all) await runs.record(uuid, run);
    for (const run of all) await runs.record(uuid, run);
    const { items } = await store.query({ pk: runPartition(uuid) });
    assert.deepEqual(
      items.map((item) => item['runId']),
      all.slice(5).map((run) => run.runId),
    );
    await store.close();
  });

  it('reports of one node at the same time are all recorded', async () => {
    const store = createMemoryStore();
    await store.transact([{ kind: 'put', item: { ...nodeKey(uuid) } }]);
    const runs = createRunStore({ store, now: () => now });
    const all = Array.from({ length: 4 }, (_, n) => parseRunReport(report({ started: timestampFromMs(now + n) }), now));
    await Promise.all(all.map((run) => runs.record(uuid, run)));
    const { items } = await store.query({ pk: runPartition(uuid) });
    assert.equal(items.length, 4);
    await store.close();
  });

  it('a run of a node that is not stored is not recorded', async () => {
    const store = createMemoryStore();
    await assert.rejects(
      createRunStore({ store, now: () => now }).record(randomUUID(), parseRunReport(report(), now)),
      {
        code: 'UNAVAILABLE',
      },
    );
    assert.deepEqual((await store.query({ pk: runPartition(uuid) })).items, []);
    await store.close();
  });
});

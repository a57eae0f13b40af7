import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryStore } from '../store/memory.ts';
import { type PostureRun, postureWrites, readPosture } from './posture.ts';

const at = (text: string) => Date.parse(`${text}Z`);
const run = (startedAt: number, results: Record<string, string>, error = ''): PostureRun => ({
  startedAt,
  dryRun: false,
  error,
  results: Object.entries(results).map(([resource, result]) => ({ resource, result })),
});

test('the state of a day is that of its newest run, by node and by crate; earlier ones are counted', async () => {
  const store = createMemoryStore();
  const record = (one: PostureRun, isNewest = true) =>
    store.transact(postureWrites('u', one, { isNewest, now: one.startedAt }));
  await record(run(at('2026-01-01T08:00:00'), { 'base/file/a': 'created', 'web/file/b': 'failed' }));
  await record(run(at('2026-01-01T09:00:00'), { 'base/file/a': 'unchanged', 'web/file/b': 'updated' }));
  await record(run(at('2026-01-01T07:00:00'), { 'base/file/a': 'blocked' }), false);
  await record(run(at('2026-01-02T00:00:00'), { 'base/file/a': 'unchanged', odd: 'failed' }));
  await record(run(at('2026-01-03T00:00:00'), {}, 'it could not start'));
  assert.deepEqual(await readPosture(store, 'u', { from: '2026-01-01' }), [
    {
      day: '2026-01-01',
      state: 'drifted',
      crates: { base: 'converged', web: 'drifted' },
      converged: 0,
      drifted: 1,
      failed: 2,
    },
    { day: '2026-01-02', state: 'failed', crates: { base: 'converged' }, converged: 0, drifted: 0, failed: 1 },
    { day: '2026-01-03', state: 'failed', crates: {}, converged: 0, drifted: 0, failed: 1 },
  ]);
  assert.equal((await readPosture(store, 'u', { from: '2026-01-03' })).length, 1);
  assert.deepEqual(await readPosture(store, 'other', { from: '2026-01-01' }), []);
});

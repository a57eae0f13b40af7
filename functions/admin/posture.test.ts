/** Posture of the fleet: the same as counting everything, without reading everything. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { newestPostureKey, postureKey, postureWrites, readPosture } from '../../lib/compliance/posture.ts';
import { type NodeRecord, nodeItems, nodeKey, nodePartitions, parseNode } from '../../lib/identity/nodes.ts';
import { createMemoryBlobs } from '../../lib/store/blobs-memory.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { type Item, type Query, type Store, StoreError } from '../../lib/store/port.ts';
import type { Run } from '../gateway/run-report.ts';
import { createRunStore } from '../gateway/runs.ts';
import { createFleetPosture, daysUpTo, nodeDays, type PostureView } from './posture.ts';

const golden = JSON.parse(
  readFileSync(new URL('../../lib/compliance/posture.golden.json', import.meta.url), 'utf8'),
) as {
  readonly now: readonly Item[];
};
const dayMs = 86_400_000;
const hourMs = 3_600_000;
const start = Date.UTC(2026, 0, 10, 12);
const uuidOf = (i: number) => `${(i % 16).toString(16)}${String(i).padStart(7, '0')}-8f0e-4c57-9d3c-2f5f1f0c9a11`;

type World = ReturnType<typeof createWorld>;

/** A fleet and its clock; `asked` are the partitions of each query, without their ends. */
function createWorld(inner: Store = createMemoryStore()) {
  const clock = { time: start };
  const asked: string[] = [];
  const store: Store = {
    ...inner,
    query(query: Query) {
      asked.push(query.pk.replace(/#.*/, ''));
      return inner.query(query);
    },
  };
  const now = () => clock.time;
  const ask = createFleetPosture({ store, blobs: createMemoryBlobs(), now });
  const enroll = async (i: number, change: object = {}) => {
    const keys = { identityKey: new Uint8Array(32), sealingKey: new Uint8Array(32) };
    const node = { ...nodeKey(uuidOf(i)), name: `web-${i}`, labels: {}, state: 'active', revision: 1, ...keys };
    const item = { ...node, platform: 'linux', token: 't', enrolledAt: clock.time, ...change };
    await inner.transact([{ kind: 'put', item }]);
  };
  let runs = 0;
  const report = (
    i: number,
    results: { readonly [resource: string]: string },
    startedAt = clock.time,
    at = clock.time,
  ) => createRunStore({ store: inner, now: () => at }).record(uuidOf(i), runOf(runs++, startedAt, results));
  return { store: inner, clock, asked, ask, enroll, report };
}

function runOf(id: number, startedAt: number, results: { readonly [resource: string]: string }): Run {
  return {
    runId: `${String(id).padStart(8, '0')}-8f0e-4c57-9d3c-2f5f1f0c9a11`,
    ...{ startedAt, durationMs: 1, dryRun: false, error: '', omitted: 0, droppedRuns: 0 },
    counts: { unchanged: 0, created: 0, updated: 0, removed: 0, skipped: 0, blocked: 0, failed: 0 },
    results: Object.entries(results).map(([resource, result]) => ({
      resource,
      result,
      reason: '',
      durationMs: 1,
    })) as Run['results'],
  };
}

/** By reading the whole history of every node: what the answer is defined to be. */
async function counted({ store, clock }: World, length: number): Promise<Pick<PostureView, 'days' | 'crates'>> {
  const days = daysUpTo(clock.time, length);
  const none = () => ({ converged: 0, drifted: 0, failed: 0 });
  const perDay = new Map(days.map((day) => [day, { ...none(), unseen: 0 }]));
  const perCrate = new Map<string, { now: ReturnType<typeof none>; days: Map<string, ReturnType<typeof none>> }>();
  const ofCrate = (crate: string) => {
    const held = perCrate.get(crate) ?? { now: none(), days: new Map() };
    perCrate.set(crate, held);
    return held;
  };
  for await (const item of nodeItems(store)) {
    const node: NodeRecord = parseNode(item);
    const held = await readPosture(store, node.uuid, { from: days[0] ?? '' });
    for (const { day, state } of nodeDays(node, held, days)) (perDay.get(day) ?? { [state]: 0 })[state] += 1;
    for (const { day, crates } of held)
      for (const [crate, state] of perDay.has(day) ? Object.entries(crates) : []) {
        const each = ofCrate(crate).days;
        const of = each.get(day) ?? none();
        of[state] += 1;
        each.set(day, of);
      }
    if (node.state === 'revoked') continue;
    for (const [crate, state] of Object.entries(held.at(-1)?.crates ?? {})) ofCrate(crate).now[state] += 1;
  }
  const sorted = <T>(map: Map<string, T>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    days: [...perDay].map(([day, each]) => ({ day, ...each })),
    crates: sorted(perCrate).map(([crate, { now, days: each }]) => ({
      crate,
      controls: [],
      ...now,
      days: sorted(each).map(([day, of]) => ({ day, ...of })),
    })),
  };
}

async function assertCounted(world: World, length: number): Promise<PostureView> {
  const { days, crates, ...view } = await world.ask(length);
  const expected = await counted(world, length);
  assert.deepEqual({ days, crates }, expected);
  return { days, crates, ...view };
}

test('whatever is reported, however late, and whenever it is asked: the answer is what counting everything gives', async () => {
  const resource = fc.constantFrom('base/file/a', 'base/file/b', 'web/file/c');
  const result = fc.constantFrom('unchanged', 'updated', 'failed');
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('report' as const),
        node: fc.nat(5),
        results: fc.dictionary(resource, result),
        lateHours: fc.constantFrom(0, 0, 0, 1, 20, 30, 100, -3),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('pass' as const), hours: fc.constantFrom(1, 5, 12, 24, 50) }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('ask' as const), days: fc.constantFrom(1, 2, 7, 30) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('revoke' as const), node: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('enroll' as const), node: fc.integer({ min: 6, max: 9 }) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const world = createWorld();
      const { store, clock, enroll, report } = world;
      // Two of them in one partition.
      for (const i of [0, 1, 2, 3, 4, 5]) await enroll(i === 5 ? 17 : i);
      const idOf = (i: number) => (i === 5 ? 17 : i);
      for (const each of steps) {
        if (each.kind === 'pass') clock.time += each.hours * hourMs;
        if (each.kind === 'ask') await assertCounted(world, each.days);
        if (each.kind === 'enroll' && (await store.get(nodeKey(uuidOf(each.node)))) === undefined)
          await enroll(each.node);
        if (each.kind === 'report') await report(idOf(each.node), each.results, clock.time - each.lateHours * hourMs);
        if (each.kind === 'revoke') {
          const set = { state: 'revoked', revokedAt: clock.time };
          await store.transact([{ kind: 'update', key: nodeKey(uuidOf(idOf(each.node))), set }]);
        }
      }
      for (const length of [1, 3, 90]) await assertCounted(world, length);
    }),
    { numRuns: 60 },
  );
});

/** Ten nodes of the first partition and five of others, with five days of runs. */
async function withHistory(inner?: Store) {
  const world = createWorld(inner);
  const ids = [...Array.from({ length: 10 }, (_, i) => i * 16), 1, 2, 3, 4, 5];
  for (const i of ids) await world.enroll(i);
  for (let day = 0; day < 5; day++) {
    for (const i of ids) await world.report(i, { 'base/file/a': (i + day) % 3 === 0 ? 'updated' : 'unchanged' });
    world.clock.time += dayMs;
  }
  return { ...world, ids };
}

test('the history of a node is read once: after that neither it nor any node by itself is asked for', async () => {
  const { ask, asked, clock } = await withHistory();
  await ask(7);
  assert.ok(asked.includes('posture'));
  asked.length = 0;
  await ask(7);
  assert.deepEqual([...new Set(asked)].sort(), ['node', 'posture-newest', 'posture-rollup']);
  // A range of each, by partition: what is there to read grows with neither days nor history.
  assert.ok(asked.length <= 3 * nodePartitions.length, String(asked.length));
  const before = asked.length;
  asked.length = 0;
  await ask(90);
  asked.length = 0;
  await ask(90);
  assert.equal(asked.length, before);
  clock.time += dayMs;
  await ask(90);
  assert.equal(
    asked.filter((partition) => partition === 'posture').length,
    15,
    'the day that is over now, once for each node',
  );
});

test('a run that comes late is in the next answer, also for a day that was added up', async () => {
  const world = await withHistory();
  const { ask, report, clock, asked } = world;
  await ask(7);
  const [first, second] = [clock.time - 4 * dayMs, clock.time - dayMs];
  // Older than the newest run of the node: it changes nothing but a count of runs.
  await report(0, { 'base/file/a': 'failed' }, first);
  asked.length = 0;
  await assertCounted(world, 7);
  assert.equal(asked.includes('posture'), false);
  await report(16, { 'base/file/a': 'failed' }, second + hourMs);
  const { days } = await assertCounted(world, 7);
  assert.equal(days.at(-2)?.failed, 1);
});

test('a run that comes late while its day is added up is in the next answer', async () => {
  const inner = createMemoryStore();
  const world = await withHistory(inner);
  const { clock, report } = world;
  let isLate = true;
  const store: Store = {
    ...inner,
    async transact(writes) {
      if (isLate && writes.some((write) => write.kind === 'update' && write.key.pk === 'posture-rollup#0')) {
        isLate = false;
        await report(0, { 'base/file/a': 'failed' }, clock.time - dayMs + hourMs);
      }
      return inner.transact(writes);
    },
  };
  const deps = { store, blobs: createMemoryBlobs(), now: () => clock.time };
  assert.equal((await createFleetPosture(deps)(7)).days.at(-2)?.failed, 0);
  assert.equal(isLate, false);
  assert.equal((await assertCounted(world, 7)).days.at(-2)?.failed, 1);
});

test('a day is added up ten minutes after its end: one who records by another clock is not overlooked', async () => {
  const { ask, clock, report, store } = await withHistory();
  const midnight = Math.ceil(clock.time / dayMs) * dayMs;
  const yesterday = new Date(midnight - 1).toISOString().slice(0, 10);
  const isKept = async () => (await store.get({ pk: 'posture-rollup#0', sk: yesterday }))?.['nodes'] !== undefined;
  clock.time = midnight + 10 * 60_000 - 1;
  await ask(7);
  assert.equal(await isKept(), false);
  // A gateway whose clock has not come to the end of the day records without a word of it.
  await report(0, { 'base/file/a': 'failed' }, midnight - 2, midnight - 1);
  assert.equal((await ask(7)).days.at(-2)?.failed, 1);
  clock.time += 1;
  assert.equal((await ask(7)).days.at(-2)?.failed, 1);
  assert.equal(await isKept(), true);
});

test('nodes that reported before the last posture was kept by itself are counted all the same', async () => {
  const world = await withHistory();
  const { store, ids, asked, ask } = world;
  await store.transact(ids.map((i) => ({ kind: 'delete', key: newestPostureKey(uuidOf(i)) })));
  await assertCounted(world, 7);
  // One that never reported is not looked for.
  await world.enroll(6);
  asked.length = 0;
  await ask(7);
  assert.equal(asked.filter((partition) => partition === 'posture').length, ids.length);
});

test('who asks at the same time gets the same answer, made once; and others get their turn while it is made', async () => {
  const { ask, asked } = await withHistory();
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(7)));
  isOver = true;
  assert.equal(new Set(answers).size, 1);
  assert.equal(asked.filter((partition) => partition === 'posture-rollup').length, nodePartitions.length);
  // One for each partition that has nodes, at least.
  assert.ok(turns >= 6, String(turns));
  assert.notEqual(await ask(7), answers[0]);
});

test('a failure is told to those who asked, and the next one is answered', async () => {
  const inner = createMemoryStore();
  const { ids } = await withHistory(inner);
  let fails = true;
  const query: Store['query'] = async (range) => {
    if (fails) throw new StoreError('unavailable', 'planned');
    return inner.query(range);
  };
  const ask = createFleetPosture({
    store: { ...inner, query },
    blobs: createMemoryBlobs(),
    now: () => start + 5 * dayMs,
  });
  await assert.rejects(ask(7), { code: 'unavailable' });
  fails = false;
  assert.equal((await ask(7)).days.at(-2)?.converged, ids.length - 5);
});

test('a store that can not be written to still answers; a bug is not hidden', async () => {
  for (const [error, isAnswered] of [
    [new StoreError('read_only', 'planned'), true],
    [new StoreError('conflict', 'planned'), true],
    [new TypeError('planned'), false],
  ] as const) {
    const inner = createMemoryStore();
    const world = await withHistory(inner);
    const store: Store = { ...inner, transact: () => Promise.reject(error) };
    const answer = createFleetPosture({ store, blobs: createMemoryBlobs(), now: () => world.clock.time })(7);
    if (isAnswered) assert.deepEqual((await answer).days, (await counted(world, 7)).days);
    else await assert.rejects(answer, TypeError);
  }
});

test('crates that a node makes up do not grow the answer without bound, and push out none that others have', async () => {
  const { ask, clock, enroll, report, store } = createWorld();
  for (const i of [0, 1, 2]) await enroll(i);
  const names = (run: number) =>
    Object.fromEntries(Array.from({ length: 1_500 }, (_, i) => [`made-${run}-${i}/file/a`, 'failed']));
  for (let run = 0; run < 4; run++) {
    await report(0, { ...names(run), 'No Crate/file/a': 'failed', '../x/file/a': 'failed', nothing: 'failed' });
    for (const i of [1, 2]) await report(i, { 'base/file/a': 'unchanged' });
    clock.time += dayMs;
  }
  for (const _time of ['first', 'again']) {
    const view = await ask(7);
    assert.ok(view.crates.length <= 2_000);
    assert.equal(view.crates.length + view.cratesOmitted, 4_001);
    assert.deepEqual(view.crates.find(({ crate }) => crate === 'base')?.days.length, 4);
    for (const { crate } of view.crates) assert.match(crate, /^[a-z][a-z0-9-]*$/);
  }
  const kept = await store.get(postureKey(uuidOf(0), '2026-01-10'));
  assert.equal(Object.keys(kept?.['crates'] ?? {}).length, 1_000, 'no node has more crates than a release can');
});

test('at rest, how a node stood and what was added up are those of the golden file', async () => {
  const { ask, clock, enroll, report, store } = createWorld();
  await enroll(0);
  await report(0, { 'base/file/a': 'updated', 'web/file/b': 'unchanged' });
  clock.time += dayMs;
  await report(0, { 'base/file/a': 'failed' }, clock.time - dayMs + hourMs);
  await ask(2);
  const items: Item[] = [];
  for (const pk of [`posture#${uuidOf(0)}`, 'posture-newest#0', 'posture-rollup#0'])
    items.push(...(await store.query({ pk })).items);
  assert.deepEqual(items, golden.now);
});

test('a run adds to its day, says how the node stands, and of a day that is over that it came late', () => {
  const run = { startedAt: start, dryRun: false, error: '', results: [{ resource: 'base/file/a', result: 'updated' }] };
  const kinds = (isNewest: boolean, now: number) =>
    postureWrites(uuidOf(0), run, { isNewest, now }).map((write) =>
      write.kind === 'update' ? write.key.pk.replace(/#.*/, '') : '',
    );
  assert.deepEqual(kinds(true, start), ['posture', 'posture-newest']);
  assert.deepEqual(kinds(true, start + dayMs), ['posture', 'posture-newest', 'posture-rollup']);
  assert.deepEqual(kinds(true, start - dayMs), ['posture', 'posture-newest']);
  assert.deepEqual(kinds(false, start + dayMs), ['posture']);
});

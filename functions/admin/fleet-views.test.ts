import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { pino } from 'pino';
import { localAdmin } from '../../lib/access/principal.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { nodeKey, wakePartition } from '../../lib/identity/nodes.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { createFakeSealer } from '../../test/fakes/access.ts';
import { createFakeAudit } from '../../test/fakes/audit.ts';
import { createFactsStore } from '../gateway/facts.ts';
import type { Run } from '../gateway/run-report.ts';
import { createRunStore } from '../gateway/runs.ts';
import { createAdminApp } from './app.ts';
import { type DriftView, driftRoutes } from './routes/drift.ts';
import { factRoutes } from './routes/facts.ts';
import { nodeRoutes } from './routes/nodes.ts';
import type { PageOf } from './routes/page.ts';
import { runRoutes } from './routes/runs.ts';

const now = Date.UTC(2030, 0, 1);
const nodes = ['1a', '1b', 'f0'].map((head) => `${head}1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11`);
const [first = '', second = '', third = ''] = nodes;

async function setUp(state = 'active') {
  const store = createMemoryStore();
  const audit = createFakeAudit(store);
  for (const uuid of nodes) {
    const keys = { identityKey: new Uint8Array(32).fill(9), sealingKey: new Uint8Array(32) };
    const item = { ...nodeKey(uuid), name: 'web-1', labels: {}, state, revision: 1, ...keys };
    await store.transact([{ kind: 'put', item: { ...item, platform: 'linux', token: 't', enrolledAt: now } }]);
  }
  const clock = () => now;
  const app = createAdminApp(
    {
      store,
      audit,
      now: clock,
      sealer: createFakeSealer(),
      logger: pino({ level: 'silent' }),
      authenticate: async () => ({ caller: { principal: localAdmin, via: 'local-admin', isAmbient: false } }),
    },
    [
      ...nodeRoutes({ store, audit, now: clock }),
      ...runRoutes({ store }),
      ...factRoutes({ store }),
      ...driftRoutes({ store, now: clock }),
    ],
  );
  const ask = async (path: string, body?: object) => {
    const response = await app.request(path, {
      headers: { authorization: 'Bearer x', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  return { store, audit, ask };
}

function run(minute: number, resources: readonly string[]): Run {
  return {
    runId: randomUUID(),
    startedAt: now - 60 * 60_000 + minute * 60_000,
    durationMs: 12,
    release: { number: 1, digest: 'a'.repeat(64) },
    dryRun: false,
    counts: { unchanged: 0, created: 0, updated: resources.length, removed: 0, skipped: 0, blocked: 0, failed: 0 },
    results: resources.map((resource) => ({ resource, result: 'updated', reason: 'other content', durationMs: 3 })),
    omitted: 0,
    droppedRuns: 0,
    error: '',
  };
}

test('drift of the fleet: pages join to the whole, each resource once, whatever the limit', async () => {
  const { store, ask } = await setUp();
  const runs = createRunStore({ store, now: () => now });
  for (const [i, uuid] of nodes.entries())
    for (let minute = 0; minute < 4; minute += 1)
      await runs.record(
        uuid,
        run(
          minute,
          Array.from({ length: i + 1 }, (_, n) => `c/file//etc/${n}`),
        ),
      );
  const whole = (await ask('/v1/drift?limit=500')).body as unknown as PageOf<DriftView>;
  assert.equal(whole.items.length, 6);
  assert.equal(whole.next, undefined);
  assert.deepEqual([...new Set(whole.items.map(({ node }) => node))], nodes);
  for (const limit of [1, 2, 3, 5]) {
    const seen: DriftView[] = [];
    let cursor: string | undefined;
    do {
      const query: string = cursor === undefined ? '' : `&cursor=${cursor}`;
      const page = (await ask(`/v1/drift?limit=${limit}${query}`)).body as unknown as PageOf<DriftView>;
      assert.ok(page.items.length <= limit);
      seen.push(...page.items);
      cursor = page.next;
    } while (cursor !== undefined);
    assert.deepEqual(seen, whole.items, `limit ${limit}`);
  }
  const [one] = whole.items;
  assert.equal(one?.flapping, true);
  assert.deepEqual(
    one?.events.map(({ cause }) => cause),
    ['outside', 'outside', 'outside', 'ours'],
  );
  assert.equal(((await ask('/v1/drift?cause=ours')).body as unknown as PageOf<DriftView>).items[0]?.events.length, 1);
  const own = (await ask(`/v1/nodes/${third}/drift?limit=2`)).body as unknown as PageOf<DriftView>;
  const rest = (await ask(`/v1/nodes/${third}/drift?limit=2&cursor=${own.next}`)).body as unknown as PageOf<DriftView>;
  assert.deepEqual([own.items.length, rest.items.length, rest.next], [2, 1, undefined]);
});

test('drift of nobody is empty; a cursor of another list, or of none, is refused', async () => {
  const { ask } = await setUp();
  assert.deepEqual((await ask('/v1/drift')).body, { items: [] });
  assert.deepEqual((await ask(`/v1/nodes/${first}/drift`)).body, { items: [] });
  assert.equal((await ask('/v1/drift?cursor=x')).status, 400);
  assert.equal((await ask(`/v1/nodes/${first}/drift?cursor=${second}.1`)).status, 400);
  assert.equal((await ask(`/v1/nodes/${randomUUID()}/drift`)).status, 404);
});

test('one run by its UUID or the beginning of it; an ambiguous or unknown one is a problem', async () => {
  const { store, ask } = await setUp();
  const runs = createRunStore({ store, now: () => now });
  const one = { ...run(0, ['c/file//etc/a']), runId: 'aaaa1111-0000-4000-8000-000000000000' };
  const two = { ...run(1, ['c/file//etc/a']), runId: 'aaaa2222-0000-4000-8000-000000000000' };
  await runs.record(first, one);
  await runs.record(first, two);
  const found = await ask(`/v1/nodes/${first}/runs/aaaa1`);
  assert.equal(found.body.runId, one.runId);
  assert.deepEqual(found.body.results, one.results);
  assert.equal((await ask(`/v1/nodes/${first}/runs/${two.runId}`)).body.runId, two.runId);
  assert.equal((await ask(`/v1/nodes/${first}/runs/aaaa`)).status, 400);
  assert.equal((await ask(`/v1/nodes/${first}/runs/bbbb`)).status, 404);
  assert.equal((await ask(`/v1/nodes/${second}/runs/aaaa1`)).status, 404);
  assert.equal((await ask(`/v1/nodes/${first}/runs/..%2f..`)).status, 400);
});

test('facts are shown as they were reported, with their digest', async () => {
  const { store, ask } = await setUp();
  assert.equal((await ask(`/v1/nodes/${first}/facts`)).status, 404);
  const bytes = Buffer.from('{"missing":[],"os":{"name":"Debian"}}');
  await createFactsStore({ store, now: () => now }).record({ uuid: first }, bytes);
  assert.deepEqual((await ask(`/v1/nodes/${first}/facts`)).body, {
    reported: '2030-01-01T00:00:00.000Z',
    digest: sha256Hex(bytes),
    facts: { missing: [], os: { name: 'Debian' } },
  });
});

test('R30 waking leaves an order for every gateway, and its audit entry; a revoked or unknown node is refused', async () => {
  const { store, ask, audit } = await setUp();
  assert.equal((await ask(`/v1/nodes/${first}/wake`, {})).status, 200);
  const order = await store.get({ pk: wakePartition, sk: first });
  assert.equal(order?.['run'], true);
  assert.equal((await ask(`/v1/nodes/${first}/wake`, { run: false })).status, 200);
  assert.equal((await store.get({ pk: wakePartition, sk: first }))?.['run'], false);
  assert.equal(audit.of('node.wake').length, 2);
  assert.equal((await ask(`/v1/nodes/${randomUUID()}/wake`, {})).status, 404);
  const revoked = await setUp('revoked');
  assert.equal((await revoked.ask(`/v1/nodes/${first}/wake`, {})).status, 422);
  assert.equal(await revoked.store.get({ pk: wakePartition, sk: first }), undefined);
});

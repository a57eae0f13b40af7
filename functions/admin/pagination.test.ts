/** Every list that can grow: pages that join to the whole, cursors that nobody can bend, limits, and additions meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { createApiToken } from '../../lib/access/api-tokens.ts';
import { localAdminCaller } from '../../lib/access/caller.ts';
import { localAdmin } from '../../lib/access/principal.ts';
import { requireUser } from '../../lib/access/users.ts';
import { buildKey, buildsOf } from '../../lib/artifacts/builds.ts';
import { Secret } from '../../lib/crypto/secret.ts';
import { nodeKey } from '../../lib/identity/nodes.ts';
import { createEnrollmentToken } from '../../lib/identity/tokens.ts';
import { releaseKey } from '../../lib/policy/history.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import type { Store } from '../../lib/store/port.ts';
import {
  type AdminWorld,
  bearerHeaders,
  createAdminWorld,
  testLocalAdminToken,
  testSite,
} from '../../test/fakes/admin.ts';
import { manifestBytes } from '../../test/fakes/policy.ts';
import { createMemorySecrets } from '../../test/fakes/secrets.ts';
import type { Run } from '../gateway/run-report.ts';
import { createRunStore } from '../gateway/runs.ts';

type Row = { readonly [field: string]: unknown };
type List = {
  readonly path: string;
  /** What tells its items apart. */
  readonly key: string;
  /** Makes the i-th item; later ones are newer where there is a time. */
  add(world: AdminWorld, i: number): Promise<unknown>;
};

const uuidOf = (i: number) =>
  `${(i * 7919).toString(16).padStart(8, '0').slice(-8)}-8f0e-4c57-9d3c-2f5f1f0c9a11`.replace(/^./, (digit) =>
    ((Number.parseInt(digit, 16) + i) % 16).toString(16),
  );
const one = uuidOf(0);

async function addNode({ store, now }: AdminWorld, i: number, state = 'active') {
  const keys = { identityKey: new Uint8Array(32).fill(9), sealingKey: new Uint8Array(32) };
  const item = { ...nodeKey(uuidOf(i)), name: `web-${i}`, labels: {}, state, revision: 1, ...keys };
  await store.transact([{ kind: 'put', item: { ...item, platform: 'linux', token: 't', enrolledAt: now() } }]);
}

function run(i: number, startedAt: number): Run {
  const result = { resource: `c/file//etc/${i}`, result: 'updated', reason: 'other content', durationMs: 3 } as const;
  return {
    runId: uuidOf(i),
    startedAt: startedAt + i,
    durationMs: 12,
    release: { number: 1, digest: 'a'.repeat(64) },
    dryRun: false,
    counts: { unchanged: 0, created: 0, updated: 1, removed: 0, skipped: 0, blocked: 0, failed: 0 },
    results: [result],
    omitted: 0,
    droppedRuns: 0,
    error: '',
  };
}

async function addRun(world: AdminWorld, i: number, of = 0) {
  await addNode(world, of);
  await createRunStore(world).record(uuidOf(of), run(i, world.now()));
}

async function addApiToken({ deps, user, store }: AdminWorld, i: number) {
  const owner = i === 0 ? await user('olga', 'viewer') : await requireUser(store, 'olga');
  await createApiToken(deps, { name: `n${i}`, owner, caller: localAdminCaller });
}

async function addRelease({ store, now }: AdminWorld, i: number) {
  const manifest = manifestBytes({ number: i + 1, ...(i === 0 ? {} : { previous: 'a'.repeat(64) }) });
  const item = { ...releaseKey(i + 1), number: i + 1, digest: 'a'.repeat(64), manifest, signatures: [] };
  await store.transact([{ kind: 'put', item: { ...item, publishedAt: now() } }]);
}

async function addBuild({ store, now }: AdminWorld, i: number) {
  const [version, platform] = [`1.${Math.floor(i / 2)}.0`, i % 2 === 0 ? 'linux-x64' : 'linux-arm64'];
  const build = { version, platform, sha256: 'a'.repeat(64), size: 1, notAfter: now(), publishedAt: now() };
  const item = { ...buildKey(version, platform), ...build, manifest: new Uint8Array(1), parts: [] };
  await store.transact([{ kind: 'put', item }]);
}

const asLocalAdmin = bearerHeaders(testLocalAdminToken);
const lists: readonly List[] = [
  { path: '/v1/nodes', key: 'uuid', add: addNode },
  { path: '/v1/nodes?state=revoked', key: 'uuid', add: (world, i) => addNode(world, i, 'revoked') },
  { path: `/v1/nodes/${one}/runs`, key: 'runId', add: addRun },
  { path: `/v1/nodes/${one}/drift`, key: 'resource', add: addRun },
  { path: '/v1/drift', key: 'node', add: (world, i) => addRun(world, i, i) },
  { path: '/v1/drift?cause=ours', key: 'node', add: (world, i) => addRun(world, i, i) },
  {
    path: '/v1/tokens',
    key: 'id',
    add: ({ deps }) => createEnrollmentToken({ ...deps, pin: new Uint8Array(32) }, { actor: localAdmin }),
  },
  { path: '/v1/api-tokens', key: 'id', add: addApiToken },
  { path: '/v1/api-tokens?owner=olga', key: 'id', add: addApiToken },
  { path: '/v1/users', key: 'name', add: ({ user }, i) => user(`user-${i}`, 'viewer') },
  { path: '/v1/releases', key: 'number', add: addRelease },
  { path: '/v1/artifacts', key: 'version+platform', add: addBuild },
  {
    path: '/v1/secrets',
    key: 'path',
    add: ({ routeDeps }, i) => routeDeps.secrets.set(`db/p${i}`, new Secret(Buffer.from('long enough'))),
  },
  {
    path: '/v1/compliance/documents',
    key: 'name',
    add: async ({ app }, i) =>
      app.request(`${testSite}/v1/compliance/documents/report-${i}.pdf`, {
        method: 'PUT',
        headers: asLocalAdmin,
        body: 'x',
      }),
  },
  { path: '/v1/compliance/nodes', key: 'uuid', add: addNode },
];

/** A store that ends each page after one item, as a store may (lib/store/port.ts). */
function miserly(inner: Store): Store {
  return { ...inner, query: (query) => inner.query({ ...query, limit: 1 }) };
}

async function setUp({ path, key, add }: List, count: number, store?: Store) {
  const world = await createAdminWorld({ secrets: createMemorySecrets(), ...(store === undefined ? {} : { store }) });
  for (let i = 0; i < count; i++) {
    world.clock.time += 1;
    await add(world, i);
  }
  const ask = async (query: string) => {
    const url = `${testSite}${path}${path.includes('?') ? '&' : '?'}${query}`;
    const response = await world.app.request(url, { headers: asLocalAdmin });
    return {
      status: response.status,
      body: (await response.json()) as { items: readonly Row[]; next?: string; type?: string },
    };
  };
  const keyOf = (row: Row) =>
    key
      .split('+')
      .map((field) => String(row[field]))
      .join(' ');
  const walk = async (limit: number, between: (pages: number) => Promise<unknown> = async () => undefined) => {
    const keys: string[] = [];
    let next = '';
    for (let pages = 1; ; pages += 1) {
      const { status, body } = await ask(`limit=${limit}${next}`);
      assert.equal(status, 200);
      assert.ok(body.items.length <= limit);
      keys.push(...body.items.map(keyOf));
      if (body.next === undefined) return keys;
      next = `&cursor=${body.next}`;
      await between(pages);
    }
  };
  return { world, ask, walk };
}

for (const list of lists) {
  test(`${list.path}: pages join to the whole, in the same order, whatever the limit`, async () => {
    const { walk } = await setUp(list, 11);
    const whole = await walk(500);
    assert.equal(whole.length, 11);
    assert.equal(new Set(whole).size, 11);
    for (const limit of [1, 2, 3, 5, 10, 11, 12]) assert.deepEqual(await walk(limit), whole, `limit ${limit}`);
  });

  test(`${list.path}: a store that ends its pages early cuts nothing`, async () => {
    const whole = await (await setUp(list, 11)).walk(500);
    const { walk } = await setUp(list, 11, miserly(createMemoryStore()));
    // Tokens are random: as many of them, then.
    const isRandom = list.key === 'id';
    for (const limit of [500, 3]) {
      const seen = await walk(limit);
      assert.deepEqual(isRandom ? seen.length : seen, isRandom ? whole.length : whole, `limit ${limit}`);
    }
  });

  test(`${list.path}: what was there at the first page is shown once, in its place, while others are added`, async () => {
    const { world, walk } = await setUp(list, 9);
    const whole = await walk(500);
    const seen = await walk(2, async (pages) => {
      world.clock.time += 1;
      await list.add(world, 8 + pages);
    });
    assert.equal(new Set(seen).size, seen.length);
    assert.deepEqual(
      seen.filter((key) => whole.includes(key)),
      whole,
    );
  });

  test(`${list.path}: a cursor with any character changed, cut or of another list is 400; so is a limit out of bounds`, async () => {
    const { ask } = await setUp(list, 3);
    const { next = '' } = (await ask('limit=1')).body;
    assert.match(next, /^[A-Za-z0-9_-]{12,}$/);
    const isRefused = async (query: string) => {
      const { status, body } = await ask(query);
      assert.equal(status, 400, query);
      assert.equal(body.type, 'urn:holdfast:problem:invalid-request');
    };
    for (let i = 0; i < next.length; i++)
      for (const other of ['A', 'b', '_'])
        if (next[i] !== other) await isRefused(`cursor=${next.slice(0, i)}${other}${next.slice(i + 1)}`);
    for (const bad of [
      next.slice(1),
      next.slice(0, -1),
      `${next}A`,
      `${next}=`,
      next + next,
      'x',
      '%00',
      'A'.repeat(3_001),
    ])
      await isRefused(`cursor=${bad}`);
    for (const limit of ['0', '-1', '501', '1.5', 'x', '', '1e2', '0x10', '99999']) await isRefused(`limit=${limit}`);
    const other = lists[(lists.indexOf(list) + 1) % lists.length]!;
    const foreign = (await (await setUp(other, 3)).ask('limit=1')).body.next;
    assert.ok(foreign);
    await isRefused(`cursor=${foreign}`);
  });
}

test('what the server looks for by itself is not cut at a page either', async () => {
  const world = await createAdminWorld({ store: miserly(createMemoryStore()) });
  const headers = { ...asLocalAdmin, 'content-type': 'application/json' };
  const ask = async (method: string, path: string, body?: object) => {
    const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const response = await world.app.request(`${testSite}${path}`, init);
    assert.equal(response.status, 200, path);
    return (await response.json()) as Row;
  };
  for (let i = 0; i < 9; i++) {
    await addRun(world, i);
    await addNode(world, i);
    await addApiToken(world, i);
    await addBuild(world, i);
    const document = `${testSite}/v1/compliance/documents/report-${i}.pdf`;
    await world.app.request(document, { method: 'PUT', headers: asLocalAdmin, body: 'x' });
  }
  // The last one of many of each.
  const { record } = await world.apiToken(await requireUser(world.store, 'olga'));
  assert.equal((await ask('POST', `/v1/api-tokens/${record.id}/revoke`, {}))['state'], 'revoked');
  const { id } = await createEnrollmentToken({ ...world.deps, pin: new Uint8Array(32) }, { actor: localAdmin });
  assert.equal((await ask('POST', `/v1/tokens/${id}/cancel`))['state'], 'cancelled');
  assert.equal((await ask('GET', `/v1/nodes/${one}/runs/${uuidOf(0)}`))['runId'], uuidOf(0));
  assert.deepEqual((await ask('GET', '/v1/status'))['nodes'], { active: 9, quarantined: 0, revoked: 0 });
  assert.equal(((await ask('POST', '/v1/compliance/evidence', {}))['documents'] as readonly Row[]).length, 9);
  const posture = (await ask('GET', '/v1/compliance/posture'))['days'] as readonly Row[];
  assert.deepEqual([posture.at(-1)?.['drifted'], posture.at(-1)?.['unseen']], [1, 8]);
  assert.equal((await buildsOf(world.store, '1.0.0')).length, 2);
});

test('a cursor of one owner, state or node is none of another', async () => {
  const world = await createAdminWorld();
  for (const name of ['olga', 'ivan']) {
    const owner = await world.user(name, 'viewer');
    for (let i = 0; i < 2; i++) await createApiToken(world.deps, { name: 'x', owner, caller: localAdminCaller });
  }
  for (let i = 0; i < 3; i++) await addNode(world, i);
  const ask = async (path: string) => {
    const response = await world.app.request(`${testSite}${path}`, { headers: asLocalAdmin });
    return { status: response.status, next: ((await response.json()) as { next?: string }).next };
  };
  for (const [from, to] of [
    ['/v1/api-tokens?owner=olga&', '/v1/api-tokens?owner=ivan&'],
    ['/v1/api-tokens?owner=olga&', '/v1/api-tokens?'],
    ['/v1/nodes?', '/v1/nodes?state=active&'],
    ['/v1/compliance/nodes?days=2&', '/v1/compliance/nodes?days=3&'],
  ] as const) {
    const { next } = await ask(`${from}limit=1`);
    assert.ok(next, from);
    assert.equal((await ask(`${to}cursor=${next}`)).status, 400, to);
    assert.equal((await ask(`${from}cursor=${next}`)).status, 200, from);
  }
});

test('who sees only their own API tokens sees every page of them, and no page of others', async () => {
  const world = await createAdminWorld();
  const [olga, ivan] = [await world.user('olga', 'viewer'), await world.user('ivan', 'viewer')];
  const { token } = await world.apiToken(olga);
  for (let i = 0; i < 7; i++)
    for (const owner of [olga, ivan])
      await createApiToken(world.deps, { name: `${i}`, owner, caller: localAdminCaller });
  const owners: string[] = [];
  let cursor = '';
  do {
    const path = `${testSite}/v1/api-tokens?limit=3${cursor}`;
    const page = (await (await world.app.request(path, { headers: bearerHeaders(token) })).json()) as {
      items: readonly { owner: string }[];
      next?: string;
    };
    owners.push(...page.items.map(({ owner }) => owner));
    cursor = page.next === undefined ? '' : `&cursor=${page.next}`;
  } while (cursor !== '');
  assert.deepEqual(
    owners,
    Array.from({ length: 8 }, () => 'olga'),
  );
});

test('a route that answers a list is paged, or cannot grow', async () => {
  const { routes } = await createAdminWorld();
  /** What bounds each of them. */
  const bounded: { readonly [path: string]: string } = {
    '/v1/rings': 'maxRings in lib/artifacts/rings.ts',
    '/v1/secrets/:path/versions': 'versionsKept in lib/secrets/local.ts; about 100 in Secrets Manager',
    '/v1/secret-reveals': 'maxOpen in lib/secrets/reveal.ts',
    '/v1/siem/destinations': 'maxDestinations in lib/siem/manage.ts',
    '/v1/audit/events': 'its own limit; the next one is asked for by `after`',
  };
  const shapeOf = (schema: unknown) => (schema instanceof z.ZodObject ? schema.shape : {});
  const listing = routes.filter(({ method, answer }) => method === 'GET' && 'items' in shapeOf(answer));
  const paged = listing.filter(({ schema }) => 'cursor' in shapeOf(schema?.query)).map(({ path }) => path);
  assert.deepEqual(
    listing
      .map(({ path }) => path)
      .filter((path) => !paged.includes(path))
      .sort(),
    Object.keys(bounded).sort(),
  );
  // Those that are walked above, and the log, whose cursor is an index.
  const walked = lists.map(({ path }) => path.replace(one, ':uuid').split('?')[0]);
  assert.deepEqual(paged.toSorted(), [...new Set([...walked, '/v1/audit/entries'])].sort());
});

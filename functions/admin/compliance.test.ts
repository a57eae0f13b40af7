import assert from 'node:assert/strict';
import { test } from 'node:test';
import { localAdmin } from '../../lib/access/principal.ts';
import { postureWrites } from '../../lib/compliance/posture.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { enroll } from '../../lib/identity/enroll.ts';
import { nodeItems, parseNode } from '../../lib/identity/nodes.ts';
import { formatCrate } from '../../lib/policy/model.ts';
import { publishRelease } from '../../lib/policy/publish.ts';
import { bearerHeaders, createAdminWorld, testSite } from '../../test/fakes/admin.ts';
import { createMachine, createTestFleet, enrollBytes } from '../../test/fakes/fleet.ts';
import { createOperator, manifestBytes, noon } from '../../test/fakes/policy.ts';
import type { NodePosture, PostureView } from './posture.ts';
import type { DocumentView } from './routes/compliance.ts';

const day = 86_400_000;

async function setUp() {
  const fleet = await createTestFleet({ startAt: Date.UTC(2026, 0, 1) });
  const world = await createAdminWorld({ store: fleet.store, audit: fleet.audit });
  for (let i = 0; i < 2; i++) await enroll(fleet.issuance, enrollBytes(await createMachine(), await fleet.token()));
  const nodes = [];
  for await (const item of nodeItems(fleet.store)) nodes.push(parseNode(item));
  const auditor = bearerHeaders((await world.apiToken(await world.user('auditor', 'compliance'))).token);
  const get = async <T>(path: string) => {
    const response = await world.app.request(`${testSite}${path}`, { headers: auditor });
    return { status: response.status, body: (await response.json()) as T };
  };
  return { ...world, nodes, auditor, get };
}

test('posture by day, node and crate: converged, drifted, failed, unseen', async () => {
  const { store, nodes, clock, get } = await setUp();
  const [first, second] = nodes;
  assert.ok(first && second);
  const run = (uuid: string, at: number, results: [string, string][]) =>
    store.transact(
      postureWrites(
        uuid,
        {
          startedAt: at,
          dryRun: false,
          error: '',
          results: results.map(([resource, result]) => ({ resource, result })),
        },
        { isNewest: true, now: at },
      ),
    );
  await run(first.uuid, clock.time, [['base/file/a', 'unchanged']]);
  await run(second.uuid, clock.time, [['base/file/a', 'failed']]);
  clock.time += day;
  await run(first.uuid, clock.time, [
    ['base/file/a', 'updated'],
    ['web/file/b', 'unchanged'],
  ]);
  const { body } = await get<PostureView>('/v1/compliance/posture?days=3');
  assert.deepEqual(body.days, [
    { day: '2025-12-31', converged: 0, drifted: 0, failed: 0, unseen: 0 },
    { day: '2026-01-01', converged: 1, drifted: 0, failed: 1, unseen: 0 },
    { day: '2026-01-02', converged: 0, drifted: 1, failed: 0, unseen: 1 },
  ]);
  assert.deepEqual(body.crates, [
    {
      crate: 'base',
      controls: [],
      ...{ converged: 0, drifted: 1, failed: 1 },
      days: [
        { day: '2026-01-01', converged: 1, drifted: 0, failed: 1 },
        { day: '2026-01-02', converged: 0, drifted: 1, failed: 0 },
      ],
    },
    {
      crate: 'web',
      controls: [],
      ...{ converged: 1, drifted: 0, failed: 0 },
      days: [{ day: '2026-01-02', converged: 1, drifted: 0, failed: 0 }],
    },
  ]);
  const list = await get<{ items: NodePosture[] }>('/v1/compliance/nodes?days=2&limit=500');
  const states = new Map(list.body.items.map(({ uuid, days }) => [uuid, days.map(({ state }) => state)]));
  assert.deepEqual(states.get(first.uuid), ['converged', 'drifted']);
  assert.deepEqual(states.get(second.uuid), ['failed', 'unseen']);
});

test('posture by the controls that crates name: a node counts once for each, by the worst of its crates', async () => {
  const { store, audit, blobs, nodes, clock, get } = await setUp();
  const operator = createOperator();
  const crates = ['base', 'web'].map((crate) => {
    const controls = crate === 'base' ? ['cis-debian-12:1.1.1', 'cis-debian-12:5.2'] : ['cis-debian-12:1.1.1'];
    return { name: crate, bytes: formatCrate({ crate, controls, resources: [] }) };
  });
  for (const { bytes } of crates) await blobs.put(bytes);
  const manifest = manifestBytes({
    bindings: [{ match: { name: '*' }, crates: ['base', 'web'] }],
    crates: crates.map(({ name, bytes }) => ({ name, sha256: sha256Hex(bytes), blobs: [] })),
  });
  await publishRelease(
    {
      store,
      blobs,
      audit,
      now: () => noon,
      trust: { fleet: 'demo', operators: { threshold: 1, keys: [operator.line] } },
    },
    { manifest, signatures: [operator.sign(manifest)], actor: localAdmin },
  );
  const [first, second] = nodes;
  for (const [node, web] of [
    [first, 'failed'],
    [second, 'unchanged'],
  ] as const) {
    const results = [
      { resource: 'base/file/a', result: 'unchanged' },
      { resource: 'web/file/b', result: web },
    ];
    const run = { startedAt: clock.time, dryRun: false, error: '', results };
    await store.transact(postureWrites(node?.uuid ?? '', run, { isNewest: true, now: clock.time }));
  }
  const { body } = await get<PostureView>('/v1/compliance/posture');
  assert.deepEqual(body.controls, [
    { control: 'cis-debian-12:1.1.1', converged: 1, drifted: 0, failed: 1, crates: ['base', 'web'] },
    { control: 'cis-debian-12:5.2', converged: 2, drifted: 0, failed: 0, crates: ['base'] },
  ]);
});

test('documents are added once, kept as they were, and never served as a page', async () => {
  const { app, auditor, get, audit } = await setUp();
  const put = (name: string, body: string) =>
    app.request(`${testSite}/v1/compliance/documents/${encodeURIComponent(name)}`, {
      method: 'PUT',
      headers: auditor,
      body,
    });
  assert.equal((await put('report.html', '<script>alert(1)</script>')).status, 200);
  assert.equal((await put('report.html', 'other')).status, 409);
  for (const name of ['../x', 'a/b', '.hidden', 'a\u0000b', 'x'.repeat(129)])
    assert.equal((await put(name, 'x')).status, 400, name);
  const { body } = await get<{ items: DocumentView[] }>('/v1/compliance/documents');
  assert.deepEqual(
    body.items.map(({ name, uploadedBy }) => [name, uploadedBy]),
    [['report.html', 'auditor']],
  );
  const file = await app.request(`${testSite}/v1/compliance/documents/report.html`, { headers: auditor });
  assert.equal(await file.text(), '<script>alert(1)</script>');
  assert.equal(file.headers.get('content-type'), 'application/octet-stream');
  assert.equal(file.headers.get('content-disposition'), 'attachment');
  assert.equal(audit.of('compliance.document.add').length, 1);
});

test('R26 the evidence bundle leaves an entry and holds no entry', async () => {
  const { app, auditor, audit } = await setUp();
  const response = await app.request(`${testSite}/v1/compliance/evidence`, {
    method: 'POST',
    headers: { ...auditor, 'content-type': 'application/json' },
    body: '{}',
  });
  assert.equal(response.status, 200);
  const evidence = (await response.json()) as object;
  assert.deepEqual(Object.keys(evidence).sort(), ['checkpoint', 'documents', 'fleet', 'generated', 'posture']);
  assert.equal(audit.of('compliance.evidence').length, 1);
  for (const { actor, object } of audit.events.filter(({ type }) => type === 'node.enroll'))
    assert.equal(JSON.stringify(evidence).includes(actor.id) || JSON.stringify(evidence).includes(object.id), false);
});

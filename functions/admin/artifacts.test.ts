/** Builds and rings through the real API: each order leaves its entry, each refusal its problem. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatKeys } from '../../lib/artifacts/keys.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { toBase64url, utf8 } from '../../lib/crypto/encoding.ts';
import { bearerHeaders, createAdminWorld, testLocalAdminToken, testSite } from '../../test/fakes/admin.ts';
import { createBuilds } from '../../test/fakes/builds.ts';
import type { RingView } from './routes/artifacts.ts';

async function createWorld() {
  const world = await createAdminWorld();
  const builds = createBuilds();
  const headers = bearerHeaders(testLocalAdminToken);
  const call = async (method: string, path: string, body?: object | Uint8Array) => {
    const isRaw = body instanceof Uint8Array;
    const response = await world.app.request(`${testSite}${path}`, {
      method,
      headers: { ...headers, ...(isRaw ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: isRaw ? Buffer.from(body) : JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const upload = async (version: string) => {
    const notAfter = Math.ceil(world.deps.now() / 1000) * 1000 + 86_400_000;
    const { note, program } = await builds.build(version, { notAfter });
    await call('PUT', `/v1/artifacts/parts/${sha256Hex(program)}`, program);
    return { manifest: toBase64url(utf8(note)), parts: [sha256Hex(program)] };
  };
  return { ...world, builds, call, upload };
}

test('R37 trust, publish, roll out, pause, halt, resume: each through its route, each with exactly one entry', async () => {
  const { call, upload, builds, audit } = await createWorld();
  const build = await upload('1.1.0');
  const early = await call('POST', '/v1/artifacts', build);
  assert.deepEqual([early.status, early.body['reason']], [422, 'no_keys']);
  assert.equal((await call('POST', '/v1/artifacts/keys', { list: formatKeys(builds.keys) })).status, 200);
  assert.equal((await call('POST', '/v1/artifacts', build)).status, 200);
  const ring = await call('POST', '/v1/rings/canary/rollout', { version: '1.1.0', percent: 10 });
  assert.deepEqual([ring.status, ring.body['state']], [200, 'rolling out']);
  for (const time of [1, 2])
    assert.equal((await call('POST', '/v1/rings/canary/pause', {})).body['state'], 'paused', String(time));
  assert.equal((await call('POST', '/v1/rings/canary/halt', {})).body['reason'], 'by an operator');
  assert.equal((await call('POST', '/v1/rings/canary/resume', {})).body['rollout'], 2);
  const orders = ['rollout', 'pause', 'halt', 'resume'] as const;
  const types = [...(['trust', 'publish', 'refuse'] as const), ...orders].map((name) => `artifact.${name}` as const);
  for (const type of types) assert.equal(audit.of(type).length, 1, type);
  const { items } = (await call('GET', '/v1/rings')).body as { items: RingView[] };
  assert.deepEqual(
    items.map(({ ring: name, version, percent }) => [name, version, percent]),
    [['canary', '1.1.0', 10]],
  );
  const shown = await call('GET', '/v1/artifacts/1.1.0/linux-x64');
  assert.equal(shown.body['manifest'], build.manifest);
});

test('refusals say what it was', async () => {
  const { call, upload, builds } = await createWorld();
  await call('POST', '/v1/artifacts/keys', { list: formatKeys(builds.keys) });
  const cases: [status: number, path: string, body: object][] = [
    [422, '/v1/artifacts', { ...(await upload('1.1.0')), parts: ['0'.repeat(64)] }],
    [404, '/v1/rings/canary/rollout', { version: '7.0.0' }],
    [404, '/v1/rings/canary/halt', {}],
    [404, '/v1/rings/canary/pause', {}],
    [404, '/v1/rings/canary/resume', {}],
    [422, '/v1/artifacts/keys', { list: 'nonsense' }],
  ];
  for (const [status, path, body] of cases) {
    const answer = await call('POST', path, body);
    assert.equal(answer.status, status, `${path} ${JSON.stringify(answer.body)}`);
  }
  assert.equal((await call('PUT', `/v1/artifacts/parts/${'0'.repeat(64)}`, new Uint8Array(3))).status, 400);
});

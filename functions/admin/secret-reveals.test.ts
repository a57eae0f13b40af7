/** Revealing a value takes two people, works once, within minutes, and only where it is enabled. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { createApiToken } from '../../lib/access/api-tokens.ts';
import { localAdminCaller } from '../../lib/access/caller.ts';
import { requireUser } from '../../lib/access/users.ts';
import { AuditError } from '../../lib/audit/port.ts';
import { CryptoError } from '../../lib/crypto/errors.ts';
import { Secret } from '../../lib/crypto/secret.ts';
import { openRevealed, revealLifeMs, takeReveal } from '../../lib/secrets/reveal.ts';
import { bearerHeaders, createAdminWorld, testLocalAdminToken, testSite } from '../../test/fakes/admin.ts';
import { createMemorySecrets } from '../../test/fakes/secrets.ts';
import { adminRoutes } from './routes.ts';

const canary = 'CANARY-7f3a-the-value';

async function createWorld() {
  const secrets = createMemorySecrets({ 'db/password': canary });
  const world = await createAdminWorld({ secrets });
  const sessionOf = async (name: string, role: 'admin' | 'viewer' = 'admin') =>
    bearerHeaders(await world.session(await world.user(name, role), 'bearer'));
  const [ada, bob] = [await sessionOf('ada'), await sessionOf('bob')];
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const key = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64url');
  const said: string[] = [];
  async function post(path: string, headers: Record<string, string>, body?: object) {
    const response = await world.app.request(`${testSite}${path}`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    said.push(text);
    return { status: response.status, ...(JSON.parse(text) as Record<string, string>) } as Record<string, string> & {
      status: number;
    };
  }
  const ask = async (headers = ada) =>
    post('/v1/secrets/db%2Fpassword/reveal', headers, { reason: 'the replica is down', key });
  return { ...world, secrets, sessionOf, ada, bob, key, privateKey, post, ask, said };
}

test('R10 one asks, another agrees, the first takes it once; it opens with the key of the asking command alone', async () => {
  const { ada, bob, post, ask, said, privateKey, audit, store, secrets } = await createWorld();
  const asked = await ask();
  assert.equal(asked.status, 200, JSON.stringify(asked));
  const id = asked['id'] ?? '';
  assert.equal((await post(`/v1/secret-reveals/${id}/take`, ada)).status, 409, 'nobody agreed yet');
  assert.equal((await post(`/v1/secret-reveals/${id}/approve`, bob))['state'], 'approved');
  assert.equal((await post(`/v1/secret-reveals/${id}/approve`, bob)).status, 409, 'once');
  const taken = await post(`/v1/secret-reveals/${id}/take`, ada);
  const revealed = {
    path: taken['path'] ?? '',
    version: Number(taken['version']),
    sealed: {
      enc: Buffer.from(taken['enc'] ?? '', 'base64url'),
      ciphertext: Buffer.from(taken['ciphertext'] ?? '', 'base64url'),
    },
  };
  assert.equal(Buffer.from(openRevealed(privateKey, id, revealed)).toString(), canary);
  assert.throws(() => openRevealed(privateKey, `${id}0`, revealed), CryptoError);
  assert.throws(() => openRevealed(generateKeyPairSync('x25519').privateKey, id, revealed), CryptoError);
  const reads = secrets.asked.length;
  assert.equal((await post(`/v1/secret-reveals/${id}/take`, ada)).status, 409, 'once');
  assert.equal(secrets.asked.length, reads, 'and it is not even read');

  for (const type of ['secret.reveal.ask', 'secret.reveal.approve', 'secret.reveal'] as const) {
    const [entry, ...more] = audit.of(type);
    assert.deepEqual(more, [], type);
    assert.equal(entry?.actor.id, type === 'secret.reveal.approve' ? 'bob' : 'ada');
    assert.deepEqual(entry?.object, { kind: 'secret', id: 'db/password' });
  }
  assert.deepEqual(audit.of('secret.reveal')[0]?.detail, { request: id, approved: 'bob', version: 1 });
  const kept = await store.query({ pk: 'secret-reveals', limit: 10 });
  const everything = JSON.stringify([said, audit.events, kept.items]);
  for (const form of [canary, Buffer.from(canary).toString('base64'), Buffer.from(canary).toString('base64url')])
    assert.equal(everything.includes(form), false);
});

test('the same person twice, under any credential, is not two; nor is local-admin, an API token or somebody else one of them', async () => {
  const { ada, bob, post, ask, audit, secrets, deps } = await createWorld();
  const { token } = await createApiToken(deps, {
    name: 't',
    owner: await requireUser(deps.store, 'bob'),
    caller: localAdminCaller,
  });
  const id = (await ask())['id'];
  const approve = `/v1/secret-reveals/${id}/approve`;
  for (const [headers, reason] of [
    [ada, 'same_person'],
    [bearerHeaders(testLocalAdminToken), 'no_person'],
    [bearerHeaders(token), 'no_person'],
  ] as const) {
    const before = audit.of('secret.reveal.refuse').length;
    const refused = await post(approve, headers);
    assert.deepEqual([refused.status, refused['reason']], [422, 'second_person'], reason);
    const entries = audit.of('secret.reveal.refuse').slice(before);
    assert.deepEqual(
      entries.map(({ detail }) => detail),
      [{ reason }],
    );
  }
  for (const headers of [bearerHeaders(testLocalAdminToken), bearerHeaders(token)])
    assert.equal((await ask(headers))['reason'], 'second_person');
  await post(approve, bob);
  const stolen = await post(`/v1/secret-reveals/${id}/take`, bob);
  assert.deepEqual([stolen.status, stolen['reason']], [422, 'second_person']);
  assert.deepEqual(secrets.asked, []);
});

test('a viewer may neither ask nor agree; what does not exist can not be asked for; keys and reasons are judged', async () => {
  const { sessionOf, post, ask, ada, key } = await createWorld();
  const viewer = await sessionOf('eve', 'viewer');
  assert.equal((await ask(viewer)).status, 403);
  const { id } = await ask();
  assert.equal((await post(`/v1/secret-reveals/${id}/approve`, viewer)).status, 403);
  assert.equal((await post('/v1/secrets/absent/reveal', ada, { reason: 'x', key })).status, 404);
  assert.equal((await post(`/v1/secret-reveals/${'0'.repeat(16)}/approve`, ada)).status, 404);
  for (const body of [{ reason: '', key }, { reason: 'a\nb', key }, { reason: 'x' }, { reason: 'x', key: 'short' }])
    assert.equal((await post('/v1/secrets/db%2Fpassword/reveal', ada, body)).status, 400);
  // Of small order: what is sealed to it anybody could open.
  const weak = Buffer.alloc(32).toString('base64url');
  const { status } = await post('/v1/secrets/db%2Fpassword/reveal', ada, { reason: 'x', key: weak });
  assert.ok(status >= 400 && status < 500, String(status));
});

test('a request expires, agreed to or not; expired ones go when the next one comes', async () => {
  const { bob, post, ask, clock, store, session, deps } = await createWorld();
  const [open, agreed] = [(await ask())['id'], (await ask())['id']];
  await post(`/v1/secret-reveals/${agreed}/approve`, bob);
  clock.time += revealLifeMs;
  const again = async (name: string) => bearerHeaders(await session(await requireUser(deps.store, name), 'bearer'));
  assert.equal((await post(`/v1/secret-reveals/${open}/approve`, await again('bob'))).status, 409);
  assert.equal((await post(`/v1/secret-reveals/${agreed}/take`, await again('ada'))).status, 409);
  assert.equal((await ask(await again('ada'))).status, 200);
  assert.equal((await store.query({ pk: 'secret-reveals', limit: 10 })).items.length, 1);
});

test('without a signed checkpoint over the entry nothing is given, and the request is used up', async () => {
  const { bob, post, ask, audit, store, deps, ada, secrets } = await createWorld();
  const id = (await ask())['id'] ?? '';
  await post(`/v1/secret-reveals/${id}/approve`, bob);
  const unsealed = {
    append: audit.append,
    deny: audit.deny,
    async appendSealed(...given: Parameters<typeof audit.append>) {
      await audit.append(...given);
      throw new AuditError('unsealed', 'no checkpoint');
    },
  };
  const { name, uid } = await requireUser(deps.store, 'ada');
  const principal = { id: name, kind: 'user', role: 'admin', auth: 'basic' } as const;
  const caller = { principal, via: 'session', user: { name, uid }, isAmbient: false } as const;
  await assert.rejects(
    takeReveal({ store, audit: unsealed, provider: secrets, now: deps.now }, { id, caller }),
    (error) => error instanceof AuditError && error.code === 'unsealed',
  );
  assert.equal((await post(`/v1/secret-reveals/${id}/take`, ada)).status, 409);
});

test('two who take it at once: one gets it', async () => {
  const { ada, bob, post, ask } = await createWorld();
  const id = (await ask())['id'];
  await post(`/v1/secret-reveals/${id}/approve`, bob);
  const answers = await Promise.all([1, 2, 3, 4].map(() => post(`/v1/secret-reveals/${id}/take`, ada)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409, 409, 409]);
});

test('R01 where it is not enabled there is no such route', async () => {
  const world = await createAdminWorld();
  const paths = (reveals?: boolean) =>
    adminRoutes({ ...world.routeDeps, ...(reveals === undefined ? {} : { reveals }) })
      .map(({ path }) => path)
      .filter((path) => path.includes('reveal'));
  const { reveals: _, ...without } = world.routeDeps;
  assert.deepEqual(
    adminRoutes(without).filter(({ path }) => path.includes('reveal')),
    [],
  );
  assert.deepEqual(paths(false), []);
  assert.equal(paths(true).length, 4);
});

test('a value that is set meanwhile is the one that is given, under its own version', async () => {
  const { ada, bob, post, ask, secrets } = await createWorld();
  const id = (await ask())['id'];
  await post(`/v1/secret-reveals/${id}/approve`, bob);
  await secrets.set('db/password', new Secret(new Uint8Array(Buffer.from('another value'))));
  assert.equal(Number((await post(`/v1/secret-reveals/${id}/take`, ada))['version']), 2);
});

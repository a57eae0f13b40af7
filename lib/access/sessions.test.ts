import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccessWorld, dumpStore } from '../../test/fakes/access.ts';
import { localAdmin } from './principal.ts';
import { endSession, openSession, resolveSession, sessionLimits } from './sessions.ts';
import { sweepExpired } from './sweep.ts';
import { changeUser, deleteUser, requireUser } from './users.ts';

const hex = [...'0123456789abcdef'];

async function setUp() {
  const world = createAccessWorld();
  const deps = { ...world.deps, method: 'basic' };
  const user = await world.user('alice', 'viewer');
  const session = await openSession(deps, user, 'cookie');
  const resolve = () => resolveSession(deps, session.id, 'cookie');
  const refused = async () => {
    const result = await resolve();
    return 'refused' in result ? result.refused : undefined;
  };
  return { ...world, deps, user, create: world.user, session, resolve, refused };
}

test('R20 a session proves its user, in the role that the user has now', async () => {
  const { resolve } = await setUp();
  const result = await resolve();
  assert.ok('caller' in result);
  assert.deepEqual(result.caller.principal, { id: 'alice', kind: 'user', role: 'viewer', auth: 'basic' });
  assert.equal(result.caller.isAmbient, true);
});

test('R20 the store holds no session id', async () => {
  const { store, session } = await setUp();
  const dump = await dumpStore(
    store,
    hex.map((d) => `session#${d}`),
  );
  assert.match(dump, /alice/);
  const secret = session.id.slice(4);
  for (const form of [
    session.id,
    secret,
    Buffer.from(secret, 'base64url').toString('hex'),
    Buffer.from(session.id).toString('hex'),
  ])
    assert.equal(dump.includes(form), false);
});

test('R20 idle and absolute limits', async () => {
  const { clock, refused } = await setUp();
  const start = clock.time;
  clock.time = start + sessionLimits.idleMs - 1;
  assert.equal(await refused(), undefined);
  clock.time += sessionLimits.idleMs;
  assert.equal(await refused(), 'session_idle');
  const second = await setUp();
  const begun = second.clock.time;
  for (let at = 0; at < sessionLimits.absoluteMs; at += sessionLimits.idleMs - 60_000) {
    second.clock.time = begun + at;
    assert.equal(await second.refused(), undefined, String(at));
  }
  second.clock.time = begun + sessionLimits.absoluteMs;
  assert.equal(await second.refused(), 'session_expired');
});

test('R20 use keeps it alive, and an idle one can not be brought back', async () => {
  const { clock, refused } = await setUp();
  for (let i = 0; i < 5; i++) {
    clock.time += sessionLimits.idleMs - 60_000;
    assert.equal(await refused(), undefined);
  }
  clock.time += sessionLimits.idleMs;
  assert.equal(await refused(), 'session_idle');
  assert.equal(await refused(), 'session_idle');
});

test('R20 incident 25: role change, disabling, deletion and log-out end it on the next request', async () => {
  const change = { actor: localAdmin, endsSessions: true } as const;
  const role = await setUp();
  await changeUser(role.deps, role.user, {
    ...change,
    type: 'user.role',
    detail: { role: 'admin', previous: 'viewer' },
    set: { role: 'admin' },
  });
  assert.equal(await role.refused(), 'session_ended');

  const disabled = await setUp();
  await changeUser(disabled.deps, disabled.user, { ...change, type: 'user.disable', set: { state: 'disabled' } });
  assert.equal(await disabled.refused(), 'user_disabled');
  const held = await requireUser(disabled.store, 'alice');
  await changeUser(disabled.deps, held, { ...change, type: 'user.enable', set: { state: 'active' } });
  assert.equal(await disabled.refused(), 'session_ended');

  const deleted = await setUp();
  await deleteUser(deleted.deps, deleted.user, { actor: localAdmin });
  assert.equal(await deleted.refused(), 'user_gone');
  await deleted.create('alice', 'admin');
  assert.equal(await deleted.refused(), 'user_gone');

  const out = await setUp();
  const result = await out.resolve();
  assert.ok('caller' in result);
  await endSession(out.deps, result.caller);
  assert.equal(await out.refused(), 'unknown_session');
  await endSession(out.deps, result.caller);
  assert.equal(out.audit.of('session.end').length, 1);
});

test('R20 a cookie is not taken as a bearer credential, nor the other way', async () => {
  const { deps, session } = await setUp();
  assert.deepEqual(await resolveSession(deps, session.id, 'bearer'), { refused: 'wrong_transport' });
});

test('R18 a session of another log-in method is dead when the method was changed', async () => {
  const { deps, session } = await setUp();
  assert.deepEqual(await resolveSession({ ...deps, method: 'oidc' }, session.id, 'cookie'), {
    refused: 'method_changed',
  });
});

test('R20 a user disabled between proof and session gets none', async () => {
  const { deps, user } = await setUp();
  await changeUser(deps, user, {
    actor: localAdmin,
    type: 'user.disable',
    set: { state: 'disabled' },
    endsSessions: true,
  });
  await assert.rejects(openSession(deps, user, 'cookie'), /not accepted/);
});

test('R20 malformed ids are refused before the store is asked', async () => {
  const { deps } = await setUp();
  const closed = { ...deps, store: { ...deps.store, get: () => assert.fail('read') } };
  for (const id of ['', 'hfs_', 'hfs_short', `hfs_${'A'.repeat(44)}`, 'x'.repeat(100_000)])
    assert.deepEqual(await resolveSession(closed, id, 'cookie'), { refused: 'malformed_session' });
});

test('expired sessions are swept away, live ones are not', async () => {
  const { deps, clock, user, refused } = await setUp();
  clock.time += sessionLimits.absoluteMs - 1;
  await openSession(deps, user, 'bearer');
  assert.equal(await sweepExpired(deps), 0);
  clock.time += 1;
  assert.equal(await sweepExpired(deps), 1);
  assert.equal(await refused(), 'unknown_session');
});

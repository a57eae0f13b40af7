/** The secrets epoch on its way to nodes: by a push to who is connected, and at the next check-in to who is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSession } from '../../agent/session.ts';
import { raiseEpoch } from '../../lib/secrets/epoch.ts';
import { createGatewayFleet } from '../../test/fakes/gateway-fleet.ts';

test('R16 a changed secret reaches connected nodes by a push, and the others at their next check-in', async (t) => {
  const fleet = await createGatewayFleet({ limits: { pushSpreadMs: 1 } });
  t.after(() => fleet.close());
  const node = await fleet.addNode();
  const woken = Promise.withResolvers<string>();
  const session = await openSession({ ...fleet.sessionOptions(node), onPush: (push) => woken.resolve(push.kind) });
  t.after(() => session.close());
  const before = await session.checkIn({ agentVersion: '1' });
  assert.equal(before.secretsEpoch, undefined);

  await fleet.store.transact([raiseEpoch()]);
  assert.equal(await woken.promise, 'wake');
  assert.equal((await session.checkIn({ agentVersion: '1' })).secretsEpoch, 1);
  assert.equal((await session.checkIn({ agentVersion: '1', secretsEpoch: 1 })).secretsEpoch, undefined);

  const second = await fleet.secondGateway();
  t.after(() => second.close());
  const late = await openSession(fleet.sessionOptions(node, second.gateway));
  t.after(() => late.close());
  assert.equal((await late.checkIn({ agentVersion: '1' })).secretsEpoch, 1);
});

test('a quarantined node hears nothing of secrets', async (t) => {
  const fleet = await createGatewayFleet();
  t.after(() => fleet.close());
  await fleet.store.transact([raiseEpoch()]);
  const node = await fleet.addNode({ state: 'quarantined' });
  const session = await openSession(fleet.sessionOptions(node));
  t.after(() => session.close());
  const answer = await session.checkIn({ agentVersion: '1' });
  assert.equal(answer.quarantined, true);
  assert.equal(answer.secretsEpoch, undefined);
  await assert.rejects(session.resolveSecrets({ releaseDigest: '0'.repeat(64), paths: ['a'] }), {
    reason: 'QUARANTINED',
  });
});

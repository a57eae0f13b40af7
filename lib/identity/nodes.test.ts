import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { raceIdentities } from '../../test/conformance/identity-races.ts';
import { createMachine, createTestFleet, enrollBytes, openStore, operator } from '../../test/fakes/fleet.ts';
import { generateEd25519 } from '../crypto/ed25519.ts';
import type { Store } from '../store/port.ts';
import { enroll } from './enroll.ts';
import { getNode, listNodes, nodeKey, quarantineNode, recoverNode, revokeNode, touchNode } from './nodes.ts';

async function enrolled() {
  const fleet = await createTestFleet();
  const machine = await createMachine();
  await enroll(fleet.issuance, enrollBytes(machine, await fleet.token()));
  const order = { uuid: machine.uuid, actor: operator, reason: 'test' };
  return { fleet, machine, order, state: async () => (await getNode(fleet.store, machine.uuid))?.state };
}

describe('nodes', () => {
  test('quarantine and recover lead back and forth, each with one entry', async () => {
    const { fleet, order, state } = await enrolled();
    assert.equal((await quarantineNode(fleet, order)).state, 'quarantined');
    assert.equal((await quarantineNode(fleet, order)).state, 'quarantined');
    assert.equal((await recoverNode(fleet, order)).state, 'active');
    assert.equal((await recoverNode(fleet, order)).state, 'active');
    assert.equal(await state(), 'active');
    assert.equal(fleet.audit.of('node.quarantine').length, 1);
    assert.equal(fleet.audit.of('node.recover').length, 1);
    assert.equal(fleet.audit.of('node.quarantine')[0]?.detail?.['reason'], 'test');
  });

  test('R09 no verb leaves revoked, and revoking again leaves no second entry', async () => {
    const { fleet, order, state, machine } = await enrolled();
    const node = await revokeNode(fleet, order);
    assert.equal(node.revokedAt, fleet.clock.now);
    await revokeNode(fleet, order);
    await assert.rejects(recoverNode(fleet, order), { code: 'revoked' });
    await assert.rejects(quarantineNode(fleet, order), { code: 'revoked' });
    await touchNode(fleet.store, machine.uuid, { seenAt: 1, agentVersion: '2' });
    assert.equal(await state(), 'revoked');
    assert.equal(fleet.audit.of('node.revoke').length, 1);
    assert.equal(fleet.audit.of('node.recover').length, 0);
  });

  test('a UUID that nobody has is not found, and touching it makes no node', async () => {
    const { fleet, order } = await enrolled();
    const uuid = (await createMachine()).uuid;
    for (const verb of [revokeNode, quarantineNode, recoverNode]) {
      await assert.rejects(verb(fleet, { ...order, uuid }), { code: 'not_found' });
    }
    await touchNode(fleet.store, uuid, { seenAt: 1 });
    assert.equal(await fleet.store.get(nodeKey(uuid)), undefined);
  });

  test('without its entry a revocation does not happen, and says so', async () => {
    const { fleet, order, state } = await enrolled();
    fleet.audit.failing = true;
    await assert.rejects(revokeNode(fleet, order), { code: 'unavailable' });
    assert.equal(await state(), 'active');
  });

  test('what a node says of itself at check-in changes nothing that bindings match', async () => {
    const { fleet, machine } = await enrolled();
    const before = await getNode(fleet.store, machine.uuid);
    const release = { number: 3, digest: 'ab'.repeat(32) };
    await touchNode(fleet.store, machine.uuid, { seenAt: 5, release, agentVersion: '9.9.9' });
    assert.deepEqual(await getNode(fleet.store, machine.uuid), {
      ...before,
      seenAt: 5,
      release,
      agentVersion: '9.9.9',
    });
  });

  test('all nodes are listed, over all partitions and pages', async () => {
    const fleet = await createTestFleet();
    const template = await createMachine();
    const uuids = Array.from(
      { length: 64 },
      (_, i) => `${(i % 16).toString(16)}${template.uuid.slice(1, 34)}${i.toString(16).padStart(2, '0')}`,
    );
    for (const uuid of uuids) {
      const machine = { ...template, uuid, identity: generateEd25519() };
      await enroll(fleet.issuance, enrollBytes(machine, await fleet.token()));
    }
    const paged: Store = { ...fleet.store, query: (query) => fleet.store.query({ ...query, limit: 3 }) };
    const listed = await Array.fromAsync(listNodes(paged), (node) => node.uuid);
    assert.deepEqual(listed, uuids.toSorted());
  });

  test('an item that is no node is refused, not repaired', async () => {
    const { fleet, machine } = await enrolled();
    const key = nodeKey(machine.uuid);
    await fleet.store.transact([{ kind: 'update', key, set: { state: 'Active' } }]);
    await assert.rejects(getNode(fleet.store, machine.uuid), { code: 'malformed' });
  });
});

for (const kind of ['memory', 'sqlite'] as const) {
  test(`R09 1,000 seeded interleavings of enroll, retry, renew and revoke, ${kind}: a revoked UUID never comes back`, async (t) => {
    const revoked = await raceIdentities(await openStore(t, kind), { races: 1000 });
    // Both outcomes must occur, or nothing was interleaved.
    assert.ok(revoked > 550 && revoked < 950, `${revoked} were revoked`);
  });
}

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openSession, type SessionPush } from '../../agent/session.ts';
import { sha256, sha256Hex } from '../../lib/crypto/digest.ts';
import { getNode } from '../../lib/identity/nodes.ts';
import { wakeNode } from '../../lib/identity/wake.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { createFakeAudit } from '../../test/fakes/audit.ts';
import { createGatewayFleet } from '../../test/fakes/gateway-fleet.ts';
import { createFactsStore, factsKey } from './facts.ts';

const facts = Buffer.from('{"missing":[],"os":{"family":"debian"}}');

describe('facts of nodes', () => {
  it('are wanted when they are others than what is known, stored once, and then no longer wanted', async () => {
    const fleet = await createGatewayFleet();
    try {
      const node = await fleet.addNode();
      const session = await openSession(fleet.sessionOptions(node));
      const checkIn = (bytes: Uint8Array) => session.checkIn({ agentVersion: '1', factsDigest: sha256(bytes) });
      assert.equal((await session.checkIn({ agentVersion: '1' })).factsWanted, false, 'an agent without any');
      assert.equal((await checkIn(facts)).factsWanted, true);
      await session.reportFacts(facts);
      const item = await fleet.store.get(factsKey(node.uuid));
      assert.deepEqual(Buffer.from(item?.['facts'] as Uint8Array), facts);
      assert.equal((await getNode(fleet.store, node.uuid))?.factsDigest, sha256Hex(facts));
      // The directory hears of it by the change feed.
      while ((await checkIn(facts)).factsWanted);
      assert.equal((await checkIn(Buffer.from('{}'))).factsWanted, true, 'they changed');
      session.close();
    } finally {
      await fleet.close();
    }
  });

  for (const [what, bytes] of [
    ['over 64 KiB', Buffer.from(`{"a":"${'x'.repeat(64 * 1024)}"}`)],
    ['not JSON', Buffer.from('{')],
    ['not canonical', Buffer.from('{"b":1,"a":2}')],
    ['a list', Buffer.from('[]')],
    ['deep', Buffer.from(`${'{"a":'.repeat(20)}1${'}'.repeat(20)}`)],
  ] as const) {
    it(`facts that are ${what} are refused, and nothing is stored`, async () => {
      const store = createMemoryStore();
      const uuid = '6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11';
      const refused = createFactsStore({ store, now: () => 0 }).record({ uuid }, bytes);
      await assert.rejects(refused, { code: 'INVALID_REPORT' });
      assert.equal(await store.get(factsKey(uuid)), undefined);
    });
  }

  it('a node whose facts change without end is slowed down, and an unknown one leaves nothing', async () => {
    const fleet = await createGatewayFleet();
    try {
      const { uuid } = await fleet.addNode();
      let now = 0;
      const store = createFactsStore({ store: fleet.store, now: () => now });
      await store.record({ uuid }, facts);
      await assert.rejects(store.record({ uuid }, Buffer.from('{}')), { code: 'UNAVAILABLE' });
      now = 5_000;
      await store.record({ uuid }, Buffer.from('{}'));
      await store.record({ uuid, factsDigest: sha256Hex('{}') }, Buffer.from('{}'));
      const stranger = '00000000-0000-4000-8000-000000000000';
      await store.record({ uuid: stranger }, facts);
      assert.equal(await fleet.store.get(factsKey(stranger)), undefined);
    } finally {
      await fleet.close();
    }
  });
});

describe('waking a node', () => {
  it('an order in the store reaches the node’s session, through whichever gateway holds it', async () => {
    const fleet = await createGatewayFleet();
    try {
      const [node, other] = [await fleet.addNode(), await fleet.addNode()];
      let woken = Promise.withResolvers<SessionPush>();
      const session = await openSession({ ...fleet.sessionOptions(node), onPush: (push) => woken.resolve(push) });
      const bystander = await openSession({
        ...fleet.sessionOptions(other),
        onPush: () => assert.fail('another node was woken'),
      });
      await Promise.all([session.checkIn({ agentVersion: '1' }), bystander.checkIn({ agentVersion: '1' })]);
      const actor = { id: 'ann', kind: 'user', auth: 'test' } as const;
      const audit = createFakeAudit(fleet.store);
      await wakeNode({ store: fleet.store, audit, now: Date.now }, { uuid: node.uuid, actor, run: true });
      assert.deepEqual(await woken.promise, { kind: 'wake', run: true });
      woken = Promise.withResolvers<SessionPush>();
      const order = { uuid: node.uuid, actor, run: false, dryRun: true };
      await wakeNode({ store: fleet.store, audit, now: Date.now }, order);
      assert.deepEqual(await woken.promise, { kind: 'wake', run: false, dryRun: true });
      assert.deepEqual(audit.of('node.wake')[1]?.detail, { run: false, dryRun: true });
      session.close();
      bystander.close();
    } finally {
      await fleet.close();
    }
  });
});

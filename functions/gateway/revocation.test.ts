import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { openSession, type SessionPush } from '../../agent/session.ts';
import { SessionError } from '../../agent/session-error.ts';
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { formatManifest } from '../../lib/policy/model.ts';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { gatewayMethods } from '../../lib/wire/methods.ts';
import { countingStore } from '../../test/fakes/counting-store.ts';
import { createGatewayFleet, fleetName, type GatewayFleet, issueNode } from '../../test/fakes/gateway-fleet.ts';
import { rawClient, rawStream } from '../../test/fakes/raw-agent.ts';
import { releaseKey } from './current-release.ts';

const held = { agentVersion: '1.0.0' };

describe('what a node may do', () => {
  it('R08 revoking ends the open session at once, and the next one is refused', async () => {
    await withFleet({}, async (fleet) => {
      const node = await fleet.addNode();
      const session = await openSession(fleet.sessionOptions(node));
      await session.checkIn(held);
      await fleet.setState(node.uuid, 'revoked');
      assert.equal((await session.ended).code, 'unauthenticated');
      const again = await openSession(fleet.sessionOptions(node));
      await assert.rejects(again.checkIn(held), { code: 'unauthenticated' });
    });
  });

  it('R08 incident 39: every certificate that a revoked node ever had is refused', async () => {
    await withFleet({}, async (fleet) => {
      const node = await fleet.addNode();
      const renewed = await issueNode(fleet.authority, node.uuid, { identity: node.identity });
      await fleet.setState(node.uuid, 'revoked');
      for (const certificate of [node, renewed]) {
        const session = await openSession(fleet.sessionOptions(certificate));
        await assert.rejects(session.checkIn(held), { code: 'unauthenticated' });
      }
    });
  });

  it('R08 revoking ends streams of every method, other nodes go on', async () => {
    await withFleet({}, async (fleet) => {
      const [node, other] = [await fleet.addNode(), await fleet.addNode()];
      const healthy = await openSession(fleet.sessionOptions(other));
      const client = rawClient(fleet.gateway.address.port, node);
      const streams = gatewayMethods.map((method) => rawStream(client, method));
      for (const stream of streams) await stream.challenge;
      await fleet.setState(node.uuid, 'revoked');
      for (const stream of streams) assert.equal((await stream.end).details, 'unauthenticated');
      client.close();
      await healthy.checkIn(held);
      healthy.close();
    });
  });

  it('a quarantined node may check in and report, and gets no policy by any method', async () => {
    await withFleet({}, async (fleet) => {
      const { digest } = await publish(fleet);
      const node = await fleet.addNode({ state: 'quarantined' });
      const session = await openSession(fleet.sessionOptions(node));
      const answer = await session.checkIn(held);
      assert.equal(answer.quarantined, true);
      assert.equal(answer.release, undefined);
      await assert.rejects(session.fetchRelease(), { code: 'refused', reason: 'QUARANTINED' });
      await assert.rejects(session.download(digest), { code: 'refused', reason: 'QUARANTINED' });
      const woken = Promise.withResolvers<SessionPush>();
      session.onPush(woken.resolve);
      await fleet.setState(node.uuid, 'active');
      assert.deepEqual(await woken.promise, { kind: 'wake', run: false });
      assert.equal((await session.checkIn(held)).release?.number, 1);
      session.close();
    });
  });

  it('R16 a blob outside the crates bound to the node is refused and audited, existing or not', async () => {
    await withFleet({}, async (fleet) => {
      const { digest } = await publish(fleet);
      const stranger = await fleet.addNode({ labels: { role: 'database' } });
      const session = await openSession(fleet.sessionOptions(stranger));
      for (const wanted of [digest, randomBytes(32).toString('hex')]) {
        const before = fleet.audit.events.length;
        await assert.rejects(session.download(wanted), { code: 'refused', reason: 'PERMISSION_DENIED' });
        const [denial] = fleet.audit.events.slice(before);
        assert.equal(denial?.detail?.['reason'], 'not_entitled');
        assert.equal(denial?.actor.id, stranger.uuid);
      }
      session.close();
    });
  });

  it('R05 a check-in that finds nothing new asks the store nothing', async () => {
    const store = countingStore(createMemoryStore());
    await withFleet({ store }, async (fleet) => {
      const session = await openSession(fleet.sessionOptions(await fleet.addNode()));
      await session.checkIn(held);
      const before = { ...store.counts };
      for (let round = 0; round < 50; round++) await session.checkIn(held);
      assert.deepEqual(store.counts, before);
      await session.checkIn({ agentVersion: '1.0.1' });
      assert.equal(store.counts.writes, before.writes + 1, 'a change is noted, once');
      session.close();
    });
  });

  it('a gateway whose directory may be stale refuses as unavailable', async () => {
    let skewMs = 0;
    await withFleet({ now: () => Date.now() + skewMs }, async (fleet) => {
      const node = await fleet.addNode();
      const session = await openSession(fleet.sessionOptions(node));
      await session.checkIn(held);
      skewMs = 60_000;
      await assert.rejects(session.checkIn(held), { code: 'unavailable' });
      await assert.rejects(openSession(fleet.sessionOptions(node)), { code: 'unavailable' });
      assert.equal(fleet.gateway.ready(), false);
    });
  });

  it('a certificate that expires on a held connection is refused', async () => {
    let skewMs = 0;
    await withFleet({ now: () => Date.now() + skewMs, directoryNow: Date.now }, async (fleet) => {
      const session = await openSession(fleet.sessionOptions(await fleet.addNode()));
      await session.checkIn(held);
      skewMs = 25 * 60 * 60 * 1000;
      await assert.rejects(session.checkIn(held), { code: 'unauthenticated' });
      assert.equal(fleet.audit.events.at(-1)?.detail?.['reason'], 'certificate_expired');
    });
  });

  it('draining asks every agent to move, then closes', async () => {
    await withFleet({}, async (fleet) => {
      const node = await fleet.addNode();
      const session = await openSession(fleet.sessionOptions(node));
      const pushed = Promise.withResolvers<SessionPush>();
      session.onPush((push) => {
        pushed.resolve(push);
        session.close();
      });
      const drained = fleet.gateway.drain({ spreadMs: 0, graceMs: 2000 });
      assert.equal(fleet.gateway.ready(), false);
      assert.equal((await pushed.promise).kind, 'drain');
      await drained;
      assert.equal(fleet.gateway.connections, 0);
      await assert.rejects(openSession(fleet.sessionOptions(node)), SessionError);
    });
  });
});

async function withFleet(
  options: Parameters<typeof createGatewayFleet>[0],
  use: (fleet: GatewayFleet) => Promise<void>,
): Promise<void> {
  const fleet = await createGatewayFleet(options);
  try {
    await use(fleet);
  } finally {
    await fleet.close();
  }
}

async function publish(fleet: GatewayFleet): Promise<{ digest: string }> {
  const blob = Buffer.from('a crate');
  const digest = await fleet.blobs.put(blob);
  const manifest = formatManifest({
    fleet: fleetName,
    number: 1,
    previous: '0'.repeat(64),
    created: Date.now(),
    expires: Date.now() + 1_000_000,
    bindings: [{ match: { labels: { role: 'web' } }, crates: ['motd'] }],
    crates: [{ name: 'motd', sha256: digest, blobs: [] }],
  });
  const ref = { number: 1, digest: sha256Hex(manifest) };
  const heard = Promise.withResolvers<void>();
  const stop = fleet.directory.onChange((change) => change.kind === 'release' && heard.resolve());
  await fleet.store.transact([
    { kind: 'put', item: { ...releaseKey(1), ...ref, manifest, signatures: ['signature'] } },
    { kind: 'put', item: { pk: 'release', sk: 'current', ...ref } },
  ]);
  await heard.promise;
  stop();
  return { digest };
}

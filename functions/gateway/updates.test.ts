/** Builds of the agent through a real gateway: offered to the nodes of a ring, given to nobody else, and counted. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openSession } from '../../agent/session.ts';
import { localAdmin } from '../../lib/access/principal.ts';
import { publishBuild } from '../../lib/artifacts/builds.ts';
import { formatKeys } from '../../lib/artifacts/keys.ts';
import { readProgress, takenKey } from '../../lib/artifacts/outcomes.ts';
import { readRings } from '../../lib/artifacts/rings.ts';
import { haltRing, rolloutBuild } from '../../lib/artifacts/rollout.ts';
import { trustKeys } from '../../lib/artifacts/trusted-keys.ts';
import { createBuilds } from '../../test/fakes/builds.ts';
import { createGatewayFleet } from '../../test/fakes/gateway-fleet.ts';

const platform = 'linux-x64';

async function createWorld(t: TestContext) {
  const fleet = await createGatewayFleet({ limits: { pushSpreadMs: 1 } });
  t.after(() => fleet.close());
  const builds = createBuilds();
  const deps = { store: fleet.store, audit: fleet.audit, blobs: fleet.blobs, now: Date.now };
  await trustKeys(deps, { list: formatKeys(builds.keys), actor: localAdmin });
  const notAfter = Math.ceil(Date.now() / 1000) * 1000 + 60_000;
  const publish = async (version: string) => {
    const offered = await builds.build(version, { notAfter, platform });
    const parts = [
      await fleet.blobs.put(offered.program.subarray(0, 20)),
      await fleet.blobs.put(offered.program.subarray(20)),
    ];
    await publishBuild(deps, { manifest: Buffer.from(offered.note), parts, actor: localAdmin });
    return { ...offered, parts };
  };
  const connect = async (labels: Record<string, string> = {}) => {
    const node = await fleet.addNode({ labels });
    const pushed = Promise.withResolvers<void>();
    const session = await openSession({ ...fleet.sessionOptions(node), onPush: () => pushed.resolve() });
    t.after(() => session.close());
    return { node, session, pushed: pushed.promise };
  };
  const rollout = (version: string, labels: Record<string, string> = {}) =>
    rolloutBuild(deps, { ring: 'canary', version, labels, actor: localAdmin });
  return { fleet, deps, publish, connect, rollout };
}

const running = { agentVersion: '1.0.0' };

test('R37 a ring’s nodes are woken, offered the build, and given its manifest and parts; no other node is', async (t) => {
  const { fleet, publish, connect, rollout } = await createWorld(t);
  const offered = await publish('1.1.0');
  const canary = await connect({ ring: 'canary' });
  const other = await connect();
  assert.equal((await canary.session.checkIn(running)).build, undefined);
  await rollout('1.1.0', { ring: 'canary' });
  await canary.pushed;
  const { build } = await canary.session.checkIn(running);
  assert.deepEqual(build, { ...offered.wanted, rollout: 1 });
  const { manifest, parts } = await canary.session.fetchBuild(offered.wanted.sha256);
  assert.equal(Buffer.from(manifest).toString('utf8'), offered.note);
  assert.deepEqual(parts, offered.parts);
  const bytes = await Promise.all(parts.map((part) => canary.session.download(part)));
  assert.deepEqual(Buffer.concat(bytes), Buffer.from(offered.program));
  // What runs it already is told nothing.
  assert.equal((await canary.session.checkIn({ agentVersion: '1.1.0' })).build, undefined);

  await other.pushed;
  assert.equal((await other.session.checkIn(running)).build, undefined);
  await assert.rejects(other.session.fetchBuild(offered.wanted.sha256), { reason: 'PERMISSION_DENIED' });
  await assert.rejects(other.session.download(offered.parts[0] ?? ''), { reason: 'PERMISSION_DENIED' });
  await assert.rejects(canary.session.fetchBuild('0'.repeat(64)), { reason: 'PERMISSION_DENIED' });
  assert.ok(fleet.audit.of('node.request.refuse').some(({ object }) => object.id === other.node.uuid));
});

test('R39 a node that was given the last part, and no other, has the build to answer for, until it does', async (t) => {
  const { fleet, publish, connect, rollout } = await createWorld(t);
  const { parts } = await publish('1.1.0');
  const [first = '', last = ''] = parts;
  const { node, session } = await connect();
  await rollout('1.1.0');
  const taken = async () => (await fleet.store.query({ pk: takenKey('canary', 1, '').pk })).items.map(({ sk }) => sk);
  await session.download(first);
  assert.deepEqual(await taken(), []);
  await session.download(last);
  assert.deepEqual(await taken(), [node.uuid]);
  await session.reportUpdate({ rollout: 1, version: '1.1.0', result: 'confirmed', reason: '', from: '1.0.0' });
  assert.deepEqual(await taken(), []);
});

test('R39 what a node says of its update is counted and audited once; a failing ring is offered nothing more', async (t) => {
  const { fleet, publish, connect, rollout } = await createWorld(t);
  const { wanted } = await publish('1.1.0');
  const { node, session } = await connect();
  await rollout('1.1.0');
  const report = { rollout: 1, version: '1.1.0', result: 'rolled_back', reason: 'deadline', from: '1.0.0' } as const;
  await session.reportUpdate(report);
  await session.reportUpdate(report);
  assert.equal((await readProgress(fleet.store, 'canary', 1)).rolled_back, 1);
  const [entry, ...more] = fleet.audit.of('node.update');
  assert.deepEqual([entry?.actor.id, entry?.outcome, more.length], [node.uuid, 'failure', 0]);
  assert.equal((await readRings(fleet.store)).rings[0]?.halted, '1 of 1 nodes failed');
  const late = await connect();
  // A gateway that has just started knows of the halt as well.
  const second = await fleet.secondGateway();
  t.after(() => second.close());
  const session2 = await openSession(fleet.sessionOptions(late.node, second.gateway));
  t.after(() => session2.close());
  assert.equal((await session2.checkIn(running)).build, undefined);
  await assert.rejects(session2.fetchBuild(wanted.sha256), { reason: 'PERMISSION_DENIED' });
});

test('malformed reports are refused, and a quarantined node gets no build', async (t) => {
  const { fleet, publish, connect, rollout, deps } = await createWorld(t);
  const { wanted } = await publish('1.1.0');
  const { node, session } = await connect();
  await rollout('1.1.0');
  const good = { rollout: 1, version: '1.1.0', result: 'refused', reason: 'no_space', from: '1.0.0' } as const;
  for (const change of [
    { version: '../x' },
    { from: 'x'.repeat(100) },
    { reason: 'Any words' },
    { rollout: 0 },
    { result: 'nonsense' as never },
  ]) {
    await assert.rejects(
      session.reportUpdate({ ...good, ...change }),
      { reason: 'INVALID_REPORT' },
      JSON.stringify(change),
    );
  }
  assert.equal(fleet.audit.of('node.update').length, 0);
  await haltRing(deps, { ring: 'canary', reason: 'x', actor: localAdmin });
  await rollout('1.1.0');
  await fleet.setState(node.uuid, 'quarantined');
  await assert.rejects(session.fetchBuild(wanted.sha256), { reason: 'QUARANTINED' });
  assert.equal((await session.checkIn(running)).build, undefined);
});

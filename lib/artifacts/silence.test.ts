import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRolloutWorld } from '../../test/fakes/rollout.ts';
import { localAdmin } from '../access/principal.ts';
import { nodeKey } from '../identity/nodes.ts';
import { readProgress, recordOutcome } from './outcomes.ts';
import { readRings } from './rings.ts';
import { rolloutBuild } from './rollout.ts';
import { countSilent, recordTaken, silentAfterMs } from './silence.ts';

const minute = 60_000;

/** A ring of so many nodes whose rollout of 1.1.0 has begun, under a gateway that has listened for long. */
async function createWorld(nodes: number, nodesThatTook: number) {
  const world = await createRolloutWorld(nodes);
  const { deps, clock, store, audit, fleet } = world;
  await world.publish('1.1.0');
  const ring = await world.rollout('1.1.0', 'all');
  const since = clock.now - silentAfterMs;
  for (const { uuid } of fleet.slice(0, nodesThatTook)) await recordTaken(deps, uuid, ring);
  return {
    ...world,
    ring,
    look: (from = since) => countSilent(deps, { since: from, signal: new AbortController().signal }),
    halted: async () => (await readRings(store)).rings[0]?.halted,
    silent: async (rollout = 1) => (await readProgress(store, 'all', rollout)).silent,
    entries: () => audit.of('node.update').filter(({ detail }) => detail?.['result'] === 'silent'),
    set: (uuid: string, set: { seenAt?: number; state?: string; agentVersion?: string }) =>
      store.transact([{ kind: 'update', key: nodeKey(uuid), set }]),
  };
}

const outcome = { rollout: 1, version: '1.1.0', result: 'confirmed', reason: '', from: '1.0.0' } as const;

test('R39 a node that took the build and was not heard of for an hour failed: one entry, and the ring halts itself', async () => {
  const { clock, fleet, look, silent, halted, entries, audit, set } = await createWorld(5, 1);
  const [node] = fleet;
  await set(node!.uuid, { agentVersion: '1.0.0' });
  clock.now += silentAfterMs - 1;
  await look();
  assert.deepEqual([await silent(), await halted()], [0, '']);
  clock.now += 1;
  await look();
  await look();
  assert.deepEqual([await silent(), await halted()], [1, '1 of 5 nodes failed, 1 of them silent since they took it']);
  const [entry, ...more] = entries();
  assert.deepEqual(
    [entry?.actor.id, entry?.object.id, entry?.outcome, entry?.detail, more.length],
    [
      'system',
      node!.uuid,
      'failure',
      { ring: 'all', rollout: 1, version: '1.1.0', from: '1.0.0', result: 'silent' },
      0,
    ],
  );
  assert.equal(audit.of('artifact.halt').length, 1);
});

test('nodes that did not take the build were off anyway, and halt nothing', async () => {
  const { clock, look, silent, halted, entries } = await createWorld(5, 0);
  clock.now += 30 * 24 * 60 * minute;
  await look();
  assert.deepEqual([await silent(), await halted(), entries().length], [0, '', 0]);
});

test('a node that is heard, or has said how it ended, or was shut out, is not silent', async () => {
  const { clock, deps, fleet, look, silent, halted, set } = await createWorld(4, 4);
  const [seen, reported, revoked, quarantined] = fleet;
  clock.now += silentAfterMs;
  await set(seen!.uuid, { seenAt: clock.now - silentAfterMs + 1 });
  await recordOutcome(deps, reported!, outcome);
  await set(revoked!.uuid, { state: 'revoked' });
  await set(quarantined!.uuid, { state: 'quarantined' });
  await look();
  assert.deepEqual([await silent(), await halted()], [0, '']);
  // And it is once it falls silent after that.
  clock.now += 1;
  await look();
  assert.equal(await silent(), 1);
});

test('time in which nobody could be heard is no silence of theirs', async () => {
  const { clock, look, silent } = await createWorld(1, 1);
  clock.now += 10 * silentAfterMs;
  const began = clock.now - silentAfterMs + 1;
  await look(began);
  assert.equal(await silent(), 0);
  clock.now += 1;
  await look(began);
  assert.equal(await silent(), 1);
});

test('one that comes back says how it ended, and that is what counts', async () => {
  const { clock, deps, fleet, look, silent, store, audit } = await createWorld(10, 1);
  clock.now += silentAfterMs;
  await look();
  assert.equal(await silent(), 1);
  await recordOutcome(deps, fleet[0]!, outcome);
  const { confirmed } = await readProgress(store, 'all', 1);
  assert.deepEqual([await silent(), confirmed, audit.of('node.update').length], [0, 1, 2]);
  clock.now += silentAfterMs;
  await look();
  assert.equal(await silent(), 0);
});

test('taken again, the hour begins anew; silent again, it counts once', async () => {
  const { clock, deps, fleet, ring, look, silent, entries } = await createWorld(10, 1);
  clock.now += silentAfterMs - 1;
  await recordTaken(deps, fleet[0]!.uuid, ring);
  clock.now += 1;
  await look();
  assert.equal(await silent(), 0);
  clock.now += silentAfterMs;
  await look();
  await recordTaken(deps, fleet[0]!.uuid, ring);
  clock.now += silentAfterMs;
  await look();
  assert.deepEqual([await silent(), entries().length], [1, 2]);
});

test('taken while the next rollout of the build began, and reported as it was announced: nobody waits for more', async () => {
  const { clock, deps, fleet, look, silent } = await createWorld(10, 0);
  const ring = await rolloutBuild(deps, { ring: 'all', version: '1.1.0', actor: localAdmin });
  await recordTaken(deps, fleet[0]!.uuid, ring);
  await recordOutcome(deps, fleet[0]!, outcome);
  clock.now += silentAfterMs;
  await look();
  assert.equal(await silent(2), 0);
});

test('what was taken under a rollout that is over halts nothing; a halt that was lost to another change is made up for', async () => {
  const { clock, deps, look, halted, silent, rollout, store, fleet } = await createWorld(5, 5);
  await rollout('1.1.0', 'all');
  clock.now += silentAfterMs;
  await look();
  assert.deepEqual([await silent(1), await silent(2), await halted()], [0, 0, '']);
  // The report counts, and the rings can't be written at that moment.
  const busy = { ...deps, audit: failingOn('artifact.halt', deps.audit) };
  await recordOutcome(busy, fleet[0]!, { ...outcome, rollout: 2, result: 'rolled_back', reason: 'deadline' });
  assert.equal(await halted(), '');
  await look();
  assert.equal(await halted(), '1 of 5 nodes failed');
  assert.equal((await readRings(store)).rings.length, 1);
});

/** An audit log in which another writer comes first whenever an entry of this type is written. */
function failingOn(type: string, audit: Awaited<ReturnType<typeof createWorld>>['audit']) {
  const append: typeof audit.append = async (event, writes) =>
    event.type === type ? { ok: false, failed: [0] } : audit.append(event, writes);
  return { append };
}

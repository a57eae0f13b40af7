import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import {
  createMachine,
  createTestFleet,
  enrollBytes,
  type Machine,
  openStore,
  operator,
  renewBytes,
  type TestFleet,
} from '../../test/fakes/fleet.ts';
import { generateEd25519 } from '../crypto/ed25519.ts';
import type { FeedPosition, Item, Store } from '../store/port.ts';
import { enroll } from './enroll.ts';
import { getNode, listNodes, nodeKey, quarantineNode, recoverNode, revokeNode, touchNode } from './nodes.ts';
import { renew } from './renew.ts';

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
    const store = await openStore(t, kind);
    const schedule = interleave(store, 20);
    const fleet = await createTestFleet({ store: schedule.store });
    const template = await createMachine();
    const start = await store.feed.now();
    const races: Race[] = [];
    for (let first = 0; first < 1000; first += 100) {
      const made = await Promise.all(Array.from({ length: 100 }, (_, i) => prepare(fleet, template, i % 2 === 0)));
      await schedule.run(() => Promise.all(made.map((one) => run(fleet, one))));
      races.push(...made);
    }
    await Promise.all(races.map((one) => tryAgain(fleet, one)));
    const versions = await history(store, start);
    for (const one of races) judge(fleet, one, versions.get(one.machine.uuid) ?? []);
    const revoked = races.filter((one) => one.revoked).length;
    // Both outcomes must occur, or nothing was interleaved.
    assert.ok(revoked > 550 && revoked < 950, `${revoked} were revoked`);
  });
}

/** Everything that may happen to one UUID at once. */
type Race = {
  readonly machine: Machine;
  readonly token: string;
  /** Another key for the same UUID, with a token of its own. */
  readonly intruder: Machine;
  readonly fresh: string;
  revoked: boolean;
};

/** Half of the nodes are there before the race, so that the revocation meets retries and renewals as well. */
async function prepare(fleet: TestFleet, template: Machine, before: boolean): Promise<Race> {
  const uuid = crypto.randomUUID();
  const machine = { ...template, uuid, identity: generateEd25519() };
  const intruder = { ...template, uuid, identity: generateEd25519() };
  const [token, fresh] = [await fleet.token(), await fleet.token()];
  if (before) await enroll(withoutX509(fleet), enrollBytes(machine, token));
  return { machine, token, intruder, fresh, revoked: false };
}

async function run(fleet: TestFleet, one: Race): Promise<void> {
  const deps = withoutX509(fleet);
  const { machine, token, intruder, fresh } = one;
  const order = { uuid: machine.uuid, actor: operator };
  const [revoked] = await Promise.all([
    succeeds(revokeNode(deps, order)),
    succeeds(enroll(deps, enrollBytes(machine, token))),
    succeeds(enroll(deps, enrollBytes(machine, token))),
    succeeds(enroll(deps, enrollBytes(intruder, fresh))),
    succeeds(renew(deps, renewBytes(machine, fleet.clock.now))),
    succeeds(quarantineNode(deps, order).then(() => recoverNode(deps, order))),
  ]);
  one.revoked = revoked;
}

async function tryAgain(fleet: TestFleet, { machine, token, intruder, fresh, revoked }: Race): Promise<void> {
  if (!revoked) return;
  const deps = withoutX509(fleet);
  assert.equal(await succeeds(enroll(deps, enrollBytes(intruder, fresh))), false);
  assert.equal(await succeeds(enroll(deps, enrollBytes(machine, token))), false);
  assert.equal(await succeeds(renew(deps, renewBytes(machine, fleet.clock.now + 1))), false);
}

/** `versions` are all of the item, in the order of commits: after the tombstone, nothing but the tombstone. */
function judge(fleet: TestFleet, { machine, revoked }: Race, versions: readonly Item[]): void {
  const states = versions.map((item) => item['state']);
  const tomb = states.indexOf('revoked');
  assert.equal(tomb >= 0, revoked);
  if (revoked) assert.deepEqual(states.slice(tomb), ['revoked'], 'nothing is written to a tombstone');
  const keys = new Set(versions.map((item) => Buffer.from(item['identityKey'] as Uint8Array).toString('hex')));
  assert.equal(keys.size, 1);
  assert.equal(fleet.audit.of('node.enroll').filter((entry) => entry.object.id === machine.uuid).length, 1);
}

async function history(store: Store, start: FeedPosition): Promise<Map<string, Item[]>> {
  const versions = new Map<string, Item[]>();
  for (let position = start; ; ) {
    const read = await store.feed.read(position, { limit: 1000, waitMs: 0 });
    if (read.changes.length === 0) return versions;
    for (const { key, item } of read.changes)
      if (item && key.pk.startsWith('node#')) versions.set(key.sk, [...(versions.get(key.sk) ?? []), item]);
    position = read.position;
  }
}

/** Certificates are made outside the store, in threads of their own: without them the order is the seed's alone. */
function withoutX509(fleet: TestFleet) {
  const certificates = {
    ...fleet.issuance.certificates,
    accepts: async () => true,
    issue: async () => new Uint8Array(1),
  };
  return { ...fleet.issuance, certificates };
}

function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}

/** A store whose calls, while `run` works, are let through a few at a time, in an order drawn from the seed. */
function interleave(inner: Store, seed: number) {
  const waiting: (() => void)[] = [];
  const random = mulberry32(seed);
  let gated = false;
  const gate = async () => {
    if (gated) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const store: Store = {
    get: (key) => gate().then(() => inner.get(key)),
    query: (query) => gate().then(() => inner.query(query)),
    transact: (writes) => gate().then(() => inner.transact(writes)),
    feed: inner.feed,
    close: () => inner.close(),
  };
  async function run(work: () => Promise<unknown>): Promise<void> {
    gated = true;
    const ended = work().finally(() => {
      gated = false;
    });
    while (gated) {
      for (let i = 0; i < 20; i++) waiting.splice(Math.floor(random() * waiting.length), 1)[0]?.();
      await turn();
    }
    await ended;
  }
  return { store, run };
}

/** A small seeded generator: the same seed gives the same order again. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

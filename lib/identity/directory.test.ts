import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import {
  createMachine,
  createTestFleet,
  enrollBytes,
  openStore,
  operator,
  type TestFleet,
} from '../../test/fakes/fleet.ts';
import { createMemoryStore } from '../store/memory.ts';
import { type FeedPosition, type Store, StoreError } from '../store/port.ts';
import { type DirectoryChange, maxSilenceMs, openNodeDirectory } from './directory.ts';
import { enroll } from './enroll.ts';
import { nodeKey, revokeNode, touchNode } from './nodes.ts';

const silent = { warn: () => undefined, error: () => undefined };

async function enrollOne(fleet: TestFleet) {
  const machine = await createMachine();
  await enroll(fleet.issuance, enrollBytes(machine, await fleet.token()));
  return machine;
}

async function openDirectory(t: TestContext, fleet: TestFleet, store = fleet.store) {
  const directory = await openNodeDirectory({
    store,
    now: fleet.now,
    logger: silent,
    pause: () => new Promise(setImmediate),
  });
  t.after(() => directory.close());
  /** Resolves with the first change that fits. */
  const next = (fits: (change: DirectoryChange) => boolean) =>
    new Promise<DirectoryChange>((resolve) => {
      const cancel = directory.onChange((change) => {
        if (!fits(change)) return;
        cancel();
        resolve(change);
      });
    });
  return { directory, next };
}

describe('node directory', () => {
  for (const kind of ['memory', 'sqlite'] as const) {
    test(`R08 it holds what was enrolled before and after, and tells of a revocation, ${kind}`, async (t) => {
      const fleet = await createTestFleet({ store: await openStore(t, kind) });
      const before = await enrollOne(fleet);
      const { directory, next } = await openDirectory(t, fleet);
      assert.equal(directory.get(before.uuid)?.state, 'active');
      assert.deepEqual(
        Buffer.from(directory.get(before.uuid)?.identityKey ?? []),
        Buffer.from(before.identity.publicKey),
      );

      const seen = next((change) => change.kind === 'node' && change.uuid !== before.uuid);
      const after = await enrollOne(fleet);
      await seen;
      assert.equal(directory.get(after.uuid)?.state, 'active');
      assert.equal(directory.size, 2);

      const told = next((change) => change.kind === 'node' && change.node?.state === 'revoked');
      await revokeNode(fleet, { uuid: before.uuid, actor: operator });
      const change = await told;
      assert.equal(change.kind === 'node' && change.uuid, before.uuid);
      assert.equal(directory.get(before.uuid)?.state, 'revoked');
    });
  }

  test('the current release is followed, and never goes back', async (t) => {
    const fleet = await createTestFleet();
    const { directory, next } = await openDirectory(t, fleet);
    assert.equal(directory.release(), undefined);
    const publish = (number: number, digest: string) =>
      fleet.store.transact([{ kind: 'put', item: { pk: 'release', sk: 'current', number, digest } }]);
    let told = next((change) => change.kind === 'release');
    await publish(2, 'aa'.repeat(32));
    await told;
    assert.deepEqual(directory.release(), { number: 2, digest: 'aa'.repeat(32) });
    told = next((change) => change.kind === 'release');
    await publish(1, 'bb'.repeat(32));
    await publish(3, 'not a digest');
    await publish(4, 'cc'.repeat(32));
    assert.deepEqual(await told, { kind: 'release', release: { number: 4, digest: 'cc'.repeat(32) } });
  });

  test('being seen is no change to tell of', async (t) => {
    const fleet = await createTestFleet();
    const machine = await enrollOne(fleet);
    const { directory, next } = await openDirectory(t, fleet);
    const first = next(() => true);
    await touchNode(fleet.store, machine.uuid, { seenAt: 42 });
    await revokeNode(fleet, { uuid: machine.uuid, actor: operator });
    const change = await first;
    assert.equal(change.kind === 'node' && change.node?.state, 'revoked');
    assert.equal(directory.get(machine.uuid)?.seenAt, 42);
  });

  test('a node that was deleted or garbled behind our back is unknown from then on', async (t) => {
    const fleet = await createTestFleet();
    const [one, two] = [await enrollOne(fleet), await enrollOne(fleet)];
    const { directory, next } = await openDirectory(t, fleet);
    const deleted = next((change) => change.kind === 'node' && change.uuid === one.uuid);
    const garbled = next((change) => change.kind === 'node' && change.uuid === two.uuid);
    await fleet.store.transact([{ kind: 'delete', key: nodeKey(one.uuid) }]);
    await fleet.store.transact([{ kind: 'update', key: nodeKey(two.uuid), set: { identityKey: new Uint8Array(5) } }]);
    assert.deepEqual(await deleted, { kind: 'node', uuid: one.uuid });
    assert.deepEqual(await garbled, { kind: 'node', uuid: two.uuid });
    assert.equal(directory.size, 0);
  });

  test('R54 a feed that is silent for 10 s makes it stale, one that is back makes it fresh', async (t) => {
    const fleet = await createTestFleet();
    let fail = false;
    let asked = () => {};
    const store: Store = {
      ...fleet.store,
      feed: {
        now: () => fleet.store.feed.now(),
        async read(after: FeedPosition, options) {
          await new Promise<void>((resolve) => {
            asked = resolve;
          });
          if (fail) throw new StoreError('unavailable', 'gone');
          return fleet.store.feed.read(after, { ...options, waitMs: 0 });
        },
      },
    };
    const { directory } = await openDirectory(t, fleet, store);
    t.after(() => asked());
    const round = async () => {
      asked();
      for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    };
    assert.equal(directory.fresh(), true);
    fail = true;
    fleet.clock.now += maxSilenceMs;
    await round();
    assert.equal(directory.fresh(), true);
    fleet.clock.now += 1;
    await round();
    assert.equal(directory.fresh(), false);
    fail = false;
    await round();
    await round();
    assert.equal(directory.fresh(), true);
    await Promise.all([directory.close(), round()]);
    assert.equal(directory.fresh(), false);
  });

  test('a feed that forgot its position: everything is loaded anew and what was missed is told', async (t) => {
    const fleet = await createTestFleet({ store: createMemoryStore() });
    const machine = await enrollOne(fleet);
    let expired = true;
    let missed: Promise<unknown> = Promise.resolve();
    const store: Store = {
      ...fleet.store,
      feed: {
        now: () => fleet.store.feed.now(),
        async read(after, options) {
          await missed;
          if (expired) {
            expired = false;
            throw new StoreError('feed_expired', 'too old');
          }
          return fleet.store.feed.read(after, options);
        },
      },
    };
    let release = () => {};
    missed = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { directory, next } = await openDirectory(t, fleet, store);
    const told = next((change) => change.kind === 'node' && change.node?.state === 'revoked');
    await revokeNode(fleet, { uuid: machine.uuid, actor: operator });
    release();
    await told;
    assert.equal(directory.get(machine.uuid)?.state, 'revoked');
  });

  test('the feed repeats old states: a revocation in memory does not go away', async (t) => {
    const fleet = await createTestFleet();
    const start = await fleet.store.feed.now();
    const machine = await enrollOne(fleet);
    await revokeNode(fleet, { uuid: machine.uuid, actor: operator });
    // Loaded after the revocation, fed from before the enrollment.
    const store: Store = {
      ...fleet.store,
      feed: {
        now: async () => start,
        async read(after, options) {
          await new Promise(setImmediate);
          return fleet.store.feed.read(after, { ...options, limit: 1 });
        },
      },
    };
    const { directory } = await openDirectory(t, fleet, store);
    const told: DirectoryChange[] = [];
    directory.onChange((change) => told.push(change));
    for (let i = 0; i < 50; i++) await new Promise(setImmediate);
    assert.deepEqual(told, []);
    assert.equal(directory.get(machine.uuid)?.state, 'revoked');
  });
});

/** Enroll, retry, renew, quarantine and revoke of one UUID at once, in orders drawn from a seed, on any store. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { generateEd25519 } from '../../lib/crypto/ed25519.ts';
import { enroll } from '../../lib/identity/enroll.ts';
import { quarantineNode, recoverNode, revokeNode } from '../../lib/identity/nodes.ts';
import { renew } from '../../lib/identity/renew.ts';
import type { FeedPosition, Item, Store } from '../../lib/store/port.ts';
import {
  createMachine,
  createTestFleet,
  enrollBytes,
  type Machine,
  operator,
  renewBytes,
  type TestFleet,
} from '../fakes/fleet.ts';

/** Judges every race, and returns how many UUIDs ended revoked. Throws `AssertionError`. */
export async function raceIdentities(store: Store, { races: count }: { readonly races: number }): Promise<number> {
  const schedule = interleave(store, 20);
  const fleet = await createTestFleet({ store: schedule.store });
  const template = await createMachine();
  const start = await store.feed.now();
  const races: Race[] = [];
  for (let first = 0; first < count; first += 100) {
    const made = await Promise.all(Array.from({ length: 100 }, (_, i) => prepare(fleet, template, i % 2 === 0)));
    await schedule.run(() => Promise.all(made.map((one) => run(fleet, one))));
    races.push(...made);
  }
  await Promise.all(races.map((one) => tryAgain(fleet, one)));
  const versions = await history(store, start);
  for (const one of races) judge(fleet, one, versions.get(one.machine.uuid) ?? []);
  return races.filter((one) => one.revoked).length;
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

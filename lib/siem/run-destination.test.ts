import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testEvent, testOrigin } from '../../test/fakes/audit-log.ts';
import { createSiemWorld, type SiemWorld, sequencesOf, upTo } from '../../test/fakes/siem.ts';
import { bodyHash, chainHash, chainStart } from '../audit/chain.ts';
import { listEntries } from '../audit/list.ts';
import { cursorsPartition, readCursor } from './cursor.ts';
import type { FeedEvent } from './event.ts';
import { resumeDestination } from './manage.ts';
import { recordsPartition } from './record.ts';
import { readStatus } from './status.ts';

const stateOf = async (world: SiemWorld, name = 'a') => {
  const status = await readStatus(world.manage, name);
  assert.ok(status);
  return status;
};
const headSize = async (world: SiemWorld) => (await world.manage.reader.head()).size;
const entriesIn = (events: readonly FeedEvent[]) => events.filter((event) => event.kind === 'entry');

test('R32 every sealed entry arrives once, in order, byte for byte, on a chain that the receiver can recompute', async () => {
  const world = await createSiemWorld();
  await world.append(1200);
  await world.add('a');
  await world.sealer.sealOnce();
  const size = await headSize(world);
  const outcome = await world.run('a');
  assert.equal(outcome.kind, 'idle');
  const fake = world.fakeOf('a');
  assert.deepEqual(sequencesOf(fake.events), upTo(size));
  assert.deepEqual(
    fake.batches.map(({ events }) => events.length),
    [500, 500, size - 1000],
  );
  let previous = chainStart(testOrigin);
  const { entries } = await listEntries({ store: world.store, origin: testOrigin }, { order: 'oldest', limit: 5000 });
  for (const event of entriesIn(fake.events)) {
    assert.equal(event.id, `${testOrigin}:${event.seq}`);
    assert.deepEqual(event.raw, entries[event.seq]?.bytes);
    assert.equal(event.body, bodyHash(event.raw ?? new Uint8Array()));
    assert.equal(event.previous, previous);
    assert.equal(event.chain, chainHash(testOrigin, event.seq, event.body, previous));
    assert.equal('dseq' in event, false);
    previous = event.chain;
  }
  assert.ok(
    fake.batches.every(
      ({ checkpoint, log, destination }) => checkpoint?.size === size && log === testOrigin && destination === 'a',
    ),
  );
  assert.deepEqual(
    fake.credentials.map(({ secret }) => secret?.reveal()),
    fake.batches.map(() => 'a secret of the hook'),
  );
  const status = await stateOf(world);
  assert.deepEqual(
    {
      state: status.state,
      next: status.next,
      delivered: status.delivered,
      lag: status.lag.entries,
      failures: status.failures,
    },
    { state: 'active', next: size, delivered: size, lag: 0, failures: 0 },
  );
});

test('nothing new: nothing is sent, and reading alone says so', async () => {
  const world = await createSiemWorld();
  await world.append(3);
  await world.add('a');
  await world.run('a');
  const sent = world.fakeOf('a').batches.length;
  const before = await readCursor(world.store, 'a');
  assert.equal((await world.run('a')).kind, 'idle');
  assert.equal(world.fakeOf('a').batches.length, sent);
  assert.deepEqual(await readCursor(world.store, 'a'), before);
});

test('what is not sealed is not delivered', async () => {
  const world = await createSiemWorld();
  await world.append(1);
  await world.add('a', {}, 'newest');
  await world.writer.append(testEvent);
  await world.run('a');
  assert.equal(world.fakeOf('a').batches.length, 0);
});

test('transient: the identical batch comes again, Retry-After is honoured, back-off grows, the breaker opens and one event is tried', async () => {
  const world = await createSiemWorld();
  await world.append(20);
  await world.add('a');
  const fake = world.fakeOf('a');
  const failure = { kind: 'transient', reason: '503' } as const;
  fake.answers.push({ ...failure, retryAfterMs: 42_000 }, failure, failure, failure);
  assert.deepEqual(await world.run('a'), { kind: 'backing_off', until: world.clock.time + 42_000 });
  assert.equal((await world.run('a')).kind, 'backing_off');
  assert.equal(fake.batches.length, 1, 'not tried before its time');

  await world.pass(42_000);
  assert.deepEqual(await world.run('a'), { kind: 'backing_off', until: world.clock.time + 1_000 });
  assert.deepEqual(fake.batches[1], fake.batches[0], 'the identical batch');
  assert.equal((await stateOf(world)).state, 'active');

  await world.pass(1_000);
  assert.deepEqual(await world.run('a'), { kind: 'backing_off', until: world.clock.time + 2_000 });
  assert.equal((await stateOf(world)).state, 'retrying');
  assert.equal((await stateOf(world)).lastError?.reason, '503');

  await world.pass(2_000);
  assert.deepEqual(await world.run('a'), { kind: 'backing_off', until: world.clock.time + 4_000 });
  assert.equal(fake.batches.at(-1)?.events.length, 1, 'half-open sends one event');

  await world.pass(4_000);
  assert.equal((await world.run('a')).kind, 'idle');
  assert.deepEqual(sequencesOf(fake.events), upTo(await headSize(world)));
  assert.equal((await stateOf(world)).state, 'active');
});

test('R32 500 for an hour: nothing is lost, attempts are few, and all arrives when it heals', async () => {
  const world = await createSiemWorld();
  await world.append(700);
  await world.add('a');
  const fake = world.fakeOf('a');
  const heals = world.clock.time + 3_600_000;
  const answer = () =>
    world.clock.time < heals ? ({ kind: 'transient', reason: '500' } as const) : ({ kind: 'delivered' } as const);
  fake.answers.push(...Array.from({ length: 200 }, () => answer));
  for (;;) {
    const outcome = await world.run('a');
    if (outcome.kind !== 'backing_off') break;
    await world.pass(outcome.until - world.clock.time);
  }
  const failed = fake.batches.findIndex(
    (_, i) => fake.batches[i]?.madeAt !== undefined && (fake.batches[i]?.madeAt ?? 0) >= heals,
  );
  assert.ok(failed > 5 && failed < 30, `${failed} attempts in an hour`);
  assert.deepEqual(sequencesOf(fake.events), upTo(await headSize(world)));
});

test('states are audit entries: into trouble, and out of it', async () => {
  const world = await createSiemWorld();
  await world.append(2);
  await world.add('a');
  const fake = world.fakeOf('a');
  fake.answers.push({ kind: 'auth', reason: '401' }, { kind: 'config', reason: '404' });
  assert.deepEqual(await world.run('a'), { kind: 'backing_off', until: world.clock.time + 300_000 });
  assert.equal((await stateOf(world)).state, 'blocked_auth');
  await world.pass(300_000);
  assert.equal((await world.run('a')).kind, 'backing_off');
  assert.equal((await stateOf(world)).state, 'blocked_config');
  assert.equal(fake.batches.at(-1)?.events.length, 1, 'a probe is one event');
  // An operator's word is enough to try at once.
  await resumeDestination(world.manage, { name: 'a', actor: world.actor });
  assert.equal((await world.run('a')).kind, 'idle');
  await world.sealer.sealOnce();
  const { entries } = await listEntries(
    { store: world.store, origin: testOrigin },
    { order: 'oldest', limit: 100, type: 'siem.state' },
  );
  assert.deepEqual(
    entries.map(({ entry: { detail, object, actor } }) => [actor.id, object.id, detail]),
    [
      ['system', 'a', { from: 'active', to: 'blocked_auth', reason: '401' }],
      ['system', 'a', { from: 'blocked_auth', to: 'blocked_config', reason: '404' }],
      ['system', 'a', { from: 'blocked_config', to: 'active' }],
    ],
  );
});

test('a credential that is not there blocks, without a call; its value is read again when it was not accepted', async () => {
  const world = await createSiemWorld();
  await world.append(1);
  await world.add('a', { secret: 'secret:siem/missing' });
  assert.equal((await world.run('a')).kind, 'backing_off');
  const status = await stateOf(world);
  assert.deepEqual([status.state, status.lastError?.reason], ['blocked_auth', 'secret:siem/missing: not_found']);
  assert.equal(world.fakeOf('a').batches.length, 0);
});

test('too large: halves until it fits, remembers it, and one entry alone becomes a stub without a gap', async () => {
  const world = await createSiemWorld();
  await world.append(30);
  await world.add('a');
  const fake = world.fakeOf('a');
  // Takes four events at most, and never entry 7.
  const judge = ({ events }: { events: readonly FeedEvent[] }) =>
    events.length > 4 || events.some((event) => event.kind === 'entry' && event.seq === 7)
      ? ({ kind: 'too_large', reason: '413' } as const)
      : ({ kind: 'delivered' } as const);
  fake.answers.push(...Array.from({ length: 100 }, () => judge));
  assert.equal((await world.run('a')).kind, 'idle');
  assert.deepEqual(sequencesOf(fake.events), upTo(await headSize(world)), 'in order, without a gap');
  const stubs = fake.events.filter((event) => event.kind === 'stub');
  assert.equal(stubs.length, 1);
  const [stub] = stubs;
  assert.deepEqual(
    [stub?.seq, stub?.reason, stub?.fetch],
    [7, 'oversize', '/v1/audit/entries?order=oldest&cursor=7&limit=1'],
  );
  const { entries } = await listEntries(
    { store: world.store, origin: testOrigin },
    { order: 'oldest', from: 7, limit: 1 },
  );
  assert.deepEqual([stub?.body, stub?.chain], [entries[0]?.body, entries[0]?.chain]);
  const status = await stateOf(world);
  assert.equal(status.quarantined, 1);
  assert.equal(status.delivered + status.quarantined, status.next);
  assert.ok((status.limit ?? 99) <= 4, 'remembered');
});

test('rejected without saying which: found by halving, replaced by a stub, and then full batches again', async () => {
  const world = await createSiemWorld();
  await world.append(60);
  await world.add('a');
  const fake = world.fakeOf('a');
  const judge = ({ events }: { events: readonly FeedEvent[] }) =>
    events.some((event) => event.kind === 'entry' && event.seq === 23)
      ? ({ kind: 'rejected', reason: '400' } as const)
      : ({ kind: 'delivered' } as const);
  fake.answers.push(...Array.from({ length: 100 }, () => judge));
  assert.equal((await world.run('a')).kind, 'idle');
  assert.deepEqual(sequencesOf(fake.events), upTo(await headSize(world)));
  assert.deepEqual(
    fake.events.filter(({ kind }) => kind === 'stub').map((event) => 'seq' in event && event.seq),
    [23],
  );
  assert.equal((await stateOf(world)).limit, undefined, 'the limit is gone with its reason');
});

test('partial: only the refused events come again, as stubs', async () => {
  const world = await createSiemWorld();
  await world.append(10);
  await world.add('a');
  const fake = world.fakeOf('a');
  fake.answers.push({
    kind: 'partial',
    rejected: [
      { index: 2, reason: 'refused' },
      { index: 5, reason: 'oversize' },
    ],
  });
  assert.equal((await world.run('a')).kind, 'idle');
  assert.deepEqual(
    fake.batches[1]?.events.map((event) => ('seq' in event ? [event.kind, event.seq] : [])),
    [
      ['stub', 2],
      ['stub', 5],
    ],
  );
  assert.notEqual(fake.batches[1]?.id, fake.batches[0]?.id);
  assert.deepEqual(
    sequencesOf(fake.events).sort((a, b) => a - b),
    upTo(await headSize(world)),
  );
  assert.equal((await stateOf(world)).quarantined, 2);
});

test('a receiver that takes no stub is blocked, never skipped', async () => {
  for (const first of [
    { kind: 'partial', rejected: [{ index: 1, reason: 'refused' }] },
    { kind: 'rejected', reason: '400' },
  ] as const) {
    const world = await createSiemWorld();
    await world.append(1);
    await world.add('a');
    const fake = world.fakeOf('a');
    fake.answers.push(first, ...Array.from({ length: 20 }, () => ({ kind: 'rejected', reason: '400' }) as const));
    assert.equal((await world.run('a')).kind, 'backing_off');
    const status = await stateOf(world);
    assert.equal(status.state, 'blocked_config');
    assert.equal(status.next, 0);
    assert.equal(status.quarantined, 0);
    fake.answers.length = 0;
    await world.pass(900_000);
    assert.equal((await world.run('a')).kind, 'idle');
    assert.deepEqual(
      sequencesOf(fake.events).sort((a, b) => a - b),
      upTo(await headSize(world)),
    );
  }
});

test('pending: the position moves only when it is confirmed; what is not confirmed in time is sent again, the same', async () => {
  const world = await createSiemWorld();
  await world.append(5);
  await world.add('a');
  const fake = world.fakeOf('a');
  fake.answers.push({ kind: 'pending', token: 'ack 1' });
  fake.confirmations.push({ kind: 'pending', token: 'ack 1' }, { kind: 'transient', reason: 'reset' });
  let outcome = await world.run('a');
  assert.deepEqual(outcome, { kind: 'backing_off', until: world.clock.time + 250 });
  assert.equal((await stateOf(world)).next, 0);
  // Another process asks on: the token is in the cursor.
  await world.pass(60_000);
  outcome = await world.run('a', { owner: 'two' });
  assert.deepEqual(fake.confirmed, ['ack 1']);
  await world.pass(59_000);
  outcome = await world.run('a', { owner: 'two' });
  assert.equal(outcome.kind, 'backing_off');
  assert.equal((await stateOf(world)).failures, 0, 'a question that failed is no failure of the batch');
  fake.confirmations.push({ kind: 'pending', token: 'ack 1' });
  await world.pass(1_000);
  outcome = await world.run('a', { owner: 'two' });
  assert.equal((await stateOf(world)).lastError?.reason, 'the receiver did not confirm the batch in time');
  await world.pass(1_000);
  fake.answers.push({ kind: 'pending', token: 'ack 2' });
  await world.run('a', { owner: 'two' });
  assert.deepEqual(fake.batches[1], fake.batches[0]);
  await world.pass(1_000);
  assert.equal((await world.run('a', { owner: 'two' })).kind, 'idle');
  assert.equal(fake.confirmed.at(-1), 'ack 2');
  assert.equal((await stateOf(world)).next, await headSize(world));
});

test('a send that hangs is ended by its deadline, even where the destination ignores it', async () => {
  const world = await createSiemWorld();
  await world.append(1);
  await world.add('a');
  const fake = world.fakeOf('a');
  const timer = (callback: () => void) => {
    setImmediate(callback);
    return () => undefined;
  };
  fake.answers.push(() => new Promise<never>(() => undefined));
  assert.equal((await world.run('a', { timer })).kind, 'backing_off');
  assert.equal((await stateOf(world)).lastError?.reason, 'no answer in time');
  assert.equal((await stateOf(world)).next, 0);
});

test('R32 altered after sealing: delivery stops before it, says so, and goes on only on an operator’s word', async () => {
  const world = await createSiemWorld();
  await world.append(3);
  await world.add('a');
  await world.run('a');
  await world.append(3);
  const page = await world.store.query({ pk: 'lane#w-0', descending: true, limit: 1 });
  const [slot] = page.items;
  assert.ok(slot);
  const entries = slot['e'] as Uint8Array[];
  const forged = entries.map((bytes) => Buffer.from(Buffer.from(bytes).toString().replace('"a1"', '"a2"')));
  await world.store.transact([{ kind: 'put', item: { ...slot, e: forged } }]);
  const fake = world.fakeOf('a');
  const before = fake.batches.length;
  assert.equal((await world.run('a')).kind, 'asleep');
  assert.equal((await world.run('a')).kind, 'asleep');
  assert.equal(fake.batches.length, before);
  assert.equal((await stateOf(world)).state, 'integrity_hold');
  await resumeDestination(world.manage, { name: 'a', actor: world.actor });
  assert.equal((await world.run('a')).kind, 'asleep', 'still not what was sealed');
  await world.store.transact([{ kind: 'put', item: slot }]);
  await resumeDestination(world.manage, { name: 'a', actor: world.actor });
  await world.sealer.sealOnce();
  assert.equal((await world.run('a')).kind, 'idle');
  assert.deepEqual(sequencesOf(fake.events), upTo(await headSize(world)));
});

test('a history rewritten with recomputed hashes does not go on from what was delivered', async () => {
  const world = await createSiemWorld();
  await world.append(3);
  await world.add('a');
  await world.run('a');
  // The whole log of another history, under the same cursor.
  const other = await createSiemWorld();
  await other.append(9, { ...testEvent, object: { kind: 'token', id: 'rewritten' } });
  for (const pk of [recordsPartition, cursorsPartition])
    for (const item of (await world.store.query({ pk })).items) await other.store.transact([{ kind: 'put', item }]);
  assert.equal((await other.run('a')).kind, 'asleep');
  assert.match((await stateOf(other)).lastError?.reason ?? '', /does not go on the chain of what was delivered/);
  assert.equal(other.fakeOf('a').batches.length, 0);
});

test('the log can not take the change of state: delivery itself goes on, the state follows later', async () => {
  const world = await createSiemWorld();
  await world.append(2);
  await world.add('a');
  const { AuditError } = await import('../audit/port.ts');
  const audit = {
    append: async () => {
      throw new AuditError('unavailable', 'full');
    },
  };
  world.fakeOf('a').answers.push({ kind: 'auth', reason: '403' });
  assert.equal((await world.run('a', { audit })).kind, 'backing_off');
  const status = await stateOf(world);
  assert.deepEqual([status.state, status.failures, status.lastError?.reason], ['active', 1, '403']);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testEvent, testOrigin } from '../../test/fakes/audit-log.ts';
import { createSiemWorld, type SiemWorld, sequencesOf, upTo } from '../../test/fakes/siem.ts';
import { destinationConfig } from './config.ts';
import { SiemError } from './errors.ts';
import type { FeedEvent, HeartbeatEvent } from './event.ts';
import {
  addDestination,
  confirmTest,
  pauseDestination,
  removeDestination,
  replayDestination,
  resumeDestination,
  testDestination,
  updateDestination,
} from './manage.ts';
import { readRecord } from './record.ts';
import { readStatus, readStatuses } from './status.ts';

const heartbeats = (events: readonly FeedEvent[]): HeartbeatEvent[] =>
  events.filter((event) => event.kind === 'heartbeat');
const statusOf = async (world: SiemWorld, name = 'a') => {
  const status = await readStatus(world.manage, name);
  assert.ok(status);
  return status;
};
const refusal = (code: SiemError['code']) => (error: unknown) => error instanceof SiemError && error.code === code;

test('a filtered feed counts what it carries without a gap, and tells what it left out', async () => {
  const world = await createSiemWorld();
  await world.append(10);
  await world.append(5, { ...testEvent, type: 'session.end', object: { kind: 'session', id: 's' } });
  await world.add('a', { filter: { include: ['session.*', 'siem.add'] } });
  await world.pass(60_000);
  assert.equal((await world.run('a')).kind, 'idle');
  const fake = world.fakeOf('a');
  const entries = fake.events.filter((event) => event.kind === 'entry');
  assert.deepEqual(
    entries.map(({ entry }) => entry.op.type),
    [...Array(5).fill('session.end'), 'siem.add'],
  );
  assert.deepEqual(
    entries.map(({ dseq }) => dseq),
    upTo(6),
  );
  const [beat] = heartbeats(fake.events);
  assert.ok(beat);
  assert.deepEqual([beat.delivered, beat.filtered, beat.quarantined, beat.dseq], [6, beat.next - 6, 0, 6]);
  assert.equal(beat.next, beat.head.size);
});

test('another filter is another generation, and counts from where it begins', async () => {
  const world = await createSiemWorld();
  await world.append(4);
  await world.add('a', { filter: { exclude: ['log.*'] } });
  await world.pass(60_000);
  await world.run('a');
  const record = await readRecord(world.store, 'a');
  assert.ok(record);
  const config = destinationConfig.parse({ ...record.config, filter: { exclude: ['token.*'] } });
  await updateDestination(world.manage, { name: 'a', actor: world.actor, revision: 1, config });
  await world.pass(60_000);
  await world.run('a');
  const [first, second] = heartbeats(world.fakeOf('a').events);
  assert.ok(first && second);
  assert.deepEqual([first.generation, second.generation, second.since], [1, 2, first.next]);
  assert.equal(second.delivered + second.filtered + second.quarantined, second.next - second.since);
  const later = world.fakeOf('a').events.filter((event) => event.kind === 'entry' && event.seq >= second.since);
  assert.deepEqual(
    later.map((event) => 'dseq' in event && event.dseq),
    upTo(later.length),
  );
});

test('a heartbeat each minute goes the same way, says where the log and the feed stand, and comes again the same', async () => {
  const world = await createSiemWorld();
  await world.append(3);
  await world.add('a');
  await world.run('a');
  const fake = world.fakeOf('a');
  assert.equal(heartbeats(fake.events).length, 0);
  fake.answers.push({ kind: 'transient', reason: 'reset' });
  await world.pass(60_000);
  await world.run('a');
  await world.pass(10_000);
  await world.run('a');
  assert.deepEqual(fake.batches.at(-1), fake.batches.at(-2));
  const [beat] = heartbeats(fake.events);
  assert.ok(beat);
  const size = (await world.manage.reader.head()).size;
  assert.deepEqual(beat.head, await world.manage.reader.head());
  assert.deepEqual(
    { next: beat.next, chain: beat.chain, delivered: beat.delivered, filtered: beat.filtered, lag: beat.lag },
    { next: size, chain: beat.head.chain, delivered: size, filtered: 0, lag: { entries: 0, ms: 0 } },
  );
  // Nothing is sealed any more: the heartbeat comes all the same.
  world.clock.time += 60_000;
  assert.deepEqual(await world.run('a'), { kind: 'idle', until: world.clock.time + 60_000 });
  assert.equal(heartbeats(fake.events).length, 2);
  assert.equal((await statusOf(world)).next, size);
});

test('a feed that is far behind has its heartbeat and its test in the first batch, and in single events', async () => {
  for (const limits of [
    { maxEvents: 500, maxBytes: 5_000_000 },
    { maxEvents: 1, maxBytes: 1 },
  ]) {
    const world = await createSiemWorld();
    await world.append(limits.maxEvents * 3);
    await world.add('a');
    await world.pass(60_000);
    const { nonce } = await testDestination(world.manage, { name: 'a', actor: world.actor });
    const fake = world.fakeOf('a');
    const destinationOf = () => ({ ...fake, limits });
    assert.equal((await world.run('a', { destinationOf })).kind, 'idle');
    const kinds = fake.batches.slice(0, 2).flatMap(({ events }) => events.map(({ kind }) => kind));
    assert.ok(kinds.includes('heartbeat') && kinds.includes('test'), kinds.join());
    assert.ok(fake.batches.every(({ events }) => events.length <= limits.maxEvents));
    const [beat] = heartbeats(fake.events);
    assert.ok((beat?.lag.entries ?? 0) > 0 && (beat?.lag.ms ?? 0) > 0, 'it says how far behind');
    assert.ok(fake.events.some((event) => event.kind === 'test' && event.nonce === nonce));
    assert.deepEqual(sequencesOf(fake.events), upTo((await world.manage.reader.head()).size));
  }
});

test('a test goes by the way of entries, is unconfirmed until somebody has seen it, and opens a blocked feed', async () => {
  const world = await createSiemWorld();
  await world.append(3);
  await world.add('a');
  const fake = world.fakeOf('a');
  fake.answers.push({ kind: 'auth', reason: '401' });
  await world.run('a');
  const order = { name: 'a', actor: world.actor };
  const { nonce } = await testDestination(world.manage, order);
  assert.equal((await statusOf(world)).test?.state, 'waiting');
  assert.equal((await world.run('a')).kind, 'idle');
  assert.deepEqual(fake.batches[1]?.events, [
    { kind: 'test', id: `${testOrigin}:test:a:${nonce}`, time: '2026-01-01T00:00:00.000Z', destination: 'a', nonce },
  ]);
  assert.equal((await statusOf(world)).test?.state, 'unconfirmed');
  await assert.rejects(confirmTest(world.manage, { ...order, nonce: '0'.repeat(32) }), refusal('not_found'));
  await confirmTest(world.manage, { ...order, nonce });
  assert.equal((await statusOf(world)).test?.state, 'confirmed');
  assert.equal(fake.events.filter(({ kind }) => kind === 'test').length, 1);
});

test('a replay has its own position, delivers the same events again, and what is new goes on beside it', async () => {
  for (const filter of [undefined, { exclude: ['token.cancel'] }]) {
    const world = await createSiemWorld();
    await world.append(700);
    await world.append(5, { ...testEvent, type: 'session.end', object: { kind: 'session', id: 's' } });
    await world.add('a', filter === undefined ? {} : { filter });
    await world.sealer.sealOnce();
    await world.run('a');
    const fake = world.fakeOf('a');
    const first = new Map(fake.events.flatMap((event) => (event.kind === 'entry' ? [[event.seq, event]] : [])));
    const { next } = await statusOf(world);
    fake.events.length = 0;
    fake.batches.length = 0;
    await replayDestination(world.manage, { name: 'a', actor: world.actor, from: 600, to: 10_000 });
    await world.append(2);
    assert.equal((await world.run('a')).kind, 'idle');
    const again = fake.batches.filter(({ replay }) => replay !== undefined).flatMap(({ events }) => events);
    const wanted = [...first.values()].filter(({ seq }) => seq >= 600 && seq < next);
    assert.deepEqual(again, wanted, 'event for event, dseq included');
    const size = (await world.manage.reader.head()).size;
    assert.equal((await statusOf(world)).next, size);
    assert.equal((await statusOf(world)).replay, undefined);
    assert.deepEqual(
      sequencesOf(fake.events).filter((seq) => seq >= next),
      filter === undefined ? upTo(size, next) : [next, size - 1],
    );
    await assert.rejects(
      replayDestination(world.manage, { name: 'a', actor: world.actor, from: size + 1 }),
      refusal('not_possible'),
    );
  }
});

test('a replay that fails in the middle goes on, and does not hold up what is new', async () => {
  const world = await createSiemWorld();
  await world.append(1200);
  await world.add('a');
  await world.run('a');
  const fake = world.fakeOf('a');
  fake.events.length = 0;
  fake.answers.push({ kind: 'delivered' }, { kind: 'transient', reason: '503' });
  await replayDestination(world.manage, { name: 'a', actor: world.actor, from: 0 });
  await world.run('a');
  await world.pass(10_000);
  assert.equal((await world.run('a', { owner: 'another' })).kind, 'idle');
  assert.deepEqual(
    sequencesOf(fake.events).sort((a, b) => a - b),
    upTo((await statusOf(world)).next),
  );
});

test('redacted feeds show no detail and no bytes, and stay provable', async () => {
  const world = await createSiemWorld();
  await world.append(1, {
    ...testEvent,
    type: 'node.revoke',
    object: { kind: 'node', id: 'node-1' },
    detail: { reason: 'canary' },
  });
  await world.add('a', { redaction: 'no-detail' });
  await world.add('b', { redaction: 'pseudonymous' });
  await world.add('c', { redaction: 'pseudonymous' });
  for (const name of ['a', 'b', 'c']) await world.run(name);
  const of = (name: string) => {
    const event = world
      .fakeOf(name)
      .events.find((each) => each.kind === 'entry' && each.entry.op.type === 'node.revoke');
    assert.ok(event?.kind === 'entry');
    return event;
  };
  for (const name of ['a', 'b', 'c']) {
    const text = JSON.stringify(world.fakeOf(name).events);
    assert.ok(!text.includes('canary'));
    assert.equal('raw' in of(name), false);
    assert.equal(of(name).chain, of('a').chain);
  }
  assert.equal(of('a').entry.object.id, 'node-1');
  assert.ok(!JSON.stringify(of('b')).includes('node-1'));
  assert.match(of('b').entry.object.id, /^p-[0-9a-f]{32}$/);
  assert.notEqual(of('b').entry.object.id, of('c').entry.object.id, 'no two feeds can be joined');
});

test('paused: nothing is sent, nothing is lost', async () => {
  const world = await createSiemWorld();
  await world.append(3);
  await world.add('a');
  const order = { name: 'a', actor: world.actor };
  await pauseDestination(world.manage, order);
  assert.equal((await world.run('a')).kind, 'asleep');
  assert.equal((await statusOf(world)).state, 'paused');
  await assert.rejects(testDestination(world.manage, order), refusal('not_possible'));
  assert.equal(world.fakeOf('a').batches.length, 0);
  await resumeDestination(world.manage, order);
  assert.equal((await world.run('a')).kind, 'idle');
  assert.equal((await statusOf(world)).lag.entries, 0);
});

test('a change during a send keeps the position and makes the batch anew; a removal ends it', async () => {
  const world = await createSiemWorld();
  await world.append(3);
  await world.add('a');
  const fake = world.fakeOf('a');
  const config = destinationConfig.parse({
    kind: 'webhook',
    name: 'a',
    url: 'https://other.example',
    secret: 'secret:siem/hook',
  });
  fake.answers.push(async () => {
    await updateDestination(world.manage, { name: 'a', actor: world.actor, revision: 1, config });
    return { kind: 'transient', reason: 'reset' };
  });
  assert.equal((await world.run('a')).kind, 'idle', 'a new configuration is tried at once');
  assert.notEqual(fake.batches[1]?.id, fake.batches[0]?.id);
  await world.append(1);
  fake.answers.push(async () => {
    await removeDestination(world.manage, { name: 'a', actor: world.actor, revision: 2 });
    await world.add('a', {}, 'newest');
    return { kind: 'delivered' };
  });
  assert.equal((await world.run('a')).kind, 'gone');
  const status = await statusOf(world);
  assert.equal(status.delivered, 0, 'the one of the same name was not moved by the old one');
});

test('operators: names are taken once, revisions are checked, there is a limit, and a start is a place', async () => {
  const world = await createSiemWorld();
  await world.append(4);
  await world.add('a');
  await assert.rejects(world.add('a'), refusal('exists'));
  await assert.rejects(world.add('b', {}, 10_000), refusal('not_possible'));
  await world.add('b', {}, 3);
  await world.run('b');
  assert.equal(sequencesOf(world.fakeOf('b').events)[0], 3);
  const record = await readRecord(world.store, 'a');
  assert.ok(record);
  const order = { name: 'a', actor: world.actor };
  await assert.rejects(removeDestination(world.manage, { ...order, revision: 2 }), refusal('conflict'));
  await assert.rejects(
    updateDestination(world.manage, { ...order, revision: 2, config: record.config }),
    refusal('conflict'),
  );
  const renamed = { ...record.config, name: 'z' };
  assert.throws(
    () => updateDestination(world.manage, { ...order, revision: 1, config: renamed }),
    refusal('not_possible'),
  );
  await assert.rejects(pauseDestination(world.manage, { ...order, name: 'nobody' }), refusal('not_found'));
  for (let i = 0; i < 14; i++) await world.add(`c${i}`);
  await assert.rejects(world.add('one-more'), refusal('too_many'));
  assert.equal((await readStatuses(world.manage)).length, 16);
  await removeDestination(world.manage, { ...order, revision: 1 });
  assert.equal(await readStatus(world.manage, 'a'), undefined);
  await addDestination(world.manage, { config: record.config, start: 'newest', actor: world.actor });
});

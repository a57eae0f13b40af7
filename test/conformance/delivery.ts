/**
 * The faults of a receiver and of the way to it, for every kind of destination: a real log, a real worker and a real
 * receiver on loopback, with a clock that is given. Whatever happens, everything arrives once it heals: each entry once,
 * in order, byte for byte. A new kind is in all of this by its line in `test/fakes/siem-kinds.ts`.
 */
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { before, describe, type TestContext, test } from 'node:test';
import { listEntries } from '../../lib/audit/list.ts';
import type { AuditEvent } from '../../lib/audit/port.ts';
import { readCursor } from '../../lib/siem/cursor.ts';
import type { Destination } from '../../lib/siem/destination.ts';
import { createDispatcher } from '../../lib/siem/dispatcher.ts';
import type { Batch } from '../../lib/siem/event.ts';
import type { RunDeps, RunOutcome } from '../../lib/siem/run-port.ts';
import { readStatus } from '../../lib/siem/status.ts';
import { testEvent, testOrigin } from '../fakes/audit-log.ts';
import { type LinkFault, startFaultyLink } from '../fakes/faulty-link.ts';
import { type Authority, createLoopbackAuthority, createLoopbackTls } from '../fakes/loopback-tls.ts';
import { arrival, createSiemWorld, upTo } from '../fakes/siem.ts';
import type { RunningKind, RunningReceiver } from '../fakes/siem-kinds.ts';

type Rig = Awaited<ReturnType<typeof rigOf>>;
/** What it is in after an hour of it. */
type State = 'retrying' | 'blocked_auth' | 'blocked_config';

const hourMs = 3_600_000;

const linkFaults: readonly LinkFault[] = [
  'refuses',
  'accepts',
  'resets',
  'babbles',
  'tears',
  'loses answers',
  'withholds answers',
];

type Answering = (incoming: IncomingMessage, outgoing: ServerResponse, rig: Rig) => void;
const says =
  (status: number, headers: Record<string, string> = {}): Answering =>
  (incoming, outgoing) => {
    incoming.resume().once('end', () => outgoing.writeHead(status, headers).end());
  };
const hangsAfter =
  (start: string): Answering =>
  (incoming, outgoing, rig) => {
    incoming.resume().once('end', () => outgoing.socket?.write(start, () => rig.link.onStall()));
  };
const httpFaults: readonly (readonly [name: string, answer: Answering, state: State])[] = [
  ['500', says(500), 'retrying'],
  ['503', says(503), 'retrying'],
  ['429', says(429, { 'retry-after': '5' }), 'retrying'],
  ['401', says(401), 'blocked_auth'],
  ['403', says(403), 'blocked_auth'],
  ['404', says(404), 'blocked_config'],
  ['a redirect', says(307, { location: 'https://127.0.0.1:1/' }), 'blocked_config'],
  ['a hang within the headers', hangsAfter('HTTP/1.1 200 OK\r\ncontent-'), 'retrying'],
  ['a hang after the headers', hangsAfter('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{'), 'retrying'],
];

const certificates: readonly (readonly [
  name: string,
  make: (own: Authority) => Promise<{ key: string; cert: string }>,
])[] = [
  ['another name', (own) => own.issue({ address: '127.0.0.9' })],
  ['a time that is over', (own) => own.issue({ notAfter: Date.now() - 60_000 })],
  ['another authority', () => createLoopbackTls()],
];

export function deliveryConformance(name: string, kind: RunningKind, isHttp: boolean): void {
  describe(`${name}: delivery through`, () => {
    let authority: Authority;
    before(async () => {
      authority = await createLoopbackAuthority();
    });
    const rig = (t: TestContext) => rigOf(t, kind, authority);

    for (const fault of linkFaults) {
      test(`R32 an hour of a way that ${fault}`, async (t) => {
        const world = await rig(t);
        await world.link.fail(fault);
        await anHourOf(world, 'retrying');
        if (fault !== 'refuses') assert.ok(world.link.failures() > 5, `${world.link.failures()} failures`);
        await world.link.fail(undefined);
        await settle(world);
        await assertWhole(world);
      });
    }

    for (const [shown, make] of certificates) {
      test(`R32 an hour of a certificate of ${shown}: nothing is sent`, async (t) => {
        const world = await rig(t);
        const taken = world.receiver.taken().length;
        world.receiver.certify(await make(authority));
        await anHourOf(world, 'blocked_config');
        assert.equal(world.receiver.taken().length, taken);
        world.receiver.certify(authority);
        await settle(world);
        await assertWhole(world);
      });
    }

    if (isHttp) {
      for (const [answer, act, state] of httpFaults) {
        test(`R32 an hour of ${answer}`, async (t) => {
          const world = await rig(t);
          const { server } = httpOf(world);
          let met = 0;
          server.intercept = (incoming, outgoing) => {
            met += 1;
            act(incoming, outgoing, world);
            return true;
          };
          await anHourOf(world, state);
          assert.ok(met > 2, `${met} requests`);
          server.intercept = () => false;
          await settle(world);
          await assertWhole(world);
        });
      }

      test('R32 429: it is not asked again before it wants to be', async (t) => {
        const world = await rig(t);
        const { server } = httpOf(world);
        server.intercept = (incoming, outgoing) => {
          says(429, { 'retry-after': '700' })(incoming, outgoing, world);
          return true;
        };
        assert.deepEqual(await world.run(), { kind: 'backing_off', until: world.clock.time + 700_000 });
        server.intercept = () => false;
        await settle(world);
        await assertWhole(world);
      });

      test('R32 a receiver that takes few events at once, and one event never: a stub is in its place', async (t) => {
        for (const why of ['oversize', 'refused'] as const) {
          const world = await rig(t);
          const { receiver } = httpOf(world);
          const bad = world.receiver.taken().length + 7;
          receiver.refuse.set(`${testOrigin}:${bad}`, why);
          if (why === 'oversize') receiver.most = 3;
          await settle(world);
          await assertWhole(world, [bad]);
        }
      });
    }

    test('R32 an entry as large as entries can be arrives, or a stub in its place', async (t) => {
      const world = await rig(t);
      const { size } = await world.manage.reader.head();
      await world.append(1, largest);
      await world.append(3);
      await settle(world);
      const status = await readStatus(world.manage, 'a');
      await assertWhole(world, status?.quarantined === 0 ? [] : [size]);
    });

    test('R32 the process is killed before, within and after each send and write', async (t) => {
      for (const when of ['before', 'within', 'after'] as const) await killAtEachStep(() => rig(t), when);
    });

    test('R32 two workers at once: one that lost its lease moves nothing', async (t) => {
      const world = await rig(t);
      const { promise: began, resolve: begin } = Promise.withResolvers<void>();
      await world.destination.close();
      await world.link.fail('withholds answers');
      world.link.onStall = begin;
      const slow = world.run({ owner: 'one' });
      await began;
      assert.equal((await world.run({ owner: 'two' })).kind, 'held');
      await world.pass(60_000);
      const direct = world.open(world.receiver.port);
      await settle(world, { owner: 'two', destinationOf: () => direct });
      const cursor = await readCursor(world.store, 'a');
      await world.link.fail(undefined);
      assert.equal((await slow).kind, 'held');
      assert.deepEqual(await readCursor(world.store, 'a'), cursor);
      await assertWhole(world);
    });

    test('incident 38: a receiver that never says a word holds up neither the log nor the other destination', async (t) => {
      const world = await rig(t);
      const { promise: stalled, resolve: stall } = Promise.withResolvers<void>();
      await world.destination.close();
      await world.link.fail('accepts');
      world.link.onStall = stall;
      await world.add('works');
      const stop = new AbortController();
      t.after(() => stop.abort());
      const logger = { warn: () => undefined, error: () => undefined };
      const { store, writer: audit, secrets, now } = world;
      const own: Destination = {
        ...world.destination,
        send: (batch, _, signal) => world.destination.send(batch, kind.credentials, signal),
      };
      const open = ({ name: opened }: { name: string }) => (opened === 'a' ? own : world.fakeOf(opened));
      const deps = { store, audit, origin: testOrigin, secrets, now, owner: 'one', logger, open };
      const running = createDispatcher(deps).run(stop.signal);
      for (let round = 0; round < 10; round += 1) {
        await world.append(5);
        const { size } = await world.manage.reader.head();
        await arrival(world.fakeOf('works'), size);
      }
      await stalled;
      assert.equal(world.link.failures(), 1, 'it still waits for its first answer');
      assert.ok(((await readStatus(world.manage, 'a'))?.lag.entries ?? 0) >= 50, 'its backlog grows, and shows');
      stop.abort();
      await running;
      await world.link.fail(undefined);
      await settle(world);
      await assertWhole(world);
    });
  });
}

/** A log of which some is delivered, with more that is not, and a receiver behind a link. */
async function rigOf(t: TestContext, kind: RunningKind, tls: Authority) {
  const world = await createSiemWorld();
  const receiver = await kind.start(tls);
  t.after(receiver.close);
  const link = await startFaultyLink(receiver.port);
  t.after(link.close);
  const network = { allow: ['127.0.0.0/8'], ca: tls.ca, pins: [] };
  const open = (port: number): Destination => {
    const destination = kind.open(`https://127.0.0.1:${port}`, network);
    t.after(() => destination.close());
    return destination;
  };
  const destination = open(link.port);
  let overdue: () => void = () => undefined;
  link.onStall = () => overdue();
  const deps: Partial<RunDeps> = {
    destinationOf: () => destination,
    credentials: { fetch: async () => ({ ok: true, credentials: kind.credentials }), forget: () => undefined },
    // The deadline of a send comes when nothing more can happen.
    timer: (callback) => {
      overdue = callback;
      return () => undefined;
    },
  };
  const rig = {
    ...world,
    ...{ receiver, link, destination, open },
    run: (given: Partial<RunDeps> = {}): Promise<RunOutcome> => world.run('a', { ...deps, ...given }),
  };
  await world.append(5);
  await world.add('a');
  await settle(rig);
  await world.append(20);
  return rig;
}

function httpOf({ receiver: { http } }: { readonly receiver: RunningReceiver }) {
  assert.ok(http);
  return http;
}

/** The log grows all the while. */
async function anHourOf(rig: Rig, state: State): Promise<void> {
  const heals = rig.clock.time + hourMs;
  let attempts = 0;
  while (rig.clock.time < heals) {
    const outcome = await rig.run();
    assert.equal(outcome.kind, 'backing_off');
    assert.ok('until' in outcome && outcome.until > rig.clock.time);
    attempts += 1;
    await rig.append(1);
    await rig.pass(outcome.until - rig.clock.time);
  }
  assert.ok(attempts < 40, `${attempts} attempts in an hour`);
  const status = await readStatus(rig.manage, 'a');
  assert.equal(status?.state, state, status?.lastError?.reason);
}

async function settle(rig: Pick<Rig, 'run' | 'pass' | 'clock'>, given: Partial<RunDeps> = {}): Promise<void> {
  for (let i = 0; i < 200; i += 1) {
    const outcome = await rig.run(given);
    if (outcome.kind === 'idle') return;
    assert.ok('until' in outcome, outcome.kind);
    await rig.pass(Math.max(0, outcome.until - rig.clock.time));
  }
  assert.fail('it did not come to an end');
}

/** Each entry is there once, in order, as it was written; of those that were not taken, a stub. */
async function assertWhole(rig: Rig, stubs: readonly number[] = []): Promise<void> {
  const { size } = await rig.manage.reader.head();
  const { entries } = await listEntries({ store: rig.store, origin: testOrigin }, { order: 'oldest', limit: 10_000 });
  const places = rig.receiver.taken().flatMap(({ id, raw }) => {
    const seq = /^holdfast\.local\/test:(\d+)$/.exec(id)?.[1];
    return seq === undefined ? [] : [{ seq: Number(seq), raw }];
  });
  // A receiver that answers for each event has the others before the stub comes.
  const inOrder = stubs.length === 0 ? places : places.toSorted((a, b) => a.seq - b.seq);
  assert.deepEqual(
    inOrder.map(({ seq }) => seq),
    upTo(size),
  );
  for (const { seq, raw } of places) {
    if (stubs.includes(seq)) assert.equal(raw, undefined, `${seq}`);
    else assert.deepEqual(Buffer.from(raw ?? ''), Buffer.from(entries[seq]?.bytes ?? ''), `${seq}`);
  }
  const status = await readStatus(rig.manage, 'a');
  const { state, next, delivered, quarantined } = status ?? {};
  assert.deepEqual(
    { state, next, delivered, quarantined },
    { state: 'active', next: size, delivered: size - stubs.length, quarantined: stubs.length },
  );
}

async function killAtEachStep(make: () => Promise<Rig>, when: 'before' | 'within' | 'after'): Promise<void> {
  class Killed extends Error {}
  for (let step = 0; ; step += 1) {
    assert.ok(step < 50);
    const rig = await make();
    let count = 0;
    let isDead = false;
    const at = async <T>(act: () => Promise<T>, tear: () => Promise<void> = async () => undefined): Promise<T> => {
      const isNow = !isDead && count++ === step;
      if (isDead || (isNow && when === 'before')) {
        isDead = true;
        throw new Killed();
      }
      if (isNow && when === 'within') await tear();
      const result = await act();
      isDead ||= isNow;
      if (isDead) throw new Killed();
      return result;
    };
    const store = { ...rig.store, transact: (writes: never) => at(() => rig.store.transact(writes)) };
    const { destination } = rig;
    const killable: Destination = {
      limits: { ...destination.limits, maxEvents: 8 },
      send: (batch: Batch, ...given) =>
        at(
          () => destination.send(batch, ...given),
          () => rig.link.fail('tears'),
        ),
      ...(destination.confirm && { confirm: (...given) => at(() => destination.confirm!(...given)) }),
      close: () => destination.close(),
    };
    const isOver = await settle(rig, { store: store as never, destinationOf: () => killable }).then(
      () => true,
      (error) => {
        assert.ok(error instanceof Killed, String(error));
        return false;
      },
    );
    await rig.link.fail(undefined);
    await settle(rig, { owner: 'two' });
    await assertWhole(rig);
    if (isOver) return assert.ok(step > 5, `${step} steps`);
  }
}

/** Close to the 8 KiB that an entry may have, and it does not compress. */
const largest: AuditEvent = {
  ...testEvent,
  type: 'node.enroll',
  object: { kind: 'node', id: '0b8f4a56-6a0e-4b43-8f5e-0d6f4d7f2a11' },
  detail: {
    token: 'a1',
    hostname: 'n1.example',
    fingerprint: `SHA256:${'A'.repeat(43)}`,
    platform: 'linux-x64',
    version: '1.0.0',
    labels: Object.fromEntries(Array.from({ length: 90 }, (_, i) => [`label-${i}`, labelValue(i)])),
  },
};

function labelValue(seed: number): string {
  let state = seed + 1;
  return Array.from({ length: 56 }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return (state % 36).toString(36);
  }).join('');
}

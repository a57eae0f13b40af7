/** Every call of the store fails, each in every way, while operations are appended and sealed: nothing comes apart. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestLog, testEvent, testOrigin } from '../../test/fakes/audit-log.ts';
import { everyFault, type FaultPlan, failAt, faultyStore } from '../../test/fakes/faulty-store.ts';
import { createMemoryStore } from '../store/memory.ts';
import type { Store } from '../store/port.ts';
import { listEntries } from './list.ts';
import { AuditError } from './port.ts';
import { createSealer } from './sealer.ts';
import { isSound } from './verdicts.ts';
import { verifyLog } from './verify.ts';
import { verifyStore } from './verify-store.ts';
import { openAuditWriter } from './writer.ts';

type Log = Awaited<ReturnType<typeof createTestLog>>;

const put = (sk: string) => [{ kind: 'put', item: { pk: 'things', sk }, when: { kind: 'absent' } }] as const;
const eventFor = (id: string) => ({ ...testEvent, object: { kind: 'token', id } });

/** Appends operations that each make one thing, some together, and seals in between. Returns what each was told. */
async function work({
  writer,
  sealer,
}: Pick<Log, 'writer' | 'sealer'>): Promise<Map<string, 'ok' | 'refused' | 'unavailable'>> {
  const told = new Map<string, 'ok' | 'refused' | 'unavailable'>();
  const append = async (id: string) => {
    try {
      const { ok } = await writer.append(eventFor(id), put(id.replace(/-again$/, '')));
      told.set(id, ok ? 'ok' : 'refused');
    } catch (error) {
      assert.ok(error instanceof AuditError && error.code === 'unavailable', String(error));
      told.set(id, 'unavailable');
    }
  };
  const seal = () => sealer.sealOnce().catch(() => undefined);
  await seal();
  await append('a');
  await Promise.all(['b', 'c', 'd'].map(append));
  await seal();
  await Promise.all(['e', 'a-again', 'f'].map(append));
  await seal();
  await append('g');
  return told;
}

/** Opens the same store anew, as after a crash, and checks: an operation stands exactly when its one entry does. */
async function checkAfter(store: Store, log: Log, told: ReadonlyMap<string, string>, what: string): Promise<void> {
  const { signer, publication, now, verifiers } = log;
  const deps = { store, origin: testOrigin, now, delay: async () => undefined };
  const writer = await openAuditWriter({ ...deps, writerId: 'w' });
  assert.ok((await writer.append(eventFor('after'), put('after'))).ok, what);
  const sealer = createSealer({ ...deps, signer, publication });
  await sealer.sealOnce();
  await sealer.sealOnce();
  const published = await verifyLog({ source: publication, verifiers, now });
  assert.ok(isSound(published) && published.completeness.verdict === 'pass', `${what}: ${JSON.stringify(published)}`);
  const stored = await verifyStore({ store, published: publication, verifiers, now });
  assert.ok(isSound(stored), `${what}: ${JSON.stringify(stored)}`);
  const { entries, size } = await listEntries(
    { store, origin: testOrigin },
    { order: 'oldest', limit: 1000, type: testEvent.type },
  );
  assert.equal(published.size, size, what);
  const recorded = entries.map(({ entry }) => entry.object.id).sort();
  const things = (await store.query({ pk: 'things' })).items.map(({ sk }) => sk);
  for (const id of told.keys()) {
    const count = recorded.filter((each) => each === id).length;
    if (told.get(id) === 'ok') assert.equal(count, 1, `${what}: ${id} was done`);
    if (told.get(id) === 'refused') assert.equal(count, 0, `${what}: ${id} was refused`);
  }
  assert.deepEqual(recorded, things.sort(), `${what}: operations and entries`);
}

async function run(plan: FaultPlan, what: string): Promise<number> {
  const inner = createMemoryStore();
  const store = faultyStore(inner, plan);
  const log = await createTestLog({ store });
  const told = await work(log);
  const { calls } = store;
  await checkAfter(inner, log, told, what);
  return calls;
}

test('R31 no operation without its entry, whichever store call fails and however', async () => {
  // The writer reads the store once when it opens; without that there is no writer to test.
  const calls = await run(() => undefined, 'no fault');
  assert.ok(calls >= 40, `${calls} calls`);
  for (const fault of everyFault) {
    for (let index = 1; index < calls; index++) await run(failAt(index, fault), `${fault} at call ${index}`);
  }
});

test('R31 no operation without its entry when the store fails from some call on and never comes back', async () => {
  const calls = await run(() => undefined, 'no fault');
  for (const fault of everyFault) {
    for (let from = 1; from < calls; from += 3) {
      await run(({ index }) => (index >= from ? fault : undefined), `${fault} from call ${from}`);
    }
  }
});

test('R31 no operation without its entry when faults come thick', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    let state = seed;
    const next = () => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return state / 2_147_483_648;
    };
    await run(
      ({ index }) => (index > 0 && next() < 0.3 ? everyFault[Math.floor(next() * 4)] : undefined),
      `seed ${seed}`,
    );
  }
});

test('a signer or a publication that fails loses nothing, and the next seal publishes', async () => {
  const log = await createTestLog();
  const { signer, store, publication, now } = log;
  for (const broken of ['sign', 'write', 'publishCheckpoint', 'dropPartials'] as const) {
    let failing = true;
    const fail = async () => {
      throw new Error('planned');
    };
    const sealer = createSealer({
      ...{ store, origin: testOrigin, now },
      signer: { ...signer, sign: (message) => (failing && broken === 'sign' ? fail() : signer.sign(message)) },
      publication: new Proxy(publication, {
        get: (target, name) => (failing && name === broken ? fail : Reflect.get(target, name)),
      }),
    });
    await Promise.all(Array.from({ length: 300 }, () => log.writer.append(testEvent)));
    await assert.rejects(sealer.sealOnce(), /planned/);
    failing = false;
    await sealer.sealOnce();
    const verdicts = await verifyLog({ source: publication, verifiers: log.verifiers, now });
    assert.ok(isSound(verdicts), JSON.stringify(verdicts));
    assert.equal(verdicts.size, (await listEntries({ store, origin: testOrigin }, { order: 'newest', limit: 1 })).size);
  }
});

test('a store that was set back behind what was signed is never signed again', async () => {
  const log = await createTestLog();
  await log.writer.append(testEvent);
  await log.sealer.sealOnce();
  const { signer, publication } = log;
  const older = await createTestLog({ signer, sealer: { publication } });
  await assert.rejects(older.sealer.sealOnce(), { name: 'AuditError', code: 'corrupt' });
  // It grows past the signed size with another history.
  await Promise.all(Array.from({ length: 20 }, () => older.writer.append(testEvent)));
  await assert.rejects(older.sealer.sealOnce(), { name: 'AuditError', code: 'corrupt' });
  const verdicts = await verifyLog({ source: publication, verifiers: log.verifiers, now: log.now });
  assert.equal(verdicts.size, 3);
});

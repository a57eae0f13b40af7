/** Classes I and S: what is done outside the store is intended first, and what must be signed is waited for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestLog, testEvent, testOrigin } from '../../test/fakes/audit-log.ts';
import { parseEntry } from './entry.ts';
import { abandonedAfterMs } from './intents.ts';
import { listEntries } from './list.ts';
import type { Intent, IntentEvent } from './port.ts';
import { isSound } from './verdicts.ts';
import { verifyLog } from './verify.ts';
import { openAuditWriter } from './writer.ts';

const { outcome: _none, ...event } = testEvent;
const renewal: IntentEvent = {
  type: 'node.renew',
  actor: { id: 'system', kind: 'system', auth: 'none' },
  object: { kind: 'node', id: 'n1' },
  detail: { serial: '01', expires: '2026-01-01T00:00:00.000Z' },
};
const put = (sk: string) => [{ kind: 'put', item: { pk: 'things', sk }, when: { kind: 'absent' } }] as const;

type Log = Awaited<ReturnType<typeof createTestLog>>;

const opened = async (outcome: ReturnType<Log['writer']['intend']>): Promise<Intent> => {
  const intent = await outcome;
  assert.ok(intent.ok);
  return intent;
};

async function entriesOf({ store, sealer }: Log) {
  await sealer.sealOnce();
  const { entries } = await listEntries({ store, origin: testOrigin }, { order: 'oldest', limit: 100 });
  return entries.map(({ bytes }) => parseEntry(bytes)).filter(({ lane }) => lane !== 'log');
}

const verdicts = ({ publication, verifiers, now }: Log) => verifyLog({ source: publication, verifiers, now });

test('an intent is durable before the act, and its outcome names the same operation', async () => {
  const log = await createTestLog();
  const intent = await opened(log.writer.intend(renewal, put('before')));
  const [first] = await entriesOf(log);
  assert.deepEqual([first?.op.phase, first?.outcome], ['intent', 'pending']);
  const settled = await intent.settle('success', put('after'), { serial: '02', expires: '2026-01-01T00:00:00.000Z' });
  assert.ok(settled.ok);
  const entries = await entriesOf(log);
  assert.deepEqual(
    entries.map(({ op, outcome, detail }) => [op.phase, outcome, detail['serial']]),
    [
      ['intent', 'pending', '01'],
      ['outcome', 'success', '02'],
    ],
  );
  assert.equal(entries[0]?.op.id, entries[1]?.op.id);
  assert.deepEqual(
    (await log.store.query({ pk: 'things' })).items.map(({ sk }) => sk),
    ['after', 'before'],
  );
  assert.deepEqual((await log.store.query({ pk: 'intents' })).items, []);
  assert.ok(isSound(await verdicts(log)));
});

test('an intent whose condition does not hold leaves no entry, and an outcome that does not hold leaves it open', async () => {
  const log = await createTestLog();
  await log.writer.append(testEvent, put('taken'));
  assert.deepEqual(await log.writer.intend(event, put('taken')), { ok: false, failed: [0] });
  const intent = await opened(log.writer.intend(event));
  assert.deepEqual(await intent.settle('success', put('taken')), { ok: false, failed: [0] });
  assert.ok((await intent.settle('failure')).ok);
  await assert.rejects(intent.settle('failure'), { code: 'invalid' });
  assert.deepEqual(
    (await entriesOf(log)).map(({ op }) => op.phase),
    ['done', 'intent', 'outcome'],
  );
});

test('R31 an intent that nobody settles is found by the verifier', async () => {
  const log = await createTestLog();
  await opened(log.writer.intend(event));
  await log.sealer.sealOnce();
  assert.ok(isSound(await verdicts(log)), 'an act may be under way');
  log.clock.time += 2 * abandonedAfterMs;
  await log.writer.append(testEvent);
  await log.sealer.sealOnce();
  const { completeness } = await verdicts(log);
  assert.equal(completeness.verdict, 'fail');
  assert.equal(completeness.index, 1);
  assert.match(completeness.reason, /token\.cancel was intended/);
});

test('what a dead process left open is stated as unknown, once, and its own late outcome is refused', async () => {
  const log = await createTestLog();
  const late = await opened(log.writer.intend(event));
  const { store, now } = log;
  const next = await openAuditWriter({ store, origin: testOrigin, writerId: 'x', now });
  await (await opened(next.intend(event))).settle('success');
  log.clock.time += abandonedAfterMs;
  await log.sealer.sealOnce();
  const swept = await opened(next.intend(event));
  await assert.rejects(late.settle('success'), { code: 'invalid' });
  await swept.settle('success');
  const entries = await entriesOf(log);
  assert.deepEqual(
    entries.filter(({ outcome }) => outcome === 'unknown').map(({ op }) => op.id),
    [entries[0]?.op.id],
  );
  assert.ok(isSound(await verdicts(log)));
});

test('R31 class S returns only once a signed checkpoint covers the entry', async () => {
  const log = await createTestLog();
  const { store, now } = log;
  let polls = 0;
  const delay = async () => {
    polls += 1;
    if (polls === 3) await log.sealer.sealOnce();
  };
  const writer = await openAuditWriter({ store, origin: testOrigin, writerId: 's', now, delay });
  const outcome = await writer.appendSealed(testEvent, put('sealed'));
  assert.ok(outcome.ok);
  assert.equal(polls, 3);
  assert.equal((await verdicts(log)).size, 3);
});

test('class S without a sealer ends as `unsealed`, and the operation stands', async () => {
  const log = await createTestLog();
  await assert.rejects(log.writer.appendSealed(testEvent, put('x')), { name: 'AuditError', code: 'unsealed' });
  assert.equal((await log.store.query({ pk: 'things' })).items.length, 1);
  assert.deepEqual(await log.writer.appendSealed(testEvent, put('x')), { ok: false, failed: [0] });
});

test('R31 classes I and S are refused like class A while sealing lags; an outcome is recorded all the same', async () => {
  const log = await createTestLog();
  const intent = await opened(log.writer.intend(event));
  log.clock.time += 31_000;
  await assert.rejects(log.writer.append(testEvent), { code: 'unavailable' });
  await assert.rejects(log.writer.intend(event), { code: 'unavailable' });
  await assert.rejects(log.writer.appendSealed(testEvent), { code: 'unavailable' });
  assert.ok((await intent.settle('success')).ok);
});

test('a denial waits for its entry no longer than a second', async () => {
  const timers: [() => void, number][] = [];
  const timer = (callback: () => void, ms: number) => {
    timers.push([callback, ms]);
    return () => undefined;
  };
  const log = await createTestLog();
  const hanging = { ...log.store, transact: () => new Promise<never>(() => undefined) };
  const { now } = log;
  const writer = await openAuditWriter({ store: hanging, origin: testOrigin, writerId: 'd', now, timer });
  const denial = writer.deny({ ...testEvent, outcome: 'denied' });
  const [first] = timers;
  assert.equal(first?.[1], 1_000);
  first?.[0]();
  await denial;
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestLog, testEvent, testOrigin } from '../../test/fakes/audit-log.ts';
import { faultyStore } from '../../test/fakes/faulty-store.ts';
import { createMemoryStore } from '../store/memory.ts';
import { type Store, StoreError, type Write } from '../store/port.ts';
import { parseEntry } from './entry.ts';
import { readSlots, slotPut } from './items.ts';
import { maxOperationWrites } from './operation.ts';
import type { AuditEvent } from './port.ts';
import { openAuditWriter } from './writer.ts';

const put = (sk: string): Write => ({ kind: 'put', item: { pk: 'things', sk }, when: { kind: 'absent' } });
const delay = async () => undefined;
const denial: AuditEvent = {
  type: 'node.request.refuse',
  actor: { id: 'unauthenticated', kind: 'unauthenticated', auth: 'none' },
  object: { kind: 'node', id: 'unknown' },
  outcome: 'denied',
  detail: { reason: 'unknown_node' },
};

async function entriesOf(store: Store, lane = 'w-0') {
  return (await readSlots(store, lane, 0, 1000)).map(({ entry }) => parseEntry(entry));
}

/** Counts transactions. */
function counting(inner: Store) {
  const sizes: number[] = [];
  const store: Store = {
    ...inner,
    transact(writes) {
      sizes.push(writes.length);
      return inner.transact(writes);
    },
  };
  return { store, sizes };
}

test('operations that wait together share transactions, each of at most 100 writes', async () => {
  const { store, sizes } = counting(createMemoryStore());
  const { writer } = await createTestLog({ store });
  const outcomes = await Promise.all(Array.from({ length: 150 }, (_, i) => writer.append(testEvent, [put(`${i}`)])));
  assert.deepEqual(
    outcomes.map((outcome) => outcome.ok && outcome.entry.n),
    Array.from({ length: 150 }, (_, i) => i),
  );
  assert.ok(sizes.length <= 6 && Math.max(...sizes) <= 100, String(sizes));
});

test('operations on one item are not combined, and keep their order', async () => {
  const { writer, store } = await createTestLog();
  const add = (by: number): Write => ({ kind: 'update', key: { pk: 'count', sk: '1' }, add: { n: by } });
  const outcomes = await Promise.all([1, 2, 3].map((by) => writer.append(testEvent, [add(by)])));
  assert.ok(outcomes.every(({ ok }) => ok));
  assert.equal((await store.get({ pk: 'count', sk: '1' }))?.['n'], 6);
});

test('a failed condition is told to its own operation, with its own indexes; the others are done', async () => {
  const { writer, store } = await createTestLog();
  await writer.append(testEvent, [put('taken')]);
  const [before, failed, after] = await Promise.all([
    writer.append(testEvent, [put('x'), put('y')]),
    writer.append(testEvent, [put('free'), put('taken')]),
    writer.append(testEvent, [put('z')]),
  ]);
  assert.deepEqual(failed, { ok: false, failed: [1] });
  assert.ok(before?.ok && after?.ok);
  assert.equal(await store.get({ pk: 'things', sk: 'free' }), undefined);
  assert.equal((await entriesOf(store)).length, 3);
});

test('what an append may not do is refused before anything is written', async () => {
  const { writer, store } = await createTestLog();
  const refused = (event: AuditEvent, writes: readonly Write[]) =>
    assert.rejects(writer.append(event, writes), { name: 'AuditError', code: 'invalid' });
  await refused({ ...testEvent, detail: { x: 1 } }, []);
  await refused(
    testEvent,
    Array.from({ length: maxOperationWrites + 1 }, (_, i) => put(`${i}`)),
  );
  await refused(testEvent, [slotPut('w-0', 0, [new Uint8Array()])]);
  await refused(testEvent, [{ kind: 'delete', key: { pk: 'log', sk: 'head' } }]);
  await refused(testEvent, [{ kind: 'delete', key: { pk: 'block#0', sk: '0' } }]);
  await refused(testEvent, [{ kind: 'delete', key: { pk: 'lanes', sk: 'w-0' } }]);
  await refused({ ...testEvent, type: 'log.checkpoint', detail: { lanes: {} } }, []);
  await refused(
    {
      ...testEvent,
      type: 'policy.publish',
      detail: { digest: '', previous: '', signers: [], crates: Array.from({ length: 900 }, () => 'x'.repeat(60)) },
    },
    [],
  );
  assert.deepEqual(await entriesOf(store), []);
});

test('an operation that the store refuses as invalid does not take others with it', async () => {
  const { writer } = await createTestLog();
  const huge: Write = { kind: 'put', item: { pk: 'things', sk: 'huge', data: new Uint8Array(500_000) } };
  const [good, bad, other] = await Promise.allSettled([
    writer.append(testEvent, [put('1')]),
    writer.append(testEvent, [huge]),
    writer.append(testEvent, [put('2')]),
  ]);
  assert.equal(bad?.status === 'rejected' && bad.reason.code, 'invalid');
  assert.ok(good?.status === 'fulfilled' && good.value.ok && other?.status === 'fulfilled' && other.value.ok);
});

test('a store that stays away makes the append unavailable, with nothing written', async () => {
  const inner = createMemoryStore();
  let down = false;
  const { writer } = await createTestLog({ store: faultyStore(inner, () => (down ? 'unavailable' : undefined)) });
  down = true;
  await assert.rejects(writer.append(testEvent, [put('1')]), { name: 'AuditError', code: 'unavailable' });
  assert.equal(await inner.get({ pk: 'things', sk: '1' }), undefined);
  down = false;
  assert.ok((await writer.append(testEvent, [put('1')])).ok);
});

test('a first try that lands late does not apply an operation that was refused', async () => {
  const inner = createMemoryStore();
  let late: readonly Write[] | undefined;
  let armed = false;
  const store: Store = {
    ...inner,
    async transact(writes) {
      if (armed) {
        armed = false;
        late = writes;
        await inner.transact([put('taken')]);
        throw new StoreError('unknown_outcome', 'on its way');
      }
      return inner.transact(writes);
    },
  };
  const { writer } = await createTestLog({ store });
  await writer.append(testEvent);
  armed = true;
  const outcome = await writer.append(testEvent, [put('taken')]);
  assert.deepEqual(outcome, { ok: false, failed: [0] });
  await inner.transact([{ kind: 'delete', key: { pk: 'things', sk: 'taken' } }]);
  assert.equal((await inner.transact(late as readonly Write[])).ok, false);
  const types = (await entriesOf(inner)).map(({ op }) => op.type);
  assert.deepEqual(types, ['token.cancel', 'log.gap']);
});

test('a writer goes on in its lane after a restart, and moves when another one holds it', async () => {
  const { writer, store, now } = await createTestLog();
  await writer.append(testEvent);
  const second = await openAuditWriter({ store, origin: testOrigin, writerId: 'w', now, delay });
  const continued = await second.append(testEvent);
  assert.deepEqual(continued, { ok: true, entry: { lane: 'w-0', n: 1 } });
  assert.deepEqual(await writer.append(testEvent), { ok: true, entry: { lane: 'w-1', n: 0 } });
  assert.deepEqual(await second.append(testEvent), { ok: true, entry: { lane: 'w-0', n: 2 } });
});

test('R31 operations are refused when no checkpoint has covered an entry for 30 s, and done again once one does', async () => {
  const { writer, sealer, clock, store } = await createTestLog();
  await writer.append(testEvent);
  clock.time += 30_000;
  assert.ok((await writer.append(testEvent)).ok);
  clock.time += 1;
  await assert.rejects(writer.append(testEvent, [put('1')]), { name: 'AuditError', code: 'unavailable' });
  assert.equal(await store.get({ pk: 'things', sk: '1' }), undefined);
  await writer.deny(denial);
  assert.equal((await entriesOf(store)).length, 3, 'a denial is recorded even then');
  await sealer.sealOnce();
  assert.ok((await writer.append(testEvent, [put('1')])).ok);
});

test('neither an idle log nor entries left by an earlier process refuse the first operation', async () => {
  const { writer, clock, store, now, sealer } = await createTestLog();
  await writer.append(testEvent);
  clock.time += 3_600_000;
  const restarted = await openAuditWriter({ store, origin: testOrigin, writerId: 'w', now, delay });
  assert.ok((await restarted.append(testEvent)).ok);
  await sealer.sealOnce();
  clock.time += 3_600_000;
  assert.ok((await restarted.append(testEvent)).ok);
});

test('entries name the newest checkpoint that the writer knew', async () => {
  const { writer, sealer, clock, store } = await createTestLog();
  await writer.append(testEvent);
  const sealed = await sealer.sealOnce();
  clock.time += 6000;
  await writer.append(testEvent);
  const [first, second] = await entriesOf(store);
  assert.equal(first?.seen.size, 0);
  assert.deepEqual(second?.seen, { size: sealed?.size, root: Buffer.from(sealed!.root).toString('hex') });
});

test('a flood of denials becomes a few entries and one count', async () => {
  const { writer, clock, store } = await createTestLog();
  for (let i = 0; i < 100; i++) await writer.deny(denial);
  assert.equal((await entriesOf(store)).length, 5);
  clock.time += 10_000;
  await writer.flushGaps();
  const gap = (await entriesOf(store)).at(-1);
  assert.equal(gap?.op.type, 'log.gap');
  assert.deepEqual(gap?.detail, { type: 'node.request.refuse', count: 95, reason: 'flood' });
  assert.equal(gap?.actor.id, 'unauthenticated');
  await writer.deny(denial);
  assert.equal((await entriesOf(store)).at(-1)?.op.type, 'node.request.refuse', 'tokens come back');
});

test('a flood under ever new names is counted together, and close writes what is counted', async () => {
  const { writer, store } = await createTestLog();
  for (let i = 0; i < 1200; i++) await writer.deny({ ...denial, actor: { ...denial.actor, id: `name ${i}` } });
  const before = (await readSlots(store, 'w-0', 0, 5000)).length;
  assert.equal(before, 1024 + 5);
  await writer.close();
  const gap = parseEntry((await readSlots(store, 'w-0', before, 5000))[0]!.entry);
  assert.deepEqual(gap.detail, { type: 'node.request.refuse', count: 171, reason: 'flood' });
  assert.equal(gap.actor.id, 'system');
});

test('a denial never throws: not when the store is away, not when it is malformed, not after close', async () => {
  let down = false;
  const inner = createMemoryStore();
  const store = faultyStore(inner, () => (down ? 'unavailable' : undefined));
  const { writer } = await createTestLog({ store });
  down = true;
  await writer.deny(denial);
  await writer.deny({ ...denial, detail: { reason: 'Not A Word' } });
  down = false;
  await writer.close();
  await writer.deny(denial);
  const gaps = await entriesOf(inner);
  assert.deepEqual(
    gaps.map(({ detail }) => detail),
    [{ type: 'node.request.refuse', count: 2, reason: 'not_written' }],
  );
  await assert.rejects(writer.append(testEvent), { code: 'unavailable' });
});

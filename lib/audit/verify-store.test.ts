/** A database that was written to behind the log's back: found, and located. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestLog, testEvent } from '../../test/fakes/audit-log.ts';
import { canonicalize } from '../crypto/jcs.ts';
import type { Item, Write } from '../store/port.ts';
import { parseEntry } from './entry.ts';
import { formatNumber, headKey, laneKey, lanePartition, readSlots, slotEntries, slotKey } from './items.ts';
import { listEntries } from './list.ts';
import { isSound } from './verdicts.ts';
import { verifyStore } from './verify-store.ts';

async function makeLog() {
  const log = await createTestLog();
  for (let block = 0; block < 4; block++) {
    await Promise.all(Array.from({ length: 90 }, () => log.writer.append(testEvent)));
    await log.sealer.sealOnce();
  }
  // One entry that no checkpoint covers yet.
  await log.writer.append(testEvent);
  const change = async (...writes: Write[]) => assert.ok((await log.store.transact(writes)).ok);
  const verify = (published = true) =>
    verifyStore({ ...log, ...(published && { published: log.publication }), now: log.now });
  /** The global index of entry n of lane w-0. */
  const indexOf = async (n: number) => {
    const { entries } = await listEntries(
      { store: log.store, origin: parseEntry((await readSlots(log.store, 'w-0', 0, 1))[0]!.entry).log },
      { order: 'oldest', limit: 1000 },
    );
    return entries.find(({ entry }) => entry.lane === 'w-0' && entry.n === n)!.index;
  };
  return { ...log, change, verify, indexOf };
}

/** The slot of lane w-0 that holds entry n, with what `change` makes of that entry; without any left, its deletion. */
async function changed(
  log: Awaited<ReturnType<typeof makeLog>>,
  n: number,
  change: (entry: Uint8Array) => readonly Uint8Array[],
): Promise<Write> {
  const { items } = await log.store.query({ pk: lanePartition('w-0'), to: formatNumber(n + 1), descending: true });
  const [slot] = items;
  const first = Number(slot!.sk);
  const entries = slotEntries(slot!).flatMap((entry, i) => (first + i === n ? change(entry) : [entry]));
  if (entries.length === 0) return { kind: 'delete', key: slotKey('w-0', first) };
  return { kind: 'put', item: { ...slotKey('w-0', first), e: entries } };
}

const edited = (log: Awaited<ReturnType<typeof makeLog>>, n: number) =>
  changed(log, n, (bytes) => [Buffer.from(canonicalize({ ...parseEntry(bytes), outcome: 'denied' }))]);
const dropped = (log: Awaited<ReturnType<typeof makeLog>>, n: number) => changed(log, n, () => []);

test('R29 the store that nobody touched passes, with and without a publication', async () => {
  const log = await makeLog();
  for (const published of [true, false]) {
    const verdicts = await log.verify(published);
    assert.ok(isSound(verdicts), JSON.stringify(verdicts));
    assert.equal(verdicts.completeness.verdict, 'pass');
  }
});

test('R30 an entry edited in the database is named', async () => {
  const log = await makeLog();
  const index = await log.indexOf(200);
  await log.change(await edited(log, 200));
  const { integrity } = await log.verify();
  assert.equal(integrity.verdict, 'fail');
  assert.equal(integrity.index, index);
  // Without a publication its successor gives it away.
  const alone = await log.verify(false);
  assert.equal(alone.integrity.index, index + 1);
});

test('R30 an entry deleted from the database is named', async () => {
  const log = await makeLog();
  const index = await log.indexOf(100);
  await log.change(await dropped(log, 100));
  const { integrity } = await log.verify();
  assert.equal(integrity.verdict, 'fail');
  assert.equal(integrity.index, index);
});

test('R30 a slot put over another is found', async () => {
  const log = await makeLog();
  await log.change({ kind: 'put', item: { ...slotKey('w-0', 100), e: Buffer.from('{}') } });
  assert.equal((await log.verify()).integrity.verdict, 'fail');
});

test('R30 a slot deleted from the database is named', async () => {
  const log = await makeLog();
  const index = await log.indexOf(90);
  await log.change({ kind: 'delete', key: slotKey('w-0', 90) });
  const { integrity } = await log.verify();
  assert.equal(integrity.verdict, 'fail');
  assert.equal(integrity.index, index);
});

test('R30 an unsealed entry that is edited or dropped is found, and sealing stops', async () => {
  for (const kind of ['edit', 'drop'] as const) {
    const log = await makeLog();
    await log.writer.append(testEvent);
    await log.change(kind === 'edit' ? await edited(log, 360) : await dropped(log, 360));
    const { integrity } = await log.verify();
    assert.equal(integrity.verdict, 'fail', kind);
    await assert.rejects(log.sealer.sealOnce(), { name: 'AuditError', code: 'corrupt' });
  }
});

const headEdits: readonly [string, (head: Item) => Item | undefined][] = [
  ['its chain', (head) => ({ ...head, chain: 'f'.repeat(64) })],
  ['its tree', (head) => ({ ...head, tree: (head['tree'] as Uint8Array).map((byte) => byte ^ 1) })],
  [
    'a mark',
    (head) => ({ ...head, lanes: { ...(head['lanes'] as object), 'w-0': { next: 5, hash: '0'.repeat(64), time: 0 } } }),
  ],
  ['its size', (head) => ({ ...head, size: 2, tree: (head['tree'] as Uint8Array).subarray(0, 32) })],
  ['all of it', () => undefined],
];
for (const [name, change] of headEdits) {
  test(`R30 the head was changed: ${name}`, async () => {
    const log = await makeLog();
    const item = change((await log.store.get(headKey))!);
    await log.change(item === undefined ? { kind: 'delete', key: headKey } : { kind: 'put', item });
    const verdicts = await log.verify();
    assert.ok(!isSound(verdicts), JSON.stringify(verdicts));
    await log.sealer.sealOnce().then(
      (checkpoint) => assert.equal(checkpoint, undefined, 'nothing is signed'),
      () => undefined,
    );
  });
}

test('R29 a database rewritten as a whole, hashes recomputed, does not match what was published', async () => {
  const log = await makeLog();
  const forged = await createTestLog({ signer: log.signer });
  await Promise.all(Array.from({ length: 380 }, () => forged.writer.append({ ...testEvent, outcome: 'denied' })));
  await forged.sealer.sealOnce();
  const { verifiers, publication, now } = log;
  const verdicts = await verifyStore({ store: forged.store, verifiers, published: publication, now });
  assert.equal(verdicts.integrity.verdict, 'fail');
  assert.equal(verdicts.integrity.index, 0);
});

test('a block item that is gone is named', async () => {
  const log = await makeLog();
  const { items } = await log.store.query({ pk: 'block#0' });
  const block = items[2]!;
  await log.change({ kind: 'delete', key: { pk: block.pk, sk: block.sk } });
  const { integrity } = await log.verify();
  assert.equal(integrity.index, Number(block.sk));
});

test('lanes of writers that are gone are closed, and a writer that comes back opens another', async () => {
  const log = await createTestLog();
  const lanes = 40;
  const many = await createTestLog({
    store: log.store,
    signer: log.signer,
    writer: { writerId: 'm', lanes },
    sealer: { publication: log.publication },
  });
  await Promise.all(Array.from({ length: lanes * 120 }, () => many.writer.append(testEvent)));
  await log.sealer.sealOnce();
  log.clock.time += 11 * 60_000;
  await log.sealer.sealOnce();
  await log.sealer.sealOnce();
  const open = await log.store.query({ pk: laneKey('').pk });
  assert.ok(open.items.length <= 32, `${open.items.length} lanes open`);
  await Promise.all(Array.from({ length: lanes * 120 }, () => many.writer.append(testEvent)));
  await log.sealer.sealOnce();
  const verdicts = await verifyStore({ ...log, published: log.publication, now: log.now });
  assert.ok(isSound(verdicts), JSON.stringify(verdicts));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestLog, testEvent, testOrigin } from '../../test/fakes/audit-log.ts';
import { bodyHash, chainHash, chainStart } from './chain.ts';
import { readHead } from './head.ts';
import { type ListQuery, listEntries } from './list.ts';

async function makeLog() {
  const log = await createTestLog({ sealer: { maxBlockEntries: 20 } });
  for (let i = 0; i < 50; i++) {
    const object = { kind: 'token', id: `t${i % 5}` };
    await log.writer.append({ ...testEvent, object });
  }
  await log.sealer.sealOnce();
  const list = (query: Partial<ListQuery>) =>
    listEntries({ store: log.store, origin: testOrigin }, { order: 'oldest', limit: 7, ...query });
  return { ...log, list };
}

async function readAll(list: Awaited<ReturnType<typeof makeLog>>['list'], query: Partial<ListQuery>) {
  const all = [];
  for (let from: number | undefined; ; ) {
    const page = await list({ ...query, ...(from !== undefined && { from }) });
    all.push(...page.entries);
    if (page.next === undefined) return all;
    from = page.next;
  }
}

test('pages from either end hold every entry once, in order, with the chain', async () => {
  const log = await makeLog();
  const { size, chain } = await readHead(log.store, testOrigin);
  assert.equal(size, 54, '50, log.open, and three blocks');
  const oldest = await readAll(log.list, { order: 'oldest' });
  assert.deepEqual(
    oldest.map(({ index }) => index),
    Array.from({ length: size }, (_, i) => i),
  );
  let expected = chainStart(testOrigin);
  for (const each of oldest) {
    expected = chainHash(testOrigin, each.index, bodyHash(each.bytes), expected);
    assert.equal(each.chain, expected);
  }
  assert.equal(expected, chain);
  const newest = await readAll(log.list, { order: 'newest' });
  assert.deepEqual(
    newest.map(({ index }) => index).reverse(),
    oldest.map(({ index }) => index),
  );
});

test('filters by type, actor and object', async () => {
  const { list } = await makeLog();
  assert.equal((await readAll(list, { type: 'log.checkpoint' })).length, 3);
  assert.equal((await readAll(list, { object: { id: 't3' } })).length, 10);
  assert.equal((await readAll(list, { object: { kind: 'token' }, order: 'newest' })).length, 50);
  assert.equal((await readAll(list, { actor: 'system' })).length, 4);
  assert.equal((await readAll(list, { actor: 'nobody' })).length, 0);
});

test('an empty log, and places beyond it, are empty pages', async () => {
  const { store } = await createTestLog();
  const list = (query: ListQuery) => listEntries({ store, origin: testOrigin }, query);
  assert.deepEqual(await list({ order: 'newest', limit: 5 }), { entries: [], size: 0 });
  const log = await makeLog();
  assert.deepEqual((await log.list({ from: 1000 })).entries, []);
  assert.equal((await log.list({ order: 'newest', from: 1000 })).entries[0]?.index, 53);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryStore } from '../../lib/store/memory.ts';
import { put, rejectsWith } from '../conformance/store-cases.ts';
import { everyFault, failAt, faultyStore, type StoreCall } from './faulty-store.ts';

const key = { pk: 'p', sk: 's' };

test('each fault reports its code, and only a lost answer leaves the write standing', async () => {
  const expected = {
    conflict: ['conflict', false],
    unavailable: ['unavailable', false],
    lost_request: ['unknown_outcome', false],
    lost_answer: ['unknown_outcome', true],
  } as const;
  for (const fault of everyFault) {
    const store = faultyStore(createMemoryStore(), failAt(0, fault));
    const [code, stands] = expected[fault];
    await rejectsWith(code, store.transact([put('p', 's')]));
    assert.equal((await store.get(key)) !== undefined, stands, fault);
  }
});

test('a read fails as unavailable, whichever the fault', async () => {
  for (const fault of everyFault) {
    const store = faultyStore(createMemoryStore(), failAt(0, fault));
    await rejectsWith('unavailable', store.get(key));
    const second = faultyStore(createMemoryStore(), failAt(0, fault));
    await rejectsWith('unavailable', second.query({ pk: 'p' }));
  }
});

test('the plan sees every call, numbered; without a fault the store is the inner one', async () => {
  const seen: StoreCall[] = [];
  const store = faultyStore(createMemoryStore(), (call) => {
    seen.push(call);
    return undefined;
  });
  await store.get(key);
  assert.deepEqual(await store.transact([put('p', 's')]), { ok: true });
  await store.get(key);
  assert.deepEqual((await store.query({ pk: 'p' })).items, [key]);
  assert.deepEqual(seen, [
    { method: 'get', index: 0, nth: 0 },
    { method: 'transact', index: 1, nth: 0 },
    { method: 'get', index: 2, nth: 1 },
    { method: 'query', index: 3, nth: 0 },
  ]);
  assert.equal(store.calls, 4);
});

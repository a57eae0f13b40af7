import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rejectsWith } from '../../test/conformance/store-cases.ts';
import { StoreError, type StoreErrorCode } from './port.ts';
import { retryUnwritten } from './retry.ts';

function setup(codes: readonly StoreErrorCode[], jitter = 0.999_999) {
  const slept: number[] = [];
  let calls = 0;
  const operation = async () => {
    const code = codes[calls++];
    if (code !== undefined) throw new StoreError(code, 'planned');
    return calls;
  };
  const deps = { sleep: async (ms: number) => void slept.push(ms), jitter: () => jitter };
  return { operation, deps, slept };
}

test('conflicts and unavailability are tried again, with growing, capped, random pauses', async () => {
  const { operation, deps, slept } = setup(Array.from({ length: 9 }, (_, i) => (i % 2 ? 'conflict' : 'unavailable')));
  assert.equal(await retryUnwritten(operation, deps, { attempts: 10 }), 10);
  assert.deepEqual(slept, [9, 19, 39, 79, 159, 319, 639, 999, 999]);
  const lucky = setup(['conflict'], 0);
  await retryUnwritten(lucky.operation, lucky.deps);
  assert.deepEqual(lucky.slept, [0]);
});

test('it gives up with the last error', async () => {
  const { operation, deps, slept } = setup(Array.from({ length: 100 }, () => 'conflict'));
  await rejectsWith('conflict', retryUnwritten(operation, deps, { attempts: 3 }));
  assert.equal(slept.length, 2);
});

test('an unknown outcome, and every other error, is never tried again', async () => {
  for (const code of [
    'unknown_outcome',
    'invalid',
    'full',
    'read_only',
    'corrupt',
    'feed_expired',
    'closed',
  ] as const) {
    const { operation, deps, slept } = setup([code]);
    await rejectsWith(code, retryUnwritten(operation, deps));
    assert.deepEqual(slept, []);
  }
});

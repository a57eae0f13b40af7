import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Shown, watchFor } from './watch.ts';

const shownAs = (data: unknown): Shown => ({ data, lines: () => [String(data)] });

/** Reads these one after the other, and is told to stop when there are no more. */
async function watchThrough(values: readonly unknown[]) {
  const stop = new AbortController();
  const seen: unknown[] = [];
  let reads = 0;
  let waits = 0;
  await watchFor({
    signal: stop.signal,
    read: async () => shownAs(values[reads++]),
    async wait() {
      waits += 1;
      if (reads === values.length) stop.abort();
    },
    show: ({ data }) => void seen.push(data),
  });
  return { seen, reads, waits };
}

test('--watch shows what is new, and not again what has not changed', async () => {
  const { seen, reads, waits } = await watchThrough([1, 1, { a: 2 }, { a: 2 }, 1, []]);
  assert.deepEqual(seen, [1, { a: 2 }, 1, []]);
  assert.deepEqual([reads, waits], [6, 6]);
});

test('--watch ends at once when it is told to, whatever it waits for, and shows nothing more', async () => {
  const waiting = new AbortController();
  const seen: unknown[] = [];
  await watchFor({
    signal: waiting.signal,
    read: async () => shownAs('first'),
    wait: () => {
      waiting.abort();
      return new Promise(() => undefined);
    },
    show: ({ data }) => void seen.push(data),
  });
  assert.deepEqual([...seen], ['first']);

  const reading = new AbortController();
  await watchFor({
    signal: reading.signal,
    async read() {
      reading.abort();
      return shownAs('late');
    },
    wait: async () => undefined,
    show: ({ data }) => void seen.push(data),
  });
  assert.deepEqual([...seen], ['first']);

  await watchFor({
    signal: AbortSignal.abort(),
    read: () => Promise.reject(new Error('never read')),
    wait: async () => undefined,
    show: () => undefined,
  });
});

test('--watch ends with the failure of what it reads or waits for', async () => {
  const { signal } = new AbortController();
  const show = () => undefined;
  const fails = () => Promise.reject(new Error('gone'));
  await assert.rejects(watchFor({ signal, read: fails, wait: async () => undefined, show }), /gone/);
  await assert.rejects(watchFor({ signal, read: async () => shownAs(1), wait: fails, show }), /gone/);
});

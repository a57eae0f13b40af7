/** Store conformance: any sequence of transactions does what a naive model of the port does. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Attribute, Condition, Item, Write } from '../../lib/store/port.ts';
import { type MakeStore, queryAll, readFeed, sameKey, storeTest } from './store-cases.ts';

/** Few keys, names and values, so that writes meet. Attribute `n` is always a number, so `add` is always allowed. */
const sk = fc.constantFrom('a', 'b', 'c', 'd');
const n = fc.integer({ min: -2, max: 2 });
const value = fc.constantFrom<string | number | boolean | Uint8Array>('', 'x', 'y', 0, 1, true, new Uint8Array([1]));
const comparable = fc.constantFrom('', 'x', 'y', 0, 1);
const name = fc.constantFrom('n', 'v', 'w');

const leaf: fc.Arbitrary<Condition> = fc.oneof(
  fc.constantFrom<Condition>({ kind: 'absent' }, { kind: 'present' }),
  fc.record({ kind: fc.constant('missing' as const), name }),
  fc.record({ kind: fc.constant('equals' as const), name, value }),
  fc.record({ kind: fc.constantFrom('less' as const, 'greater' as const), name, value: comparable }),
);
const condition: fc.Arbitrary<Condition> = fc.oneof(
  { weight: 4, arbitrary: leaf },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('all' as const, 'any' as const),
      of: fc.array(leaf, { minLength: 1, maxLength: 3 }),
    }),
  },
);

const others = fc.record({ v: value, w: value }, { requiredKeys: [] });

function writeFor(pk: string): fc.Arbitrary<Write> {
  const key = sk.map((sortKey) => ({ pk, sk: sortKey }));
  const when = fc.option(condition, { nil: undefined });
  const write = fc.oneof(
    fc.record({
      kind: fc.constant('put' as const),
      item: fc.tuple(key, others, n).map(([at, rest, count]) => ({ ...rest, n: count, ...at })),
      when,
    }),
    fc.record({
      kind: fc.constant('update' as const),
      key,
      set: fc.record({ v: value }, { requiredKeys: [] }),
      unset: fc.subarray(['w']),
      add: n.map((count) => ({ n: count })),
      when,
    }),
    fc.record({ kind: fc.constant('delete' as const), key, when }),
    fc.record({ kind: fc.constant('check' as const), key, when: condition }),
  );
  // An absent condition is no property at all, rather than one that is undefined.
  return write.map((made) => {
    const { when: guard, ...rest } = made;
    return (guard === undefined ? rest : made) as Write;
  });
}

function keyOf(write: Write) {
  return write.kind === 'put' ? write.item : write.key;
}

type Model = Map<string, Item>;

/** Written from the port's contract alone, and for two-letter texts only. */
function holds(test: Condition, item: Item | undefined): boolean {
  if (test.kind === 'absent') return !item;
  if (test.kind === 'present') return Boolean(item);
  if (test.kind === 'all') return test.of.filter((part) => !holds(part, item)).length === 0;
  if (test.kind === 'any') return test.of.filter((part) => holds(part, item)).length > 0;
  const held = item?.[test.name];
  if (test.kind === 'missing') return held === undefined;
  if (typeof held !== typeof test.value) return false;
  if (test.kind === 'equals') return JSON.stringify(held) === JSON.stringify(test.value);
  if (test.kind === 'less') return (held as string | number) < test.value;
  return (held as string | number) > test.value;
}

function transactModel(model: Model, writes: readonly Write[]) {
  const failed = writes.flatMap((write, index) =>
    write.when === undefined || holds(write.when, model.get(keyOf(write).sk)) ? [] : [index],
  );
  if (failed.length > 0) return { ok: false, failed };
  for (const write of writes) {
    const { sk: at } = keyOf(write);
    if (write.kind === 'put') model.set(at, write.item);
    if (write.kind === 'delete') model.delete(at);
    if (write.kind === 'update') {
      const before = model.get(at);
      const after: Record<string, Attribute> = { ...before, ...write.set };
      for (const gone of write.unset ?? []) delete after[gone];
      after['n'] = ((before?.['n'] as number | undefined) ?? 0) + (write.add?.['n'] ?? 0);
      model.set(at, { ...after, ...write.key });
    }
  }
  return { ok: true };
}

export function modelCases(make: MakeStore): void {
  storeTest('sequences of transactions give the outcomes and the items of the model', make, async (store) => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.uniqueArray(writeFor('model'), { minLength: 1, maxLength: 4, selector: (write) => keyOf(write).sk }),
          {
            minLength: 1,
            maxLength: 25,
          },
        ),
        async (transactions) => {
          // A partition of its own for each run, the same text in the model.
          const pk = `model${run++}`;
          const model: Model = new Map();
          const start = await store.feed.now();
          for (const transaction of transactions) {
            const writes = transaction.map((write) => inPartition(write, pk));
            assert.deepEqual(await store.transact(writes), transactModel(model, writes));
          }
          const expected = [...model.values()].sort((a, b) => (a.sk < b.sk ? -1 : 1));
          assert.deepStrictEqual(await queryAll(store, { pk }), expected);
          await followTo(store, start, pk, expected);
        },
      ),
      { numRuns: 60 },
    );
  });
}

/** Whoever replays the feed arrives at the same items. A last write marks the end. */
async function followTo(
  store: Parameters<typeof readFeed>[0],
  start: Parameters<typeof readFeed>[1],
  pk: string,
  expected: Item[],
) {
  const end = { pk, sk: 'end' };
  await store.transact([{ kind: 'put', item: end }]);
  // Within a partition of one stream shard or one process, the end comes last.
  let replay: Model = new Map();
  await readFeed(store, start, (changes) => {
    replay = new Map();
    for (const change of changes.filter(({ key }) => key.pk === pk && !sameKey(key, end))) {
      if (change.item === undefined) replay.delete(change.key.sk);
      else replay.set(change.key.sk, change.item);
    }
    return changes.some((change) => sameKey(change.key, end));
  });
  assert.deepStrictEqual(
    [...replay.values()].sort((a, b) => (a.sk < b.sk ? -1 : 1)),
    expected,
  );
}

function inPartition(write: Write, pk: string): Write {
  if (write.kind === 'put') return { ...write, item: { ...write.item, pk } };
  return { ...write, key: { ...write.key, pk } };
}

/**
 * The newest runs of each node, and its last one on the node itself. Reporting a run again changes nothing. An index
 * of what is kept, one small item a node, makes both that and the pruning one transaction, without reading runs.
 */
import { z } from 'zod';
import { postureWrites } from '../../lib/compliance/posture.ts';
import { nodeKey } from '../../lib/identity/nodes.ts';
import type { Attribute, Item, Key, Store, Write } from '../../lib/store/port.ts';
import { StoreError } from '../../lib/store/port.ts';
import { driftKey, driftWrite, type EarlierRun, hasChanges, parseDrift } from './drift.ts';
import { RequestRefused } from './refusals.ts';
import type { Run } from './run-report.ts';

export const runsKept = 50;
const attempts = 5;

export type RunStore = {
  /** Durable when it returns. Runs older than the newest that are kept are dropped. */
  record(uuid: string, run: Run): Promise<void>;
};

/** Items of one node's runs: `started`, as sortable text, then the run's id. */
export function runPartition(uuid: string): string {
  return `run#${uuid}`;
}

const storedIndex = z.object({ revision: z.int(), kept: z.array(z.object({ runId: z.string(), sk: z.string() })) });
type Index = z.infer<typeof storedIndex>;

export function createRunStore({ store, now }: { readonly store: Store; readonly now: () => number }): RunStore {
  return {
    async record(uuid, run) {
      for (let attempt = 0; attempt < attempts; attempt++) {
        const index = await readIndex(store, uuid);
        const writes = writesFor(uuid, run, index, now());
        if (writes.length > 0) writes.push(...(await driftWrites(store, uuid, run)));
        if (writes.length === 0 || (await apply(store, writes))) return;
      }
      throw new RequestRefused('UNAVAILABLE', 'The run could not be recorded; try again later.');
    },
  };
}

/** False when it is worth trying again with what is stored now: another report of the node came between, or no answer. */
async function apply(store: Store, writes: readonly Write[]): Promise<boolean> {
  try {
    return (await store.transact(writes)).ok;
  } catch (error) {
    if (error instanceof StoreError && (error.code === 'conflict' || error.code === 'unknown_outcome')) return false;
    throw error;
  }
}

/** None when the run is known already, or older than all that is kept. */
function writesFor(uuid: string, run: Run, index: Index, now: number): Write[] {
  if (index.kept.some(({ runId }) => runId === run.runId)) return [];
  const sk = sortKeyOf(run);
  const newestFirst = [...index.kept, { runId: run.runId, sk }].sort((a, b) => (a.sk < b.sk ? 1 : -1));
  const kept = newestFirst.slice(0, runsKept);
  if (!kept.some((entry) => entry.sk === sk)) return [];
  const writes: Write[] = [
    { kind: 'put', item: runItem({ pk: runPartition(uuid), sk }, run) },
    {
      kind: 'put',
      item: { ...indexKey(uuid), revision: index.revision + 1, kept },
      when: index.revision === 0 ? { kind: 'absent' } : { kind: 'equals', name: 'revision', value: index.revision },
    },
    ...newestFirst
      .slice(runsKept)
      .map(({ sk: old }): Write => ({ kind: 'delete', key: { pk: runPartition(uuid), sk: old } })),
  ];
  const isNewest = kept[0]?.sk === sk;
  writes.push(...postureWrites(uuid, run, { isNewest, now }));
  if (isNewest) {
    const set = { lastRun: lastRun(run) };
    writes.push({ kind: 'update', key: nodeKey(uuid), set, when: { kind: 'present' } });
  }
  return writes;
}

function sortKeyOf({ startedAt, runId }: Run): string {
  return `${new Date(startedAt).toISOString()}#${runId}`;
}

/** How many earlier runs are looked at for one that was no dry run and got as far as its resources. */
const earlierRunsRead = 5;

const storedEarlier = z.object({
  dryRun: z.boolean(),
  release: z.object({ number: z.int(), digest: z.string() }).optional(),
  results: z.array(z.object({ resource: z.string(), result: z.string() })),
  omitted: z.int(),
});

async function driftWrites(store: Store, uuid: string, run: Run): Promise<readonly Write[]> {
  if (!hasChanges(run)) return [];
  const known = parseDrift(await store.get(driftKey(uuid)));
  const { items } = await store.query({
    pk: runPartition(uuid),
    to: sortKeyOf(run),
    descending: true,
    limit: earlierRunsRead,
  });
  const before = items.map((item) => storedEarlier.parse(item)).find((one) => !one.dryRun && one.results.length > 0);
  const write = driftWrite(uuid, known, run, before as EarlierRun | undefined);
  return write === undefined ? [] : [write];
}

async function readIndex(store: Store, uuid: string): Promise<Index> {
  const item = await store.get(indexKey(uuid));
  return item ? storedIndex.parse(item) : { revision: 0, kept: [] };
}

function indexKey(uuid: string): Key {
  return { pk: `run-index#${uuid}`, sk: 'newest' };
}

function runItem(key: Key, run: Run): Item {
  const { release, results, counts, ...rest } = run;
  return {
    ...key,
    ...rest,
    counts: { ...counts },
    results: results.map((result) => ({ ...result })),
    ...(release ? { release: { ...release } } : {}),
  };
}

/** What lists of nodes show. */
function lastRun({ runId, startedAt, durationMs, dryRun, counts, release, error }: Run): Attribute {
  return {
    runId,
    at: startedAt,
    durationMs,
    dryRun,
    counts: { ...counts },
    error,
    ...(release ? { release: { ...release } } : {}),
  };
}

/**
 * Drift: which resources of a node were found out of their declared state, and who moved them. A change in the first
 * run under a release is ours: the declaration changed. A change under the release that the run before had already
 * brought about comes from outside: somebody or something on the machine. Bounded: the newest events of the resources
 * that drifted last.
 */
import { z } from 'zod';
import type { ReleaseRef } from '../../lib/identity/nodes.ts';
import type { Item, Key, Write } from '../../lib/store/port.ts';
import type { ResultName, Run, RunResult } from './run-report.ts';

export const eventsKept = 20;
export const resourcesKept = 200;
/** Texts of one node's drift together, well below the store's limit for an item. */
const maxDriftBytes = 200 * 1024;
const maxReasonChars = 200;

/** A resource that came back this often within the time is fought over. */
export const flappingEvents = 3;
export const flappingMs = 24 * 60 * 60 * 1000;

export type DriftCause = 'outside' | 'ours';

export type DriftEvent = {
  /** Start of the run that found it. */
  readonly at: number;
  readonly runId: string;
  readonly cause: DriftCause;
  readonly result: ResultName;
  readonly reason: string;
  readonly release: number;
};

/** Newest event first. */
export type DriftedResource = { readonly resource: string; readonly events: readonly DriftEvent[] };

const storedEvent = z.object({
  at: z.number(),
  runId: z.string(),
  cause: z.enum(['outside', 'ours']),
  result: z.enum(['unchanged', 'created', 'updated', 'removed', 'skipped', 'blocked', 'failed']),
  reason: z.string(),
  release: z.int(),
});
const storedDrift = z.object({
  revision: z.int(),
  resources: z.array(z.object({ resource: z.string(), events: z.array(storedEvent) })),
});

export type Drift = z.infer<typeof storedDrift>;

/** Spread like the nodes themselves, one item a node. */
export function driftKey(uuid: string): Key {
  return { pk: `drift#${uuid.slice(0, 1)}`, sk: uuid };
}

export function parseDrift(item: Item | undefined): Drift {
  return item === undefined ? { revision: 0, resources: [] } : storedDrift.parse(item);
}

/** What of an earlier run decides: under which release it was, and how it left each resource. */
export type EarlierRun = {
  readonly release?: ReleaseRef | undefined;
  readonly results: readonly Pick<RunResult, 'resource' | 'result'>[];
  /** Results that were not kept; all of them were in order. */
  readonly omitted: number;
};

/** The changes of a run, each with its cause. A dry run changes nothing. */
export function driftOf(
  run: Run,
  before: EarlierRun | undefined,
): readonly (DriftEvent & { readonly resource: string })[] {
  const { release } = run;
  if (run.dryRun || release === undefined) return [];
  const left = new Map(before?.results.map(({ resource, result }) => [resource, result]));
  const isSameRelease = before?.release?.digest === release.digest && before.release.number === release.number;
  return run.results.filter(isChange).map(({ resource, result, reason }) => {
    const earlier = left.get(resource) ?? ((before?.omitted ?? 0) > 0 ? 'unchanged' : undefined);
    const wasAsDesired = isSameRelease && earlier !== undefined && inOrder.has(earlier);
    // A service that is restarted because its file was mended did not drift itself.
    const cause = wasAsDesired && reason !== 'notified' ? 'outside' : 'ours';
    const event = { at: run.startedAt, runId: run.runId, result, reason: reason.slice(0, maxReasonChars) };
    return { ...event, resource, cause, release: release.number };
  });
}

/** Whether a run can have drift at all: if not, no earlier run needs to be read. */
export function hasChanges(run: Run): boolean {
  return !run.dryRun && run.release !== undefined && run.results.some(isChange);
}

/** The write that adds a run's changes to what is known; it fails when another report of the node came between. */
export function driftWrite(uuid: string, known: Drift, run: Run, before: EarlierRun | undefined): Write | undefined {
  const events = driftOf(run, before);
  if (events.length === 0) return undefined;
  const resources = new Map(known.resources.map((one) => [one.resource, one.events]));
  for (const { resource, ...event } of events) {
    const all = [event, ...(resources.get(resource) ?? [])].sort((a, b) => b.at - a.at);
    resources.set(resource, all.slice(0, eventsKept));
  }
  const newestFirst = [...resources]
    .map(([resource, kept]) => ({ resource, events: kept }))
    .sort((a, b) => (b.events[0]?.at ?? 0) - (a.events[0]?.at ?? 0));
  return {
    kind: 'put',
    item: { ...driftKey(uuid), revision: known.revision + 1, resources: withinBudget(newestFirst) },
    when: known.revision === 0 ? { kind: 'absent' } : { kind: 'equals', name: 'revision', value: known.revision },
  };
}

/** Came back from outside so often, and so recently, that something else must be changing it too. */
export function isFlapping({ events }: DriftedResource, now: number): boolean {
  return events.filter(({ at, cause }) => cause === 'outside' && now - at <= flappingMs).length >= flappingEvents;
}

const inOrder: ReadonlySet<ResultName> = new Set(['unchanged', 'created', 'updated', 'removed']);

function isChange({ result }: Pick<RunResult, 'result'>): boolean {
  return result === 'created' || result === 'updated' || result === 'removed';
}

function withinBudget(newestFirst: readonly DriftedResource[]): DriftedResource[] {
  const kept: DriftedResource[] = [];
  let bytes = 0;
  for (const one of newestFirst.slice(0, resourcesKept)) {
    bytes += Buffer.byteLength(one.resource) + 32;
    for (const { reason } of one.events) bytes += Buffer.byteLength(reason) + 160;
    if (bytes > maxDriftBytes) break;
    kept.push(one);
  }
  return kept;
}

/**
 * How updates end, node by node, and the ring that stops itself. A node's word is counted once for each rollout; what it
 * says can halt a ring, and can never move one on.
 */
import type { AuditLog } from '../audit/port.ts';
import { systemActor } from '../audit/system-entry.ts';
import type { Item, Key, Store, Write } from '../store/port.ts';
import { type Ring, type RingNode, readRings, ringOf } from './rings.ts';
import { haltRing } from './rollout.ts';
import { RolloutError } from './rollout-errors.ts';

/** What a node says of its update. */
export const updateResults = ['confirmed', 'rolled_back', 'refused', 'not_possible'] as const;
export type UpdateResult = (typeof updateResults)[number];

/** `silent`: it took the build and was never heard of again, see silence.ts. */
const updateStates = [...updateResults, 'silent'] as const;
export type UpdateState = (typeof updateStates)[number];

export type UpdateOutcome = {
  readonly rollout: number;
  readonly version: string;
  readonly result: UpdateResult;
  /** A closed word, or empty. */
  readonly reason: string;
  readonly from: string;
};

/** How many nodes of a rollout are in each state; those of which nothing is known yet are in none. */
export type Progress = { readonly [State in UpdateState]: number };

export type OutcomeDeps = {
  readonly store: Store;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly now: () => number;
};

/** Of so many finished nodes on, the share of failures among them halts the ring too: a large one must not wait. */
const minFinished = 10;

export function progressKey(ring: string, rollout: number): Key {
  return { pk: 'rollout', sk: `${ring}#${String(rollout).padStart(10, '0')}` };
}

export function outcomeKey(ring: string, rollout: number, uuid: string): Key {
  return { pk: `rollout#${ring}#${rollout}`, sk: uuid };
}

/** A build in a node's hands, of which it has said nothing yet. */
export function takenKey(ring: string, rollout: number, uuid: string): Key {
  return { pk: `taken#${ring}#${rollout}`, sk: uuid };
}

export async function readProgress(store: Pick<Store, 'get'>, ring: string, rollout: number): Promise<Progress> {
  return parseProgress(await store.get(progressKey(ring, rollout)));
}

/**
 * Records what a node says of its update, and halts its ring when too many failed. A report about a rollout that is over
 * is recorded, and moves nothing. Repeating a report changes nothing.
 */
export async function recordOutcome(deps: OutcomeDeps, node: RingNode, outcome: UpdateOutcome): Promise<void> {
  const { store, audit, now } = deps;
  const { rings } = await readRings(store);
  const ring = ringOf(rings, node);
  // A node that was in no ring, or names a rollout that never was, has nothing to report.
  if (ring === undefined || outcome.rollout > ring.rollout) return;
  const key = outcomeKey(ring.name, outcome.rollout, node.uuid);
  const before = await store.get(key);
  const known = before && stateOf(before);
  const { rollout, version, result, reason, from } = outcome;
  // Taken under a rollout that began while it was fetched, and told of as what was announced: it has answered for both.
  const answered = [...new Set([rollout, ring.rollout])].map(
    (each): Write => ({ kind: 'delete', key: takenKey(ring.name, each, node.uuid) }),
  );
  if (known === result) {
    await store.transact(answered);
    return haltWhenFailing(deps, ring, rollout);
  }
  const writes: Write[] = [
    ...stateWrites(ring.name, node.uuid, { from: known, to: result }, outcome, now()),
    ...answered,
  ];
  const entry = await audit.append(
    {
      type: 'node.update',
      actor: { id: node.uuid, kind: 'node', auth: 'node-signature' },
      object: { kind: 'node', id: node.uuid },
      outcome: result === 'confirmed' ? 'success' : 'failure',
      detail: { ring: ring.name, rollout, version, from, result, ...(reason === '' ? {} : { reason }) },
    },
    writes,
  );
  // The same node on another stream said so first.
  if (!entry.ok) return;
  await haltWhenFailing(deps, ring, rollout);
}

/** A node's step from one state, or none, to the next; it holds only if the node still is in the first. */
export function stateWrites(
  ring: string,
  uuid: string,
  step: { readonly from: UpdateState | undefined; readonly to: UpdateState },
  { rollout, version, reason, from }: Omit<UpdateOutcome, 'result'>,
  at: number,
): Write[] {
  const key = outcomeKey(ring, rollout, uuid);
  const put: Write = {
    kind: 'put',
    item: { ...key, version, result: step.to, reason, from, at },
    when: step.from === undefined ? { kind: 'absent' } : { kind: 'equals', name: 'result', value: step.from },
  };
  if (step.from === step.to) return [put];
  const add = { [step.to]: 1, ...(step.from === undefined ? {} : { [step.from]: -1 }) };
  return [put, { kind: 'update', key: progressKey(ring, rollout), add }];
}

/** Halts the ring unless it is halted, or `rollout` is over. */
export async function haltWhenFailing(deps: Omit<OutcomeDeps, 'now'>, ring: Ring, rollout: number): Promise<void> {
  if (rollout !== ring.rollout || ring.halted !== '') return;
  const progress = await readProgress(deps.store, ring.name, rollout);
  if (!isFailing(ring, progress)) return;
  const silent = progress.silent === 0 ? '' : `, ${progress.silent} of them silent since they took it`;
  const reason = `${failedOf(progress)} of ${ring.nodes} nodes failed${silent}`;
  try {
    await haltRing(deps, { ring: ring.name, reason, rollout, actor: systemActor });
  } catch (error) {
    // Somebody changed the rings meanwhile; the next report, or look for silent nodes, sees it again.
    if (!(error instanceof RolloutError && error.code === 'conflict')) throw error;
  }
}

/** By the whole ring, and by those that have finished once they are some. */
export function isFailing(ring: Pick<Ring, 'nodes' | 'maxFailedPercent'>, progress: Progress): boolean {
  const failed = failedOf(progress);
  const finished = failed + progress.confirmed;
  const limit = ring.maxFailedPercent / 100;
  if (failed === 0) return false;
  return failed >= limit * Math.max(1, ring.nodes) || (finished >= minFinished && failed >= limit * finished);
}

/** Silent ones included. */
export function failedOf({ rolled_back, refused, silent }: Progress): number {
  return rolled_back + refused + silent;
}

export function stateOf(item: Item): UpdateState | undefined {
  return updateStates.find((each) => each === item['result']);
}

function parseProgress(item: Item | undefined): Progress {
  const counts = updateStates.map((state) => [state, typeof item?.[state] === 'number' ? item[state] : 0]);
  return Object.fromEntries(counts) as Progress;
}

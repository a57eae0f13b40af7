/**
 * How updates end, node by node, and the ring that stops itself. A node's word is counted once for each rollout; what it
 * says can halt a ring, and can never move one on.
 */
import type { Actor, AuditLog } from '../audit/port.ts';
import type { Item, Key, Store, Write } from '../store/port.ts';
import { type Ring, type RingNode, readRings, ringOf } from './rings.ts';
import { haltRing } from './rollout.ts';
import { RolloutError } from './rollout-errors.ts';

export const updateResults = ['confirmed', 'rolled_back', 'refused', 'not_possible'] as const;
export type UpdateResult = (typeof updateResults)[number];

export type UpdateOutcome = {
  readonly rollout: number;
  readonly version: string;
  readonly result: UpdateResult;
  /** A closed word, or empty. */
  readonly reason: string;
  readonly from: string;
};

export type Progress = { readonly [Result in UpdateResult]: number };

export type OutcomeDeps = {
  readonly store: Store;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly now: () => number;
};

/** Of so many finished nodes on, the share of failures among them halts the ring too: a large one must not wait. */
const minFinished = 10;
const system: Actor = { id: 'system', kind: 'system', auth: 'none' };

export function progressKey(ring: string, rollout: number): Key {
  return { pk: 'rollout', sk: `${ring}#${String(rollout).padStart(10, '0')}` };
}

export function outcomeKey(ring: string, rollout: number, uuid: string): Key {
  return { pk: `rollout#${ring}#${rollout}`, sk: uuid };
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
  const known = before && resultOf(before);
  if (known === outcome.result) return haltWhenFailing(deps, ring, outcome.rollout);
  const { rollout, version, result, reason, from } = outcome;
  const writes: Write[] = [
    {
      kind: 'put',
      item: { ...key, version, result, reason, from, at: now() },
      when: known === undefined ? { kind: 'absent' } : { kind: 'equals', name: 'result', value: known },
    },
    {
      kind: 'update',
      key: progressKey(ring.name, rollout),
      add: { [result]: 1, ...(known === undefined ? {} : { [known]: -1 }) },
    },
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

async function haltWhenFailing(deps: OutcomeDeps, ring: Ring, rollout: number): Promise<void> {
  if (rollout !== ring.rollout || ring.halted !== '') return;
  const progress = await readProgress(deps.store, ring.name, rollout);
  if (!isFailing(ring, progress)) return;
  const failed = progress.rolled_back + progress.refused;
  const reason = `${failed} of ${ring.nodes} nodes failed`;
  try {
    await haltRing(deps, { ring: ring.name, reason, actor: system });
  } catch (error) {
    // Somebody changed the rings meanwhile; the next report looks again.
    if (!(error instanceof RolloutError && error.code === 'conflict')) throw error;
  }
}

/** By the whole ring, and by those that have finished once they are some. */
export function isFailing(ring: Pick<Ring, 'nodes' | 'maxFailedPercent'>, progress: Progress): boolean {
  const failed = progress.rolled_back + progress.refused;
  const finished = failed + progress.confirmed;
  const limit = ring.maxFailedPercent / 100;
  if (failed === 0) return false;
  return failed >= limit * Math.max(1, ring.nodes) || (finished >= minFinished && failed >= limit * finished);
}

function resultOf(item: Item): UpdateResult | undefined {
  return updateResults.find((each) => each === item['result']);
}

function parseProgress(item: Item | undefined): Progress {
  const count = (name: UpdateResult) => (typeof item?.[name] === 'number' ? item[name] : 0);
  return {
    confirmed: count('confirmed'),
    rolled_back: count('rolled_back'),
    refused: count('refused'),
    not_possible: count('not_possible'),
  };
}

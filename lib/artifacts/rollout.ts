/** Operators' orders about rings: give one a build, halt it, pause it, resume it. Each is one transaction with its entry. */
import type { Actor, AuditLog } from '../audit/port.ts';
import { listNodes } from '../identity/nodes.ts';
import type { Store } from '../store/port.ts';
import { given, listBuilds, previousVersion } from './builds.ts';
import { maxRings, type Ring, readRings, ringNamePattern, ringOf, ringsKey } from './rings.ts';
import { RolloutError } from './rollout-errors.ts';

export type RolloutDeps = { readonly store: Store; readonly audit: Pick<AuditLog, 'append'> };

export type RolloutOrder = {
  readonly ring: string;
  /** A published version, or `n-1`: stay one behind the newest from now on. */
  readonly version: string;
  readonly labels?: { readonly [name: string]: string };
  readonly percent?: number;
  readonly maxFailedPercent?: number;
  readonly actor: Actor;
};

const defaultMaxFailedPercent = 20;

const newRing: Omit<Ring, 'name'> = {
  labels: {},
  percent: 100,
  pin: 'none',
  maxFailedPercent: defaultMaxFailedPercent,
  isPaused: false,
  halted: '',
  rollout: 0,
  version: '',
  builds: {},
  nodes: 0,
};

/** Gives a ring a build; a ring that is not there yet is made, after the others. Throws `RolloutError`. */
export async function rolloutBuild(deps: RolloutDeps, order: RolloutOrder): Promise<Ring> {
  if (!ringNamePattern.test(order.ring)) throw new RolloutError('bad_ring', 'a ring is named like canary-2');
  const builds = await listBuilds(deps.store);
  const isPinned = order.version === 'n-1';
  const version = isPinned ? previousVersion(builds) : order.version;
  if (version === undefined || !builds.some((each) => each.version === version)) {
    throw new RolloutError(
      'unknown_build',
      isPinned ? 'there are not two versions yet' : `${order.version} is not published`,
    );
  }
  return change(deps, order, {
    type: 'artifact.rollout',
    to: (ring = { name: order.ring, ...newRing }) => ({
      ...given(ring, version, builds),
      pin: isPinned ? 'n-1' : 'none',
      isPaused: false,
      halted: '',
      ...(order.labels === undefined ? {} : { labels: { ...order.labels } }),
      ...(order.percent === undefined ? {} : { percent: order.percent }),
      ...(order.maxFailedPercent === undefined ? {} : { maxFailedPercent: order.maxFailedPercent }),
    }),
  });
}

export type HaltOrder = {
  readonly ring: string;
  readonly reason: string;
  /** Only while the ring is at this rollout; left out: whichever it is at. */
  readonly rollout?: number;
  readonly actor: Actor;
};

/** Nothing more is offered to the ring. What a node took already is its own to finish. A halted ring stays as it is. */
export async function haltRing(deps: RolloutDeps, order: HaltOrder): Promise<Ring> {
  return change(deps, order, {
    type: 'artifact.halt',
    to: (ring = unknown(order.ring)) => {
      const isOver = order.rollout !== undefined && order.rollout !== ring.rollout;
      return isOver || ring.halted !== '' ? ring : { ...ring, halted: order.reason };
    },
  });
}

type RingOrder = { readonly ring: string; readonly actor: Actor };

/** Nothing more is offered to the ring until it is resumed, and nothing is wrong with it. A paused ring stays as it is. */
export async function pauseRing(deps: RolloutDeps, order: RingOrder): Promise<Ring> {
  return change(deps, order, {
    type: 'artifact.pause',
    to: (ring = unknown(order.ring)) => (ring.isPaused ? ring : { ...ring, isPaused: true }),
  });
}

/**
 * A paused ring goes on where it was. A halted one is offered the build under a new rollout: nodes that failed try once
 * more, and are counted anew. One that is neither stays as it is.
 */
export async function resumeRing(deps: RolloutDeps, order: RingOrder): Promise<Ring> {
  const builds = await listBuilds(deps.store);
  return change(deps, order, {
    type: 'artifact.resume',
    to: (ring = unknown(order.ring)) => {
      if (ring.halted !== '') return { ...given(ring, ring.version, builds), isPaused: false, halted: '' };
      return ring.isPaused ? { ...ring, isPaused: false } : ring;
    },
  });
}

export type RingChange = {
  readonly type: 'artifact.rollout' | 'artifact.halt' | 'artifact.pause' | 'artifact.resume';
  /** The same ring again: nothing is changed, and nothing recorded. */
  to(ring: Ring | undefined): Ring;
};

async function change(
  { store, audit }: RolloutDeps,
  { ring: name, actor }: { readonly ring: string; readonly actor: Actor },
  { type, to }: RingChange,
): Promise<Ring> {
  const { revision, rings } = await readRings(store);
  const index = rings.findIndex((each) => each.name === name);
  const held = index < 0 ? undefined : rings[index];
  const wanted = to(held);
  if (wanted === held) return held;
  const all = index < 0 ? [...rings, wanted] : rings.map((each) => (each === held ? wanted : each));
  if (all.length > maxRings) throw new RolloutError('bad_ring', `there are ${maxRings} rings already`);
  const isBegun = wanted.rollout !== held?.rollout;
  const changed = isBegun ? { ...wanted, nodes: await countNodes(store, all, name) } : wanted;
  const outcome = await audit.append(
    {
      type,
      actor,
      object: { kind: 'ring', id: name },
      outcome: 'success',
      detail: detailOf(type, changed),
    },
    [
      {
        kind: 'put',
        item: { ...ringsKey, revision: revision + 1, rings: all.map((each) => (each.name === name ? changed : each)) },
        when: revision === 0 ? { kind: 'absent' } : { kind: 'equals', name: 'revision', value: revision },
      },
    ],
  );
  if (!outcome.ok) throw new RolloutError('conflict', 'the rings were changed in the meantime; try again');
  return changed;
}

function detailOf(type: RingChange['type'], ring: Ring) {
  const { version, rollout } = ring;
  switch (type) {
    case 'artifact.halt':
      return { version, rollout, reason: ring.halted };
    case 'artifact.pause':
    case 'artifact.resume':
      return { version, rollout };
    case 'artifact.rollout':
      return { version, rollout, labels: ring.labels, percent: ring.percent, pin: ring.pin, nodes: ring.nodes };
  }
}

async function countNodes(store: Store, rings: readonly Ring[], name: string): Promise<number> {
  let nodes = 0;
  for await (const node of listNodes(store)) {
    if (node.state === 'active' && ringOf(rings, node)?.name === name) nodes += 1;
  }
  return nodes;
}

function unknown(name: string): never {
  throw new RolloutError('unknown_ring', `there is no ring ${JSON.stringify(name.slice(0, 64))}`);
}

/**
 * Rings: which nodes get which build of the agent, and when. All of them are one stored item, which the gateway keeps in
 * memory; a node belongs to the first ring that its enrolled labels and its share match.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Key, Store } from '../store/port.ts';
import { compareVersions, parseVersion } from './version.ts';

export const ringsKey: Key = { pk: 'rings', sk: 'current' };

export const maxRings = 32;
export const ringNamePattern = /^[a-z][a-z0-9-]{0,31}$/;

const ring = z.strictObject({
  name: z.string().regex(ringNamePattern),
  /** All must match; none: every node. */
  labels: z.record(z.string(), z.string()),
  /** The share of the matching nodes, by a hash of their UUID: the same ones at each rise. */
  percent: z.int().min(1).max(100),
  /** `n-1`: stays one published version behind, by itself. */
  pin: z.enum(['none', 'n-1']),
  /** The ring stops itself when this share of its nodes failed. */
  maxFailedPercent: z.int().min(1).max(100),
  isPaused: z.boolean(),
  /** Why it was halted; empty while it goes on. */
  halted: z.string().max(200),
  /** Rises each time that the ring is given a build, or resumed. */
  rollout: z.int().min(0),
  /** Empty until it was given one. */
  version: z.string().max(64),
  /** SHA-256 of the program, by platform. */
  builds: z.record(z.string(), z.string()),
  /** Nodes in it when the rollout began. */
  nodes: z.int().min(0),
});

const stored = z.object({ revision: z.int(), rings: z.array(ring).max(maxRings) });

export type Ring = z.infer<typeof ring>;
export type Rings = { readonly revision: number; readonly rings: readonly Ring[] };

export const noRings: Rings = { revision: 0, rings: [] };

/** Undefined when the item can't be read. */
export function parseRings(item: unknown): Rings | undefined {
  const parsed = stored.safeParse(item);
  return parsed.success ? parsed.data : undefined;
}

export async function readRings(store: Pick<Store, 'get'>): Promise<Rings> {
  const item = await store.get(ringsKey);
  if (item === undefined) return noRings;
  const rings = parseRings(item);
  if (rings === undefined) throw new TypeError('the stored rings can not be read');
  return rings;
}

export type RingNode = {
  readonly uuid: string;
  readonly labels: { readonly [name: string]: string };
  readonly platform: string;
};

export function ringOf(rings: readonly Ring[], node: Pick<RingNode, 'uuid' | 'labels'>): Ring | undefined {
  return rings.find((each) => matches(each, node));
}

/** What this node should run instead of `running`; undefined when that is fine. Nothing older is ever offered. */
export function wantedBuild(
  rings: readonly Ring[],
  node: RingNode,
  running: string,
): { readonly ring: Ring; readonly sha256: string } | undefined {
  if (rings.length === 0) return undefined;
  const found = ringOf(rings, node);
  if (found === undefined || found.isPaused || found.halted !== '' || found.version === '') return undefined;
  const sha256 = Object.hasOwn(found.builds, node.platform) ? found.builds[node.platform] : undefined;
  if (sha256 === undefined || found.version === running || !isNewer(found.version, running)) return undefined;
  return { ring: found, sha256 };
}

function isNewer(wanted: string, running: string): boolean {
  try {
    return compareVersions(parseVersion(wanted), parseVersion(running)) > 0;
  } catch {
    // What a node says that it runs is its own word; whatever it is, the agent decides.
    return true;
  }
}

function matches({ name, labels, percent }: Ring, node: Pick<RingNode, 'uuid' | 'labels'>): boolean {
  for (const [label, value] of Object.entries(labels)) {
    if (!Object.hasOwn(node.labels, label) || node.labels[label] !== value) return false;
  }
  return percent === 100 || shareOf(name, node.uuid) < percent * 100;
}

/** 0 to 9,999, the same for a node and a ring for ever. */
function shareOf(ringName: string, uuid: string): number {
  return createHash('sha256').update(`${ringName}\0${uuid}`).digest().readUInt32BE(0) % 10_000;
}

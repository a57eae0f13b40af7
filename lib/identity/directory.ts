/**
 * The node directory: what a gateway keeps of every node in memory, so that a check-in reads no store. Loaded once,
 * then fed by the store's change feed; when the feed goes silent the directory says so, and the gateway refuses.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { z } from 'zod';
import { noRings, parseRings, type Rings, ringsKey } from '../artifacts/rings.ts';
import type { Ed25519PublicKey } from '../crypto/ed25519.ts';
import { type Change, type FeedPosition, type Item, type Key, type Store, StoreError } from '../store/port.ts';
import type { Labels } from './names.ts';
import { type NodeState, nodeItems, parseNode, type ReleaseRef, wakePartition } from './nodes.ts';

/** After this long without a successful read of the feed, what is in memory may miss a revocation. */
export const maxSilenceMs = 10_000;

/** What is kept of a node: no more, because there may be very many. */
export type DirectoryNode = {
  readonly uuid: string;
  readonly name: string;
  readonly state: NodeState;
  readonly revision: number;
  readonly identityKey: Ed25519PublicKey;
  readonly seenAt?: number;
  /** SHA-256 of the newest facts that it reported, hexadecimal. */
  readonly factsDigest?: string;
  /** As enrolled. */
  readonly labels: Labels;
  readonly platform: string;
};

/** A node without `node` is gone or unreadable: it is unknown from then on, and its streams must be cut too. */
export type DirectoryChange =
  | { readonly kind: 'node'; readonly uuid: string; readonly node?: DirectoryNode }
  | { readonly kind: 'release'; readonly release: ReleaseRef }
  | { readonly kind: 'secrets'; readonly epoch: number }
  /** A ring was given another build, halted, or resumed. */
  | { readonly kind: 'rings' }
  /** An operator asked for the node to check in, and to converge when `run`. */
  | { readonly kind: 'wake'; readonly uuid: string; readonly run: boolean; readonly dryRun: boolean };

export interface NodeDirectory {
  get(uuid: string): DirectoryNode | undefined;
  /** False once the feed has been silent for `maxSilenceMs`: refuse requests then. */
  fresh(): boolean;
  /** The fleet's current release; none before the first publish. */
  release(): ReleaseRef | undefined;
  /** The fleet's secrets epoch; 0 before the first secret. */
  secretsEpoch(): number;
  /** Which builds of the agent which nodes should run. */
  rings(): Rings;
  /** Called for every change of a node's state or key, of the current release and of the secrets epoch. Returns its own cancellation. */
  onChange(listener: (change: DirectoryChange) => void): () => void;
  readonly size: number;
  close(): Promise<void>;
}

export type DirectoryDeps = {
  readonly store: Store;
  readonly now: () => number;
  readonly logger: Pick<Logger, 'warn' | 'error'>;
  /** Waits between failed reads; injected by tests. */
  readonly pause?: (signal: AbortSignal) => Promise<void>;
};

const currentRelease: Key = { pk: 'release', sk: 'current' };
/** As lib/secrets/epoch.ts writes it. */
const secretsEpoch: Key = { pk: 'secrets', sk: 'epoch' };
const storedEpoch = z.object({ epoch: z.int().min(0) });
const storedRelease = z.object({ number: z.int().min(1), digest: z.string().regex(/^[0-9a-f]{64}$/) });

/** Resolves when every node is in memory. Throws what the store throws when it can't be loaded. */
export async function openNodeDirectory(deps: DirectoryDeps): Promise<NodeDirectory> {
  const { store, now, logger } = deps;
  const pause = deps.pause ?? ((signal) => sleep(200, undefined, { signal, ref: false }));
  const listeners = new Set<(change: DirectoryChange) => void>();
  const stop = new AbortController();
  let nodes = new Map<string, DirectoryNode>();
  let release: ReleaseRef | undefined;
  let epoch = 0;
  let rings = noRings;
  let heardAt = now();

  let position = await load();
  const following = follow();

  return {
    get: (uuid) => nodes.get(uuid),
    fresh: () => now() - heardAt <= maxSilenceMs && !stop.signal.aborted,
    release: () => release,
    secretsEpoch: () => epoch,
    rings: () => rings,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    get size() {
      return nodes.size;
    },
    async close() {
      stop.abort();
      listeners.clear();
      await following;
    },
  };

  /** Loads everything anew. The position is taken first, so that no change falls between it and the load. */
  async function load(): Promise<FeedPosition> {
    const askedAt = now();
    const start = await store.feed.now();
    const before = nodes;
    const loaded = new Map<string, DirectoryNode>();
    for await (const item of nodeItems(store)) {
      const node = readNode(item);
      if (node) loaded.set(node.uuid, node);
    }
    const current = await store.get(currentRelease);
    const secrets = await store.get(secretsEpoch);
    const ringsItem = await store.get(ringsKey);
    nodes = loaded;
    heardAt = askedAt;
    for (const uuid of before.keys()) if (!loaded.has(uuid)) tell({ kind: 'node', uuid });
    for (const [uuid, node] of loaded) if (differs(before.get(uuid), node)) tell({ kind: 'node', uuid, node });
    if (current) takeRelease(current);
    if (secrets) takeEpoch(secrets);
    if (ringsItem) takeRings(ringsItem);
    return start;
  }

  async function follow(): Promise<void> {
    while (!stop.signal.aborted) {
      // A read that began before a silence may end after it: only what was asked counts as heard.
      const askedAt = now();
      try {
        const read = await store.feed.read(position, { limit: 1000, waitMs: 1000, signal: stop.signal });
        for (const change of read.changes) take(change);
        position = read.position;
        heardAt = Math.max(heardAt, askedAt);
      } catch (error) {
        if (stop.signal.aborted) return;
        // Nothing will ever come again; what is held goes stale by itself.
        if (error instanceof StoreError && error.code === 'closed') return;
        logger.warn({ err: error }, 'The change feed of the store could not be read');
        await recover(error);
      }
    }
  }

  async function recover(error: unknown): Promise<void> {
    try {
      if (error instanceof StoreError && error.code === 'feed_expired') position = await load();
      else await pause(stop.signal);
    } catch (second) {
      if (stop.signal.aborted) return;
      logger.warn({ err: second }, 'The node directory could not be loaded anew');
      await pause(stop.signal).catch(() => undefined);
    }
  }

  function take({ key, item }: Change): void {
    if (key.pk.startsWith('node#')) takeNode(key.sk, item);
    else if (key.pk === currentRelease.pk && key.sk === currentRelease.sk && item) takeRelease(item);
    else if (key.pk === wakePartition && item)
      tell({ kind: 'wake', uuid: key.sk, run: item['run'] === true, dryRun: item['dryRun'] === true });
    else if (key.pk === ringsKey.pk && key.sk === ringsKey.sk && item) takeRings(item);
    else if (key.pk === secretsEpoch.pk && key.sk === secretsEpoch.sk && item) takeEpoch(item);
  }

  function takeNode(uuid: string, item: Item | undefined): void {
    const held = nodes.get(uuid);
    const node = item && readNode(item);
    if (!node) {
      // Nothing of ours deletes or garbles a node: whoever did gets a node that is refused.
      nodes.delete(uuid);
      if (held) tell({ kind: 'node', uuid });
      return;
    }
    // The feed repeats what was already loaded: an older state, "active" before a revocation, must not come back.
    if (held && (node.revision < held.revision || held.state === 'revoked')) return;
    nodes.set(uuid, node);
    if (differs(held, node)) tell({ kind: 'node', uuid, node });
  }

  function takeRelease(item: Item): void {
    const parsed = storedRelease.safeParse(item);
    if (!parsed.success) {
      logger.error('The current release in the store can not be read');
      return;
    }
    if (release && parsed.data.number < release.number) return;
    if (release?.number === parsed.data.number && release.digest === parsed.data.digest) return;
    release = parsed.data;
    tell({ kind: 'release', release });
  }

  /** The feed repeats what was loaded: a lower one is an older one. */
  function takeEpoch(item: Item): void {
    const parsed = storedEpoch.safeParse(item);
    if (!parsed.success) {
      logger.error('The secrets epoch in the store can not be read');
      return;
    }
    if (parsed.data.epoch <= epoch) return;
    epoch = parsed.data.epoch;
    tell({ kind: 'secrets', epoch });
  }

  function takeRings(item: Item): void {
    const parsed = parseRings(item);
    if (parsed === undefined) {
      logger.error('The rings in the store can not be read');
      return;
    }
    if (parsed.revision <= rings.revision) return;
    rings = parsed;
    tell({ kind: 'rings' });
  }

  function readNode(item: Item): DirectoryNode | undefined {
    try {
      const { uuid, name, state, revision, identityKey, seenAt, factsDigest, labels, platform } = parseNode(item);
      const known = {
        ...(seenAt === undefined ? {} : { seenAt }),
        ...(factsDigest === undefined ? {} : { factsDigest }),
      };
      return { uuid, name, state, revision, identityKey, labels: shared(labels), platform, ...known };
    } catch (error) {
      logger.error({ err: error }, 'A stored node can not be read and is refused');
      return undefined;
    }
  }

  function tell(change: DirectoryChange): void {
    for (const listener of listeners) {
      try {
        listener(change);
      } catch (error) {
        logger.error({ err: error }, 'A listener of the node directory failed');
      }
    }
  }
}

const noLabels: Labels = Object.freeze({});

/** Most nodes have few labels, and very many have none. */
function shared(labels: Labels): Labels {
  return Object.keys(labels).length === 0 ? noLabels : labels;
}

function differs(held: DirectoryNode | undefined, node: DirectoryNode): boolean {
  return (
    held === undefined || held.state !== node.state || !held.identityKey.every((b, i) => b === node.identityKey[i])
  );
}

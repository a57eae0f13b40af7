/**
 * Nodes as they are stored, and the verbs that change their state. A node is never deleted: `revoked` is a tombstone
 * that no write leaves, so its UUID can't be enrolled again.
 */
import { z } from 'zod';
import type { Actor, AuditLog } from '../audit/port.ts';
import type { Ed25519PublicKey } from '../crypto/ed25519.ts';
import type { Condition, Item, Key, Store } from '../store/port.ts';
import { IdentityError } from './errors.ts';
import type { Labels } from './names.ts';

/** `quarantined` may check in and renew, but gets no policy and no secrets. */
export type NodeState = 'active' | 'quarantined' | 'revoked';

/** A release by its number and the SHA-256 of its manifest, hexadecimal. */
export type ReleaseRef = { readonly number: number; readonly digest: string };

export type NodeRecord = {
  readonly uuid: string;
  /** The hostname it was enrolled with; bindings match this, never what the node says later. */
  readonly name: string;
  readonly labels: Labels;
  readonly state: NodeState;
  /** Rises with every change of state: an older view never replaces a newer one. */
  readonly revision: number;
  readonly identityKey: Ed25519PublicKey;
  /** X25519, 32 bytes. */
  readonly sealingKey: Uint8Array;
  readonly platform: string;
  /** Id of the token that it was enrolled with. */
  readonly token: string;
  readonly enrolledAt: number;
  readonly revokedAt?: number;
  /** End of the newest certificate's life. */
  readonly certificateExpiresAt?: number;
  readonly seenAt?: number;
  /** What it said, at its last recorded check-in, to hold. */
  readonly release?: ReleaseRef;
  readonly agentVersion?: string;
  /** SHA-256 of the newest facts that it reported, hexadecimal. */
  readonly factsDigest?: string;
  /** The newest run that it reported, `at` by the node's own clock. */
  readonly lastRun?: { readonly runId: string; readonly at: number; readonly dryRun: boolean };
};

export type NodeDeps = { readonly store: Store; readonly audit: AuditLog; readonly now: () => number };

/** An operator's order to change a node's state. */
export type NodeOrder = { readonly uuid: string; readonly actor: Actor; readonly reason?: string };

/** Nodes are spread over partitions by the first hexadecimal digit of their UUID. */
export const nodePartitions: readonly string[] = [...'0123456789abcdef'].map((digit) => `node#${digit}`);

/** The newest order to wake each node, by UUID. */
export const wakePartition = 'wake';

export function nodeKey(uuid: string): Key {
  return { pk: `node#${uuid.slice(0, 1)}`, sk: uuid };
}

const storedNode = z.object({
  sk: z.string(),
  name: z.string(),
  labels: z.record(z.string(), z.string()),
  state: z.enum(['active', 'quarantined', 'revoked']),
  revision: z.int(),
  identityKey: z.instanceof(Uint8Array).refine((key) => key.length === 32),
  sealingKey: z.instanceof(Uint8Array).refine((key) => key.length === 32),
  platform: z.string(),
  token: z.string(),
  enrolledAt: z.number(),
  revokedAt: z.number().optional(),
  certificateExpiresAt: z.number().optional(),
  seenAt: z.number().optional(),
  release: z.object({ number: z.int(), digest: z.string() }).optional(),
  agentVersion: z.string().optional(),
  factsDigest: z.string().optional(),
  // Nothing is decided by it, so what can't be read is no reason to refuse a node.
  lastRun: z.object({ runId: z.string(), at: z.number(), dryRun: z.boolean() }).optional().catch(undefined),
});

/** Throws `IdentityError` `malformed` when the item isn't a node; callers then treat the node as unknown. */
export function parseNode(item: Item): NodeRecord {
  const parsed = storedNode.safeParse(item);
  if (!parsed.success) {
    throw new IdentityError('malformed', `The stored node ${JSON.stringify(item.sk)} can't be read`, {
      cause: parsed.error,
    });
  }
  const { sk, identityKey, sealingKey, ...rest } = parsed.data;
  return {
    ...(rest as Omit<NodeRecord, 'uuid' | 'identityKey' | 'sealingKey'>),
    uuid: sk,
    // Enrollment parsed it (weak keys refused), and the verifier refuses small order again. Copied, because a view
    // would keep the whole buffer that the store read it into.
    identityKey: new Uint8Array(identityKey) as Ed25519PublicKey,
    sealingKey: new Uint8Array(sealingKey),
  };
}

export async function getNode(store: Store, uuid: string): Promise<NodeRecord | undefined> {
  const item = await store.get(nodeKey(uuid));
  return item && parseNode(item);
}

/** Every node, revoked ones too, in order of UUID. */
export async function* listNodes(store: Store): AsyncGenerator<NodeRecord> {
  for await (const item of nodeItems(store)) yield parseNode(item);
}

/** Every stored node, unparsed, so that one that can't be read doesn't hide the others. */
export async function* nodeItems(store: Store): AsyncGenerator<Item> {
  for (const pk of nodePartitions) {
    let after: string | undefined;
    do {
      const page = await store.query(after === undefined ? { pk } : { pk, after });
      yield* page.items;
      after = page.next;
    } while (after !== undefined);
  }
}

/** For ever. Revoking a revoked node changes nothing and leaves no second entry. */
export async function revokeNode(deps: NodeDeps, order: NodeOrder): Promise<NodeRecord> {
  return change(deps, order, { type: 'node.revoke', from: ['active', 'quarantined'], to: 'revoked' });
}

export async function quarantineNode(deps: NodeDeps, order: NodeOrder): Promise<NodeRecord> {
  return change(deps, order, { type: 'node.quarantine', from: ['active'], to: 'quarantined' });
}

/** Ends a quarantine. Nothing recovers a revoked node. */
export async function recoverNode(deps: NodeDeps, order: NodeOrder): Promise<NodeRecord> {
  return change(deps, order, { type: 'node.recover', from: ['quarantined'], to: 'active' });
}

/**
 * Notes that a node was seen, and what it holds. Not a privileged operation, so without an entry; it can neither
 * create a node nor change its state. Callers write on change, or every 15 minutes at most.
 */
export async function touchNode(
  store: Store,
  uuid: string,
  seen: { readonly seenAt: number; readonly release?: ReleaseRef; readonly agentVersion?: string },
): Promise<void> {
  await store.transact([{ kind: 'update', key: nodeKey(uuid), set: { ...seen }, when: { kind: 'present' } }]);
}

type Transition = {
  readonly type: 'node.revoke' | 'node.quarantine' | 'node.recover';
  readonly from: readonly NodeState[];
  readonly to: NodeState;
};

async function change(deps: NodeDeps, order: NodeOrder, transition: Transition): Promise<NodeRecord> {
  const { uuid, actor, reason } = order;
  const inFrom: Condition = {
    kind: 'any',
    of: transition.from.map((value) => ({ kind: 'equals', name: 'state', value })),
  };
  const applied = await deps.audit.append(
    {
      type: transition.type,
      actor,
      object: { kind: 'node', id: uuid },
      outcome: 'success',
      detail: reason === undefined ? {} : { reason },
    },
    [
      {
        kind: 'update',
        key: nodeKey(uuid),
        set: { state: transition.to, ...(transition.to === 'revoked' ? { revokedAt: deps.now() } : {}) },
        add: { revision: 1 },
        when: { kind: 'all', of: [{ kind: 'present' }, inFrom] },
      },
    ],
  );
  const node = await getNode(deps.store, uuid);
  if (!node) throw new IdentityError('not_found', `No node has the UUID ${JSON.stringify(uuid)}.`);
  if (applied.ok || node.state === transition.to) return node;
  // The only state that no verb leaves; any other one is the verb's own starting point, so a race was lost.
  if (node.state === 'revoked') throw new IdentityError('revoked', `Node ${uuid} is revoked, which is for ever.`);
  return change(deps, order, transition);
}

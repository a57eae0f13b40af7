/** The facts of each node, newest only: bounded, checked for their form and not for their truth, which is the node's word. */
import { sha256Hex } from '../../lib/crypto/digest.ts';
import { CryptoError } from '../../lib/crypto/errors.ts';
import { parseCanonicalJson } from '../../lib/crypto/jcs.ts';
import type { DirectoryNode } from '../../lib/identity/directory.ts';
import { nodeKey } from '../../lib/identity/nodes.ts';
import { maxFactsBytes } from '../../lib/policy/facts.ts';
import type { Key, Store } from '../../lib/store/port.ts';
import { RequestRefused } from './refusals.ts';

/** A node whose facts change without end writes no more often than this. */
const minIntervalMs = 5_000;
/** Nodes whose last report is remembered for that; the oldest is forgotten. */
const maxRemembered = 10_000;

export type FactsStore = {
  /** Durable when it returns. Throws `RequestRefused`. */
  record(node: Pick<DirectoryNode, 'uuid' | 'factsDigest'>, bytes: Uint8Array): Promise<void>;
};

/** `facts` (canonical JSON), `digest` (hexadecimal) and `at`. */
export function factsKey(uuid: string): Key {
  return { pk: `facts#${uuid}`, sk: 'current' };
}

export function createFactsStore({ store, now }: { readonly store: Store; readonly now: () => number }): FactsStore {
  const recordedAt = new Map<string, number>();
  return {
    async record(node, bytes) {
      const digest = parseFacts(bytes);
      if (node.factsDigest === digest) return;
      const at = now();
      const last = recordedAt.get(node.uuid);
      if (last !== undefined && at - last < minIntervalMs && at >= last) {
        throw new RequestRefused('UNAVAILABLE', 'The facts of this node were recorded just now; report them later.');
      }
      recordedAt.delete(node.uuid);
      recordedAt.set(node.uuid, at);
      const oldest = recordedAt.size > maxRemembered ? recordedAt.keys().next().value : undefined;
      if (oldest !== undefined) recordedAt.delete(oldest);
      await store.transact([
        { kind: 'put', item: { ...factsKey(node.uuid), facts: bytes, digest, at } },
        { kind: 'update', key: nodeKey(node.uuid), set: { factsDigest: digest }, when: { kind: 'present' } },
      ]);
    },
  };
}

/** Attacker-controlled. Returns the digest of what is a canonical JSON object of bounded size and depth. */
function parseFacts(bytes: Uint8Array): string {
  try {
    const facts = parseCanonicalJson(bytes, { maxBytes: maxFactsBytes, maxDepth: 8 });
    if (typeof facts !== 'object' || facts === null || Array.isArray(facts)) throw invalid();
  } catch (error) {
    if (error instanceof CryptoError) throw invalid();
    throw error;
  }
  return sha256Hex(bytes);
}

function invalid(): RequestRefused {
  return new RequestRefused('INVALID_REPORT', 'The facts are not a canonical JSON object of at most 64 KiB.');
}

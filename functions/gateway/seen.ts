/**
 * Last-seen: written when what a node holds has changed, and otherwise every 15 minutes at most; less often where a gateway
 * holds more than 7,500 nodes, so that no fleet pays for more than 9 such writes a second and gateway. Kept off the path
 * of the answer; a write that fails is tried again with a later check-in, because nothing is decided by it.
 */
import type { Logger } from 'pino';
import type { DirectoryNode } from '../../lib/identity/directory.ts';
import { type ReleaseRef, touchNode } from '../../lib/identity/nodes.ts';
import type { Store } from '../../lib/store/port.ts';

const seenIntervalMs = 15 * 60_000;
const writeEveryMs = 120;

/** Between two writes of one node, in whole minutes. */
export function seenInterval(connected: number): number {
  return Math.max(seenIntervalMs, Math.ceil((connected * writeEveryMs) / 60_000) * 60_000);
}

/** Nodes noted at the same time; the others wait for their next check-in. */
const maxWrites = 64;

export type Holding = { readonly release?: ReleaseRef; readonly agentVersion: string };

export type SeenLog = {
  note(node: DirectoryNode, holding: Holding): void;
  /** Writes at once that a node is there, because its session was told to wake: whoever asked for that waits to know. */
  woken(uuid: string): void;
  /** Resolves when no write is under way. */
  settled(): Promise<void>;
};

export function createSeenLog(deps: {
  readonly store: Store;
  readonly now: () => number;
  /** How many nodes are connected. */
  readonly connected: () => number;
  readonly logger: Pick<Logger, 'warn'>;
}): SeenLog {
  const noted = new Map<string, { readonly at: number; readonly holding: string }>();
  const writing = new Set<Promise<void>>();

  function write(uuid: string, seen: Parameters<typeof touchNode>[2], onFailure: () => void): void {
    const done: Promise<void> = touchNode(deps.store, uuid, seen)
      .catch((error: unknown) => {
        onFailure();
        deps.logger.warn({ err: error, node: uuid }, 'The last-seen time of a node could not be written');
      })
      .finally(() => writing.delete(done));
    writing.add(done);
  }

  return {
    note(node, holding) {
      const last = noted.get(node.uuid);
      const now = deps.now();
      const held = `${holding.release?.number ?? 0} ${holding.release?.digest ?? ''} ${holding.agentVersion}`;
      if (last && last.holding === held && now - last.at < seenInterval(deps.connected())) return;
      if (writing.size >= maxWrites) return;
      noted.set(node.uuid, { at: now, holding: held });
      write(node.uuid, { seenAt: now, ...holding }, () => noted.delete(node.uuid));
    },
    woken: (uuid) => write(uuid, { seenAt: deps.now() }, () => undefined),
    async settled() {
      await Promise.all(writing);
    },
  };
}

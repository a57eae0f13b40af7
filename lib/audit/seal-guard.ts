/**
 * Fail-closed up to the signature: knows which of the writer's own entries no checkpoint covers yet, and refuses when
 * the oldest of them is too old. Costs nothing while sealing works: the store is asked only once an entry is 5 s old.
 */
import type { Store } from '../store/port.ts';
import type { Seen } from './entry.ts';
import { nothingSeen, readCheckpoint } from './head.ts';
import { AuditError } from './port.ts';

export type SealGuard = {
  /** Throws `AuditError` `unavailable` when sealing lags. */
  assertSealing(): Promise<void>;
  /** The newest checkpoint known here. */
  seen(): Seen;
  refresh(): Promise<void>;
  onWritten(lane: string, n: number, time: number): void;
  onFenced(lane: string): void;
};

export const maxUnsealedMs = 30_000;
const refreshAfterMs = 5_000;
/** Entries this close together are remembered as one. */
const resolutionMs = 250;

export function createSealGuard({ store, now }: { readonly store: Store; readonly now: () => number }): SealGuard {
  let newest: Seen = nothingSeen;
  let unsealed: { readonly lane: string; n: number; readonly time: number }[] = [];
  let refreshing: Promise<void> | undefined;

  const oldestAgeMs = () => {
    const [oldest] = unsealed;
    return oldest === undefined ? 0 : now() - oldest.time;
  };

  async function read(): Promise<void> {
    const checkpoint = await readCheckpoint(store);
    if (checkpoint === undefined) return;
    newest = { size: checkpoint.size, root: checkpoint.root };
    unsealed = unsealed.filter(({ lane, n }) => n >= (checkpoint.lanes.get(lane) ?? 0));
  }

  function refresh(): Promise<void> {
    refreshing ??= read().finally(() => {
      refreshing = undefined;
    });
    return refreshing;
  }

  async function assertSealing(): Promise<void> {
    if (oldestAgeMs() < refreshAfterMs) return;
    try {
      await refresh();
    } catch (cause) {
      if (oldestAgeMs() <= maxUnsealedMs) return; // Not known to lag yet; the append itself meets the store.
      throw new AuditError('unavailable', 'the audit log can’t be read', { cause });
    }
    const ageMs = oldestAgeMs();
    if (ageMs <= maxUnsealedMs) return;
    throw new AuditError('unavailable', `an audit entry has been without a signed checkpoint for ${ageMs} ms`);
  }

  return {
    assertSealing,
    refresh,
    seen: () => newest,
    onWritten(lane, n, time) {
      const last = unsealed.at(-1);
      // The older time is kept with the newer number: on the safe side.
      if (last?.lane === lane && time - last.time < resolutionMs) last.n = n;
      else unsealed.push({ lane, n, time });
    },
    onFenced(lane) {
      // Whoever took the lane's next slot read the entries before it: they are the sealer's now.
      unsealed = unsealed.filter((each) => each.lane !== lane);
    },
  };
}

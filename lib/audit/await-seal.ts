/** Class S: waits until a signed and published checkpoint covers an entry. */
import type { Store } from '../store/port.ts';
import { readCheckpoint } from './head.ts';
import { AuditError, type EntryRef } from './port.ts';

export const maxSealWaitMs = 30_000;
/** A sealer signs once a second at most; asking more often than that is for the one whose turn just came. */
const pollMs = 200;

/** Throws `AuditError` `unsealed` when no checkpoint covers the entry within 30 s. */
export async function awaitSeal(
  { store, now, delay }: { readonly store: Store; readonly now: () => number; delay: (ms: number) => Promise<void> },
  { lane, n }: EntryRef,
): Promise<void> {
  const began = now();
  let cause: unknown;
  // Counted too: a clock that stands still must not keep the caller for ever.
  for (let poll = 0; poll <= maxSealWaitMs / pollMs && now() - began <= maxSealWaitMs; poll++) {
    try {
      const checkpoint = await readCheckpoint(store);
      if ((checkpoint?.lanes.get(lane) ?? 0) > n) return;
    } catch (error) {
      cause = error; // The entry stands: what can't be read now may be later.
    }
    await delay(pollMs);
  }
  const message = `entry ${n} of lane ${lane} stands, but no signed checkpoint covers it after ${maxSealWaitMs} ms`;
  throw new AuditError('unsealed', message, { cause });
}

/** Audit entries as they stand in a table, for tests that compare operations with what was recorded of them. */
import { parseEntry } from '../../lib/audit/entry.ts';
import { slotEntries } from '../../lib/audit/items.ts';
import type { Item } from '../../lib/store/port.ts';

/** Of the items of a table, the ids of what the entries of this type and outcome were about. */
export function recorded(items: readonly Item[], type: string, outcome: string): string[] {
  return items
    .filter(({ pk }) => pk.startsWith('lane#'))
    .flatMap((item) => slotEntries(item).map((bytes) => parseEntry(bytes)))
    .filter((entry) => entry.op.type === type && entry.outcome === outcome)
    .map((entry) => entry.object.id);
}

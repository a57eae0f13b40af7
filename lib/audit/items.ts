/** Where the log lives in the store: the keys of its items, and their parsers. No other domain writes to these partitions. */
import type { Item, Key, Store, Write } from '../store/port.ts';
import { AuditError } from './port.ts';

/** Sixteen digits hold every safe integer, so sort keys order as numbers do. */
export function formatNumber(n: number): string {
  return String(n).padStart(16, '0');
}

/** Lane `log` belongs to the head: only a seal writes there. Every other lane is `<writer id>-<k>`. */
export const systemLane = 'log';
const writerIdPattern = /^[a-z][a-z0-9.-]{0,47}$/;

export function laneName(writerId: string, k: number): string {
  if (!writerIdPattern.test(writerId)) throw new TypeError(`writer id ${JSON.stringify(writerId)}`);
  return `${writerId}-${k}`;
}

export const lanePartition = (lane: string): string => `lane#${lane}`;
export const slotKey = (lane: string, n: number): Key => ({ pk: lanePartition(lane), sk: formatNumber(n) });
/**
 * A slot: entries [n, n + entries.length) of a lane, which were written together. Its key is the first number, so two
 * writers who both go on from the same entry want the same slot, and `absent` lets one of them have it.
 */
export const slotPut = (lane: string, n: number, entries: readonly Uint8Array[]): Write => ({
  kind: 'put',
  item: { ...slotKey(lane, n), e: entries.length === 1 ? (entries[0] as Uint8Array) : entries },
  when: { kind: 'absent' },
});

/** One item for each lane that is not closed; written with the lane's first entry. */
export const lanesPartition = 'lanes';
export const laneKey = (lane: string): Key => ({ pk: lanesPartition, sk: lane });

export const headKey: Key = { pk: 'log', sk: 'head' };
export const checkpointKey: Key = { pk: 'log', sk: 'checkpoint' };

/** One item for each intent that has no outcome yet; the sort key is the operation's id. */
export const intentsPartition = 'intents';
export const intentKey = (operationId: string): Key => ({ pk: intentsPartition, sk: operationId });

/** True of a partition that is the log's own, where no operation of another domain may write. */
export function isReserved(pk: string): boolean {
  return (
    pk === 'log' ||
    pk === lanesPartition ||
    pk === intentsPartition ||
    pk.startsWith('lane#') ||
    pk.startsWith('block#')
  );
}

/** The entries of a slot, one at least. Throws `AuditError` `corrupt`. */
export function slotEntries(item: Item): readonly Uint8Array[] {
  const stored = item['e'];
  const entries = Array.isArray(stored) ? stored : [stored];
  if (entries.length === 0 || !entries.every((entry) => entry instanceof Uint8Array)) {
    throw new AuditError('corrupt', `slot ${item.pk} ${item.sk} holds no entries`);
  }
  return entries;
}

/** The newest entry of a lane. */
export async function readLaneTail(
  store: Store,
  lane: string,
): Promise<{ readonly n: number; readonly entry: Uint8Array } | undefined> {
  const { items } = await store.query({ pk: lanePartition(lane), descending: true, limit: 1 });
  const [item] = items;
  if (item === undefined) return undefined;
  const entries = slotEntries(item);
  return { n: Number(item.sk) + entries.length - 1, entry: entries.at(-1) as Uint8Array };
}

type NumberedEntry = { readonly n: number; readonly entry: Uint8Array };

/** Entries [from, to) of a lane, in order, as they stand: the caller finds gaps. */
export async function readSlots(store: Store, lane: string, from: number, to: number): Promise<NumberedEntry[]> {
  const found: NumberedEntry[] = [];
  const pk = lanePartition(lane);
  const add = (item: Item) => {
    const first = Number(item.sk);
    for (const [i, entry] of slotEntries(item).entries()) {
      if (first + i >= from && first + i < to) found.push({ n: first + i, entry });
    }
  };
  const range = { pk, from: formatNumber(from), to: formatNumber(to) };
  let after: string | undefined;
  do {
    // Never more slots than entries are wanted.
    const page = await store.query({
      ...range,
      limit: to - from - found.length,
      ...(after !== undefined && { after }),
    });
    // A slot that begins before `from` may reach into the range; mostly none does.
    if (after === undefined && from > 0 && Number(page.items[0]?.sk) !== from) await addSlotBefore();
    for (const item of page.items) add(item);
    after = page.next;
  } while (after !== undefined && found.length < to - from);
  return found;

  async function addSlotBefore(): Promise<void> {
    const before = await store.query({ pk, to: formatNumber(from), descending: true, limit: 1 });
    for (const item of before.items) add(item);
  }
}

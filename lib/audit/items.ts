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
export const slotPut = (lane: string, n: number, entry: Uint8Array): Write => ({
  kind: 'put',
  item: { ...slotKey(lane, n), e: entry },
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

export function slotBytes(item: Item): Uint8Array {
  const bytes = item['e'];
  if (!(bytes instanceof Uint8Array)) throw new AuditError('corrupt', `slot ${item.pk} ${item.sk} holds no entry`);
  return bytes;
}

/** The newest slot of a lane. */
export async function readLaneTail(
  store: Store,
  lane: string,
): Promise<{ readonly n: number; readonly entry: Uint8Array } | undefined> {
  const { items } = await store.query({ pk: lanePartition(lane), descending: true, limit: 1 });
  const [item] = items;
  return item && { n: Number(item.sk), entry: slotBytes(item) };
}

/** Slots [from, to) of a lane, in order, as they stand: the caller finds gaps. */
export async function readSlots(
  store: Store,
  lane: string,
  from: number,
  to: number,
): Promise<{ readonly n: number; readonly entry: Uint8Array }[]> {
  const slots: { n: number; entry: Uint8Array }[] = [];
  const range = { pk: lanePartition(lane), from: formatNumber(from), to: formatNumber(to) };
  for (let after: string | undefined; slots.length < to - from; ) {
    const page = await store.query({
      ...range,
      limit: to - from - slots.length,
      ...(after !== undefined && { after }),
    });
    for (const item of page.items) slots.push({ n: Number(item.sk), entry: slotBytes(item) });
    if (page.next === undefined) break;
    after = page.next;
  }
  return slots;
}

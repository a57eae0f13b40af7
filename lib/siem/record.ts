/**
 * The record of a destination: its configuration and what operators want of it. Only operators' changes write it; where
 * delivery stands is in the cursor, an item of its own, which only the dispatcher writes. So the two never contend.
 */
import { z } from 'zod';
import type { Item, Key, Store } from '../store/port.ts';
import { destinationConfig, destinationName } from './config.ts';
import { SiemError } from './errors.ts';

const count = z.int().min(0);

const shape = z.strictObject({
  /** 16 hex digits, made when it was added: a name that is used again is another destination. */
  id: z.string().regex(/^[0-9a-f]{16}$/),
  /** Rises by one with each change by an operator. */
  revision: z.int().min(1),
  config: destinationConfig,
  /** The revision at which `config` was last changed. */
  configRevision: z.int().min(1),
  /** 64 hex digits: what pseudonyms are keyed with. Not a credential, but nobody is shown it. */
  salt: z.string().regex(/^[0-9a-f]{64}$/),
  createdAt: count,
  /** Where delivery began. */
  start: count,
  paused: z.boolean(),
  /** Rises when an operator wants it tried at once, whatever it waits for. */
  kick: count,
  test: z
    .strictObject({
      nonce: z.string().regex(/^[0-9a-f]{32}$/),
      requestedAt: count,
      /** When somebody said that it was seen at the receiver. */
      confirmedAt: count.optional(),
    })
    .optional(),
  /** Deliver [from, to) again. */
  replay: z.strictObject({ id: z.string().regex(/^[0-9a-f]{16}$/), from: count, to: count }).optional(),
});

export type DestinationRecord = z.infer<typeof shape>;

export const recordsPartition = 'siem#destination';
export const recordKey = (name: string): Key => ({ pk: recordsPartition, sk: name });

export async function readRecord(store: Store, name: string): Promise<DestinationRecord | undefined> {
  // A name from a URL: what is no name has no record.
  if (!destinationName.safeParse(name).success) return undefined;
  const item = await store.get(recordKey(name));
  return item && parseRecord(item);
}

/** By name. */
export async function readRecords(store: Store): Promise<DestinationRecord[]> {
  const records: DestinationRecord[] = [];
  let after: string | undefined;
  do {
    const page = await store.query({ pk: recordsPartition, ...(after !== undefined && { after }) });
    records.push(...page.items.map(parseRecord));
    after = page.next;
  } while (after !== undefined);
  return records;
}

export function recordItem(record: DestinationRecord): Item {
  return { ...recordKey(record.config.name), revision: record.revision, id: record.id, record: JSON.stringify(record) };
}

function parseRecord(item: Item): DestinationRecord {
  const { record } = item;
  const parsed = shape.safeParse(typeof record === 'string' ? parseJson(record) : undefined);
  if (parsed.success && parsed.data.config.name === item.sk) return parsed.data;
  throw new SiemError('corrupt', `the record of destination ${JSON.stringify(item.sk)} is not readable`, {
    ...(parsed.error && { cause: parsed.error }),
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The log's own entries, made by the sealer: they open the log, end each block and close dead lanes. */
import { toHex } from '../crypto/encoding.ts';
import { buildEntry, type EntryPlace, parseEvent } from './entry.ts';
import type { Actor, Detail, ObjectRef } from './port.ts';
import type { OperationType } from './registry.ts';

export const systemActor: Actor = { id: 'system', kind: 'system', auth: 'none' };

/** What only the log itself may record; nobody appends these. */
export const systemTypes: ReadonlySet<OperationType> = new Set(['log.open', 'log.checkpoint', 'log.gap', 'lane.close']);

export function newOperationId(random: (n: number) => Uint8Array): string {
  return toHex(random(8));
}

export function buildSystemEntry(
  type: 'log.open' | 'log.checkpoint' | 'lane.close',
  object: ObjectRef,
  detail: Detail,
  place: EntryPlace,
  random: (n: number) => Uint8Array,
): Uint8Array {
  const event = { type, actor: systemActor, object, outcome: 'success' as const, detail };
  return buildEntry(parseEvent(event, newOperationId(random)), place);
}

/** An operation on its way into the log: its event, ready to be written, and the caller's writes that go with it. */
import type { Key, Write } from '../store/port.ts';
import { type EntryEvent, type EventText, maxEntryBytes, type Phase, parseEvent } from './entry.ts';
import { isReserved } from './items.ts';
import { type AppendOutcome, AuditError } from './port.ts';

/** Leaves room in a transaction of 100 for the entry and for what opening a lane takes. */
export const maxOperationWrites = 96;

/** What an entry holds besides its event: names, numbers and hashes of bounded length. */
const maxPlaceBytes = 768;

export type Operation = {
  readonly event: EventText;
  readonly writes: readonly Write[];
  readonly keys: readonly string[];
  readonly bytes: number;
  /** At least as many as its entry will have. */
  readonly entryBytes: number;
  /** Set once it was refused together with others as `invalid`: from then on it is tried by itself. */
  alone: boolean;
  readonly resolve: (outcome: AppendOutcome) => void;
  readonly reject: (error: AuditError) => void;
};

/** `own` are writes that the log itself adds, after the caller's. */
export type OperationInit = {
  readonly event: EntryEvent;
  readonly writes: readonly Write[];
  readonly own?: readonly Write[];
  readonly operationId: string;
  readonly phase?: Phase;
};

/** Throws `AuditError` `invalid`. */
export function parseOperation(init: OperationInit) {
  const { event, operationId, phase } = init;
  assertWrites(init);
  const writes = init.own === undefined ? init.writes : [...init.writes, ...init.own];
  const text = parseEvent(event, operationId, phase);
  const bytes = Object.values(text).reduce((sum, part) => sum + Buffer.byteLength(part), 0);
  if (bytes > maxEntryBytes - maxPlaceBytes) {
    throw new AuditError('invalid', `the event has ${bytes} bytes, at most ${maxEntryBytes - maxPlaceBytes}`);
  }
  return {
    event: text,
    writes,
    keys: writes.map((write) => formatKey(keyOf(write))),
    bytes: writes.reduce((sum, write) => sum + roughSize(write), 0),
    entryBytes: bytes + maxPlaceBytes,
    alone: false,
  };
}

function assertWrites({ writes, own = [] }: OperationInit): void {
  const most = maxOperationWrites - own.length;
  if (writes.length > most) {
    throw new AuditError('invalid', `${writes.length} writes in one operation, at most ${most}`);
  }
  for (const write of writes) {
    const { pk } = keyOf(write);
    if (isReserved(pk)) throw new AuditError('invalid', `partition ${JSON.stringify(pk)} is the audit log's own`);
  }
}
export function keyOf(write: Write): Key {
  return write.kind === 'put' ? write.item : write.key;
}

/** Takes from the front of the queue what one transaction can hold: distinct keys, bounded number and bytes. */
export function takeBatch(queue: Operation[]): Operation[] {
  const keys = new Set<string>();
  let writes = 0;
  let bytes = 0;
  let entries = 0;
  let count = 0;
  for (const operation of queue) {
    writes += operation.writes.length;
    bytes += operation.bytes;
    entries += operation.entryBytes;
    const fits = writes <= maxBatchWrites && bytes <= maxBatchBytes && entries <= maxSlotBytes && !operation.alone;
    // What touches the same item as an earlier operation waits, with everything behind it: order is kept.
    if (count > 0 && (!fits || count >= maxBatchEntries || operation.keys.some((key) => keys.has(key)))) break;
    for (const key of operation.keys) keys.add(key);
    count += 1;
    if (operation.alone) break;
  }
  return queue.splice(0, count);
}

/** Two fewer than a transaction has, for the slot and the lane's registration. */
const maxBatchWrites = 98;
/** Below the 4 MiB that a transaction holds (Amazon DynamoDB Developer Guide, "Service quotas"). */
const maxBatchBytes = 3 * 1024 * 1024;
/** A slot is one item, of 400 KiB at most; entries together stay well below. */
const maxSlotBytes = 320 * 1024;
const maxBatchEntries = 512;

function formatKey({ pk, sk }: Key): string {
  return `${pk.length}:${pk}${sk}`;
}

/** An upper estimate good enough to keep a batch within its bytes; the store has the last word. */
function roughSize(value: unknown): number {
  if (typeof value === 'string') return value.length * 3;
  if (value instanceof Uint8Array) return value.length;
  if (typeof value !== 'object' || value === null) return 8;
  let sum = 0;
  for (const name in value) sum += name.length + roughSize((value as Record<string, unknown>)[name]);
  return sum;
}

/**
 * What operators do with destinations: each change is one transaction with its audit entry. The dispatcher sees them in
 * the record; none of them touches the cursor, but adding makes one and removing destroys it.
 */
import { randomBytes } from 'node:crypto';
import { chainStart } from '../audit/chain.ts';
import type { Actor, AuditEvent, AuditLog, Detail } from '../audit/port.ts';
import { sha256Hex } from '../crypto/digest.ts';
import { toHex } from '../crypto/encoding.ts';
import type { Condition, Store, Write } from '../store/port.ts';
import { credentialsOf, type DestinationConfig } from './config.ts';
import { cursorKey, newCursorState, putCursor, readCursor } from './cursor.ts';
import { SiemError } from './errors.ts';
import { filterKey, isFiltered } from './filter.ts';
import { type DestinationRecord, readRecord, readRecords, recordItem, recordKey } from './record.ts';
import type { SealedReader } from './sealed-reader.ts';

export type ManageDeps = {
  readonly store: Store;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly origin: string;
  readonly reader: SealedReader;
  readonly now: () => number;
  readonly random?: (n: number) => Uint8Array;
};

/** Each delivers the whole log: more than these are a sign of a mistake. */
const maxDestinations = 16;

/** Where delivery begins: with the first entry, with the next one, or with this one. */
export type Start = 'oldest' | 'newest' | number;

type Order = { readonly name: string; readonly actor: Actor };
/** `revision`: the one that the caller saw. */
type Change = Order & { readonly revision: number };

/** Throws `SiemError` `exists`, `too_many` or `not_possible`. */
export async function addDestination(
  deps: ManageDeps,
  { config, start, actor }: { readonly config: DestinationConfig; readonly start: Start; readonly actor: Actor },
): Promise<DestinationRecord> {
  const { store, now, random = randomBytes } = deps;
  if ((await readRecords(store)).length >= maxDestinations) {
    throw new SiemError('too_many', `there are ${maxDestinations} destinations already`, {
      hint: 'remove one that is not needed any more',
    });
  }
  const begin = await placeOf(deps, start);
  const id = toHex(random(8));
  const record: DestinationRecord = {
    ...{ id, revision: 1, config, configRevision: 1, salt: toHex(random(32)) },
    ...{ createdAt: now(), start: begin.start, paused: false, kick: 0 },
  };
  const state = newCursorState({ id, filter: filterKey(config.filter), ...begin, now: now() });
  const cursor = putCursor({ name: config.name, epoch: 0, version: 1, leaseUntil: 0, state });
  const writes: Write[] = [{ kind: 'put', item: recordItem(record), when: { kind: 'absent' } }, cursor];
  const event = eventOf('siem.add', { name: config.name, actor }, describe(config));
  const { ok } = await deps.audit.append(event, writes);
  if (!ok) {
    throw new SiemError('exists', `there is a destination ${config.name} already`, {
      hint: 'change it, or take another name',
    });
  }
  return record;
}

/** Another configuration under the same name. What was on its way is made anew; the position stays. */
export function updateDestination(
  deps: ManageDeps,
  order: Change & { readonly config: DestinationConfig },
): Promise<DestinationRecord> {
  const { config, name, revision } = order;
  if (config.name !== name) throw new SiemError('not_possible', 'a destination keeps its name');
  return change(deps, order, 'siem.update', describe(config), (record) => ({
    ...record,
    config,
    configRevision: revision + 1,
  }));
}

/** Nothing is delivered to it any more, and its position is forgotten. */
export async function removeDestination(deps: ManageDeps, order: Change): Promise<void> {
  const { store } = deps;
  const record = await requireRecord(deps, order.name);
  assertRevision(record, order.revision);
  const cursor = await readCursor(store, order.name);
  const next = cursor?.state.main.next ?? record.start;
  const writes: Write[] = [
    { kind: 'delete', key: recordKey(order.name), when: atRevision(order.revision) },
    { kind: 'delete', key: cursorKey(order.name) },
  ];
  const { ok } = await deps.audit.append(eventOf('siem.remove', order, { next }), writes);
  if (!ok) throw conflict(order.name);
}

export function pauseDestination(deps: ManageDeps, order: Order): Promise<DestinationRecord> {
  return change(deps, order, 'siem.pause', {}, (record) => ({ ...record, paused: true }));
}

/** Goes on, and is tried at once: also when it was not paused but waits, is blocked or on hold. */
export function resumeDestination(deps: ManageDeps, order: Order): Promise<DestinationRecord> {
  return change(deps, order, 'siem.resume', {}, (record) => ({ ...record, paused: false, kick: record.kick + 1 }));
}

/** Sends an event with a nonce by the way that entries go. It is `unconfirmed` until somebody has seen it there. */
export async function testDestination(
  deps: ManageDeps,
  order: Order,
): Promise<{ readonly record: DestinationRecord; readonly nonce: string }> {
  const { random = randomBytes, now } = deps;
  const nonce = toHex(random(16));
  const record = await change(deps, order, 'siem.test', { nonce }, (before) => {
    if (before.paused) throw new SiemError('not_possible', `${order.name} is paused`, { hint: 'resume it first' });
    return { ...before, kick: before.kick + 1, test: { nonce, requestedAt: now() } };
  });
  return { record, nonce };
}

/** Somebody found the nonce at the receiver. Throws `not_found` for another than the newest. */
export function confirmTest(deps: ManageDeps, order: Order & { readonly nonce: string }): Promise<DestinationRecord> {
  const { nonce, name } = order;
  return change(deps, order, 'siem.test.confirm', { nonce }, (record) => {
    if (record.test?.nonce !== nonce) {
      throw new SiemError('not_found', `the newest test of ${name} has another nonce`, {
        hint: 'compare it with the event at the receiver, or send a new test',
      });
    }
    return { ...record, test: { ...record.test, confirmedAt: deps.now() } };
  });
}

/** Delivers [from, to) again, beside what is new; `to` is at most what was delivered. */
export async function replayDestination(
  deps: ManageDeps,
  order: Order & { readonly from: number; readonly to?: number | undefined },
): Promise<DestinationRecord> {
  const { random = randomBytes } = deps;
  const next = (await readCursor(deps.store, order.name))?.state.main.next ?? 0;
  const to = Math.min(order.to ?? next, next);
  if (order.from >= to) {
    throw new SiemError('not_possible', `nothing from ${order.from} was delivered yet; the next one is ${next}`, {
      hint: 'a replay is of what was delivered before',
    });
  }
  const replay = { id: toHex(random(8)), from: order.from, to };
  return change(deps, order, 'siem.replay', { from: order.from, to }, (record) => ({ ...record, replay }));
}

async function change(
  deps: ManageDeps,
  order: Order & { readonly revision?: number },
  type: Parameters<typeof eventOf>[0],
  detail: Detail,
  apply: (record: DestinationRecord) => DestinationRecord,
): Promise<DestinationRecord> {
  const record = await requireRecord(deps, order.name);
  if (order.revision !== undefined) assertRevision(record, order.revision);
  const changed = { ...apply(record), revision: record.revision + 1 };
  const write: Write = { kind: 'put', item: recordItem(changed), when: atRevision(record.revision) };
  const { ok } = await deps.audit.append(eventOf(type, order, detail), [write]);
  if (!ok) throw conflict(order.name);
  return changed;
}

async function requireRecord({ store }: ManageDeps, name: string): Promise<DestinationRecord> {
  const record = await readRecord(store, name);
  if (record !== undefined) return record;
  throw new SiemError('not_found', `there is no destination ${JSON.stringify(name)}`);
}

function assertRevision(record: DestinationRecord, revision: number): void {
  if (record.revision !== revision) throw conflict(record.config.name);
}

function atRevision(revision: number): Condition {
  return { kind: 'equals', name: 'revision', value: revision };
}

function conflict(name: string): SiemError {
  return new SiemError('conflict', `${name} was changed meanwhile`, { hint: 'look at it again' });
}

async function placeOf({ reader, origin }: ManageDeps, start: Start) {
  if (start === 'oldest' || start === 0) return { start: 0, chain: chainStart(origin) };
  const head = await reader.head();
  if (start === 'newest' || start === head.size) return { start: head.size, chain: head.chain };
  if (start > head.size) throw new SiemError('not_possible', `the log has ${head.size} sealed entries`);
  const [entry] = await reader.read(start, head);
  if (entry === undefined) throw new TypeError(`a block without entry ${start}`);
  return { start, chain: entry.previous };
}

type ManageType = Extract<AuditEvent['type'], `siem.${string}`>;

function eventOf(type: Exclude<ManageType, 'siem.state'>, { name, actor }: Order, detail: Detail): AuditEvent {
  return { type, actor, object: { kind: 'destination', id: name }, outcome: 'success', detail };
}

/** What the log says of a configuration: where entries go. */
function describe(config: DestinationConfig): Detail {
  return {
    kind: config.kind,
    receiver: receiverOf(config),
    mapping: config.mapping,
    redaction: config.redaction,
    allow: config.network.allow,
    credentials: credentialsOf(config).map(({ path }) => path),
    filtered: isFiltered(config.filter),
    sha256: sha256Hex(JSON.stringify(config)),
  };
}

/** Host and port, bucket or bus; never a path, which may be a capability. */
export function receiverOf(config: DestinationConfig): string {
  switch (config.kind) {
    case 'syslog':
      return `${config.host}:${config.port}`;
    case 's3':
      return config.bucket;
    case 'eventbridge':
      return config.bus;
    default:
      return new URL(config.url).host;
  }
}

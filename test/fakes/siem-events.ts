/** Events of a feed for tests: real entries, made and chained by the audit log's own functions. */
import { z } from 'zod';
import { bodyHash, chainHash, chainStart, laneStart } from '../../lib/audit/chain.ts';
import { buildEntry, parseEntry, parseEvent } from '../../lib/audit/entry.ts';
import type { Actor, AuditEvent, Detail, ObjectRef } from '../../lib/audit/port.ts';
import { type OperationType, operations } from '../../lib/audit/registry.ts';
import type { Batch, EntryEvent, FeedEvent, HeartbeatEvent, StubEvent } from '../../lib/siem/event.ts';

export const testLog = 'holdfast.test/fleet';
const startTime = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const ada: Actor = { id: 'ada', kind: 'user', role: 'admin', auth: 'oidc' };

export type EventInit = {
  readonly type: OperationType;
  readonly actor?: Actor;
  readonly object?: ObjectRef;
  readonly outcome?: AuditEvent['outcome'];
  readonly detail?: Detail;
};

/** A chained feed from sequence 0. */
export function feedOf(inits: readonly EventInit[], startAt = startTime): readonly EntryEvent[] {
  let previous = chainStart(testLog);
  return inits.map((init, seq) => {
    const event = { actor: ada, object: { kind: 'node', id: 'n' }, outcome: 'success' as const, ...init };
    const place = {
      log: testLog,
      lane: 'test',
      n: seq,
      prev: laneStart(testLog, 'test'),
      seen: { size: 0, root: '0'.repeat(64) },
      time: startAt + seq * 10,
    };
    const raw = buildEntry(parseEvent(event, seq.toString(16).padStart(16, '0')), place);
    const body = bodyHash(raw);
    const chain = chainHash(testLog, seq, body, previous);
    const placed: EntryEvent = {
      kind: 'entry',
      id: `${testLog}:${seq}`,
      seq,
      dseq: seq,
      body,
      chain,
      previous,
      raw,
      entry: parseEntry(raw),
    };
    previous = chain;
    return placed;
  });
}

/** So many entries of log-ins, by an actor whose name may be anything. */
export function logins(count: number, actorId = 'ada'): readonly EntryEvent[] {
  const actor: Actor = { ...ada, id: actorId };
  return feedOf(
    Array.from({ length: count }, () => ({
      type: 'session.create' as const,
      actor,
      object: { kind: 'user', id: actorId },
      detail: { method: 'oidc', expires: '2026-01-03T00:00:00.000Z' },
    })),
  );
}

export function batchOf(events: readonly FeedEvent[], change: Partial<Batch> = {}): Batch {
  return { id: '0123456789abcdef'.repeat(2), log: testLog, destination: 'test', madeAt: startTime, events, ...change };
}

export function stubOf({ id, seq, dseq, body, chain, previous, entry }: EntryEvent): StubEvent {
  const fetch = `/v1/audit/entries?order=oldest&cursor=${seq}&limit=1`;
  return { kind: 'stub', id, seq, dseq: dseq ?? seq, body, chain, previous, reason: 'oversize', time: entry.ts, fetch };
}

export const heartbeat: HeartbeatEvent = {
  kind: 'heartbeat',
  id: `${testLog}:heartbeat:test:1767323045678`,
  time: '2026-01-02T03:04:05.678Z',
  destination: 'test',
  generation: 1,
  head: { size: 12, chain: 'a'.repeat(64) },
  next: 10,
  chain: 'b'.repeat(64),
  since: 0,
  delivered: 8,
  filtered: 1,
  quarantined: 1,
  dseq: 9,
  lag: { entries: 2, ms: 1500 },
};

/** One entry of every operation, each the first of a log; its detail made from the schema in the registry. */
export function specimens(): readonly EntryEvent[] {
  const types = Object.keys(operations) as OperationType[];
  return types.flatMap((type) => {
    const detail = specimen(z.toJSONSchema(operations[type].detail, { io: 'input' }) as Schema) as Detail;
    const object = objectOf(type);
    const isDenied = /\.refuse$/.test(type);
    return feedOf([{ type, object, outcome: isDenied ? 'denied' : 'success', detail }]);
  });
}

function objectOf(type: string): ObjectRef {
  const kind = type.slice(0, type.indexOf('.'));
  if (kind === 'node') return { kind, id: '3f2b8a52-6f0e-4a53-9f4e-0c6a5d6b7e81' };
  if (kind === 'session' || kind === 'user') return { kind: 'user', id: 'grace' };
  return { kind, id: kind };
}

type Schema = {
  readonly type?: string;
  readonly format?: string;
  readonly pattern?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | false;
};

/** Every member is given, and each value is the plainest that its schema takes. */
function specimen(schema: Schema): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0];
  const options = schema.anyOf ?? schema.oneOf;
  if (options?.[0] !== undefined) return specimen(options[0]);
  switch (schema.type) {
    case 'object': {
      const members = Object.entries(schema.properties ?? {}).map(([name, one]) => [name, specimen(one)]);
      if (members.length === 0 && schema.additionalProperties) return { site: specimen(schema.additionalProperties) };
      return Object.fromEntries(members);
    }
    case 'array':
      return [specimen(schema.items ?? { type: 'string' })];
    case 'integer':
      return Math.max(7, schema.minimum ?? 0);
    case 'boolean':
      return true;
    default:
      return specimenText(schema);
  }
}

function specimenText({ format, pattern, minLength = 0, maxLength = 64 }: Schema): string {
  if (format === 'uuid') return '5d0c0a3e-9a0b-4a57-8a55-2f1c7d1f0b11';
  const candidates = [
    'not_found',
    'abc',
    '2026-01-03T00:00:00.000Z',
    'a',
    '7',
    'a'.repeat(64),
    '0'.repeat(32),
    'dcr-0',
    'secret:siem/a',
    '1.2.3',
  ];
  const fits = (text: string) =>
    text.length >= minLength &&
    text.length <= maxLength &&
    (pattern === undefined || new RegExp(pattern, 'u').test(text));
  const found = candidates.find(fits);
  if (found === undefined) throw new TypeError(`no specimen of a text fits ${pattern}: add one here`);
  return found;
}

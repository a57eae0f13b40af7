/**
 * An entry of the audit log: one canonical JSON text (RFC 8785, strict profile), made once and never made again to
 * verify. `op` is `{id, code, type, phase}`: `id` is random and names this one operation, so that an intent and its
 * outcome can be told to belong together; `code` is the type's permanent code from the registry. An intent's outcome is
 * `pending`; that of an intent whose process died is stated later as `unknown`.
 */
import { fromUtf8 } from '../crypto/encoding.ts';
import { CryptoError } from '../crypto/errors.ts';
import { canonicalize, type Json } from '../crypto/jcs.ts';
import { scanEntry } from './entry-scan.ts';
import { type Actor, AuditError, type AuditEvent, type Detail, type ObjectRef } from './port.ts';
import { operations } from './registry.ts';

export const maxEntryBytes = 8 * 1024;
/** Nesting of the whole entry; `detail` is its second level. */
const maxDepth = 8;

/** The newest checkpoint that a writer knew; size 0 with the root of the empty tree before the first. */
export type Seen = { readonly size: number /** hex */; readonly root: string };

export type Entry = {
  readonly v: 1;
  /** The log's origin. */
  readonly log: string;
  readonly lane: string;
  readonly n: number;
  /** hex A(n−1) */
  readonly prev: string;
  readonly seen: Seen;
  /** `YYYY-MM-DDThh:mm:ss.sssZ` */
  readonly ts: string;
  readonly op: {
    readonly id: string;
    readonly code: string;
    readonly type: string;
    readonly phase: Phase;
  };
  readonly actor: Actor;
  readonly object: ObjectRef;
  readonly outcome: AuditEvent['outcome'] | 'pending' | 'unknown';
  readonly detail: Detail;
};

export type Phase = 'done' | 'intent' | 'outcome';

/** What is said of an operation that may only be intended, or of which nobody can say how it ended. */
export type EntryEvent = Omit<AuditEvent, 'outcome'> & { readonly outcome: Entry['outcome'] };

/** What `parseEvent` made of an event: its fields as canonical text, to be built into an entry as often as needed. */
export type EventText = {
  readonly actor: string;
  readonly detail: string;
  readonly object: string;
  readonly op: string;
  readonly outcome: string;
};

export type EntryPlace = {
  readonly log: string;
  readonly lane: string;
  readonly n: number;
  readonly prev: string;
  readonly seen: Seen;
  /** Unix milliseconds. */
  readonly time: number;
};

/**
 * Checks an event against its operation's schema and the entry profile. Throws `AuditError` `invalid`; the message
 * names the member at fault and never its value, which may be a stranger's or a secret.
 */
export function parseEvent(event: EntryEvent, operationId: string, phase: Phase = 'done'): EventText {
  const { type, actor, object, outcome, detail = {} } = event;
  const operation = Object.hasOwn(operations, type) ? operations[type] : undefined;
  if (operation === undefined) throw invalid(`operation type ${JSON.stringify(type)} is not registered`);
  const result = operation.detail.safeParse(detail);
  if (!result.success) {
    const at = result.error.issues.map(({ path, code }) => `${path.join('.') || 'detail'}: ${code}`).join(', ');
    throw invalid(`detail of ${type} does not fit its schema: ${at}`);
  }
  try {
    assertActor(actor);
    assertObject(object);
    assertDetail(detail as Json, 1);
    if (!outcomes[phase].has(outcome)) throw malformed('outcome');
    return {
      actor: canonicalize(actor),
      detail: canonicalize(detail),
      object: canonicalize(object),
      op: canonicalize({ id: operationId, code: operation.code, type, phase }),
      outcome: canonicalize(outcome),
    };
  } catch (cause) {
    if (cause instanceof AuditError || cause instanceof CryptoError) throw invalid(`${type}: ${cause.message}`, cause);
    throw cause;
  }
}

/** The entry's bytes. Throws `AuditError` `invalid` when they are more than 8 KiB. */
export function buildEntry(event: EventText, { log, lane, n, prev, seen, time }: EntryPlace): Uint8Array {
  const ts = new Date(time).toISOString();
  const bytes = Buffer.from(entryText(event, log, lane, n, prev, seen, ts), 'utf8');
  if (bytes.length > maxEntryBytes) throw invalid(`the entry has ${bytes.length} bytes, at most ${maxEntryBytes}`);
  return bytes;
}

/** Parses attacker-controlled bytes and demands that they are canonical. Throws `AuditError` `malformed`. */
export function parseEntry(bytes: Uint8Array): Entry {
  if (bytes.length > maxEntryBytes) throw malformed(`size: ${bytes.length} bytes`);
  try {
    const text = fromUtf8(bytes);
    const scanned = scanEntry(text, (detail) => assertDetail(detail, 1));
    if (scanned !== undefined) return scanned;
    const entry = assertEntry(JSON.parse(text));
    if (entryText(fieldsOf(entry), entry.log, entry.lane, entry.n, entry.prev, entry.seen, entry.ts) !== text) {
      throw malformed('it is not canonical (RFC 8785)');
    }
    return entry;
  } catch (cause) {
    if (cause instanceof AuditError) throw cause;
    if (cause instanceof CryptoError || cause instanceof SyntaxError) throw malformed(cause.message, cause);
    throw cause;
  }
}

/** Members in the order of RFC 8785 §3.2.3. That this is what `canonicalize` makes is a test, not an assumption. */
function entryText(f: EventText, log: string, lane: string, n: number, prev: string, seen: Seen, ts: string): string {
  return (
    `{"actor":${f.actor},"detail":${f.detail},"lane":${JSON.stringify(lane)},"log":${JSON.stringify(log)},"n":${n},` +
    `"object":${f.object},"op":${f.op},"outcome":${f.outcome},"prev":"${prev}",` +
    `"seen":{"root":"${seen.root}","size":${seen.size}},"ts":"${ts}","v":1}`
  );
}

/** The same text as `canonicalize` makes of these shapes, which were checked before; twice as fast. */
function fieldsOf({ actor, detail, object, op, outcome }: Entry): EventText {
  const role = actor.role === undefined ? '' : `,"role":"${actor.role}"`;
  return {
    actor: `{"auth":${quote(actor.auth)},"id":${quote(actor.id)},"kind":"${actor.kind}"${role}}`,
    detail: canonicalize(detail as Json),
    object: `{"id":${quote(object.id)},"kind":${quote(object.kind)}}`,
    op: `{"code":"${op.code}","id":"${op.id}","phase":"${op.phase}","type":${quote(op.type)}}`,
    outcome: `"${outcome}"`,
  };
}

/** RFC 8785 §3.2.2.2; a lone surrogate would come back as the escape that it was read from. */
function quote(text: string): string {
  if (!text.isWellFormed()) throw malformed('text has a lone surrogate');
  return JSON.stringify(text);
}

/** What each phase may say. */
const outcomes: Readonly<Record<Phase, ReadonlySet<unknown>>> = {
  done: new Set(['success', 'failure', 'denied']),
  intent: new Set(['pending']),
  outcome: new Set(['success', 'failure', 'unknown']),
};
const kinds: ReadonlySet<unknown> = new Set(['user', 'api-token', 'local-admin', 'node', 'system', 'unauthenticated']);
const roles: ReadonlySet<unknown> = new Set(['admin', 'viewer', 'compliance']);
const hexHash = /^[0-9a-f]{64}$/;
const timestamp = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;
const originPattern = /^[\x21-\x7e]{1,256}$/;
const lanePattern = /^[a-z][a-z0-9.-]{0,63}$/;
const entryNames = 'actor,detail,lane,log,n,object,op,outcome,prev,seen,ts,v';
/** An id that is attacker-controlled can't grow an entry without bound. */
const maxIdLength = 512;

function assertEntry(value: unknown): Entry {
  const entry = record(value, 'entry', entryNames);
  if (entry['v'] !== 1) throw malformed('v');
  if (typeof entry['log'] !== 'string' || !originPattern.test(entry['log'])) throw malformed('log');
  if (typeof entry['lane'] !== 'string' || !lanePattern.test(entry['lane'])) throw malformed('lane');
  index(entry['n'], 'n');
  if (typeof entry['prev'] !== 'string' || !hexHash.test(entry['prev'])) throw malformed('prev');
  const seen = record(entry['seen'], 'seen', 'root,size');
  index(seen['size'], 'seen.size');
  if (typeof seen['root'] !== 'string' || !hexHash.test(seen['root'])) throw malformed('seen.root');
  const { ts } = entry;
  if (typeof ts !== 'string' || !timestamp.test(ts) || !isRealTime(ts)) throw malformed('ts');
  const op = record(entry['op'], 'op', 'code,id,phase,type');
  if (typeof op['id'] !== 'string' || !/^[0-9a-f]{16}$/.test(op['id'])) throw malformed('op.id');
  if (typeof op['code'] !== 'string' || !/^HF[0-9]{4}$/.test(op['code'])) throw malformed('op.code');
  text(op['type'], 'op.type', 64);
  const { phase } = op;
  if (phase !== 'done' && phase !== 'intent' && phase !== 'outcome') throw malformed('op.phase');
  assertActor(entry['actor']);
  assertObject(entry['object']);
  if (!outcomes[phase].has(entry['outcome'])) throw malformed('outcome');
  record(entry['detail'], 'detail');
  assertDetail(entry['detail'] as Json, 1);
  return entry as Entry;
}

function assertActor(value: unknown): void {
  const actor = record(value, 'actor');
  const names = Object.keys(actor).sort().join();
  if (names !== 'auth,id,kind' && names !== 'auth,id,kind,role') throw malformed('actor');
  text(actor['id'], 'actor.id', maxIdLength);
  text(actor['auth'], 'actor.auth', 64);
  if (!kinds.has(actor['kind'])) throw malformed('actor.kind');
  if ('role' in actor && !roles.has(actor['role'])) throw malformed('actor.role');
}

function assertObject(value: unknown): void {
  const object = record(value, 'object', 'id,kind');
  text(object['kind'], 'object.kind', 64);
  text(object['id'], 'object.id', maxIdLength);
}

/** The profile below `detail`: no null, no number but a safe integer, bounded depth. */
function assertDetail(value: Json, depth: number): void {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) throw malformed('detail: a number is not a safe integer');
  } else if (typeof value === 'object') {
    if (value === null) throw malformed('detail: null');
    if (depth >= maxDepth) throw malformed('detail: nested too deeply');
    for (const member of Array.isArray(value) ? value : Object.values(value)) assertDetail(member, depth + 1);
  }
}

/** The 31st of February would parse, as another day. */
function isRealTime(ts: string): boolean {
  return ts.slice(8, 10) <= '28' || new Date(Date.parse(ts)).toISOString() === ts;
}

function record(value: unknown, what: string, names?: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(what);
  // What is canonical is in order already.
  const isExact =
    names === undefined || Object.keys(value).join() === names || Object.keys(value).sort().join() === names;
  if (!isExact) throw malformed(`members of ${what}`);
  return value as Record<string, unknown>;
}

function text(value: unknown, what: string, max: number): void {
  if (typeof value !== 'string' || value === '' || value.length > max) throw malformed(what);
}

function index(value: unknown, what: string): void {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw malformed(what);
}

function malformed(what: string, cause?: unknown): AuditError {
  return new AuditError('malformed', `not an entry: ${what}`, { cause });
}

function invalid(message: string, cause?: unknown): AuditError {
  return new AuditError('invalid', message, { cause });
}

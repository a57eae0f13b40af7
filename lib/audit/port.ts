/**
 * The audit port: what every domain sees of the audit log. A privileged operation's writes and its entry are
 * one store transaction, so there is no operation without its entry and no entry without its operation.
 */
import type { Write } from '../store/port.ts';
import type { OperationType } from './registry.ts';

/** JSON within the entry profile: no null, no floats, well-formed Unicode. */
export type Detail = { readonly [name: string]: DetailValue };
export type DetailValue = string | number | boolean | readonly DetailValue[] | { readonly [name: string]: DetailValue };

/** Who did it: the authenticated principal, never what a message says of itself. */
export type Actor = {
  /** `local-admin`, a node's UUID, a user name, `system`, or `unauthenticated`. */
  readonly id: string;
  readonly kind: 'user' | 'api-token' | 'local-admin' | 'node' | 'system' | 'unauthenticated';
  readonly role?: 'admin' | 'viewer' | 'compliance';
  /** How it was authenticated: `local-admin`, `node-signature`, `enrollment-token`, `basic`, `oidc`, `isowebauth`, `api-token`, `none`. */
  readonly auth: string;
};

/** What it was done to. */
export type ObjectRef = { readonly kind: string; readonly id: string };

/** What is about to be done: its outcome comes later. */
export type IntentEvent = Omit<AuditEvent, 'outcome'>;

export type AuditEvent = {
  readonly type: OperationType;
  readonly actor: Actor;
  readonly object: ObjectRef;
  readonly outcome: 'success' | 'failure' | 'denied';
  /** Checked against the operation's schema in the registry; strings from outside are length-capped there. */
  readonly detail?: Detail;
};

/** Where an entry stands in its lane. */
export type EntryRef = { readonly lane: string; readonly n: number };

/** `failed` indexes the caller's `writes` whose condition did not hold; then neither they nor the entry were written. */
export type AppendOutcome =
  | { readonly ok: true; readonly entry: EntryRef }
  | { readonly ok: false; readonly failed: readonly number[] };

/** A durable intent. The act may be done only now, and whatever comes of it must be settled. */
export type Intent = {
  readonly ok: true;
  readonly entry: EntryRef;
  /**
   * Appends the outcome entry, in one transaction with `writes` (at most 95). `detail` replaces that of the intent, for
   * what only the act could tell. `ok: false` leaves the intent open: settle it again. Throws as `append` does, and
   * `invalid` once it is settled; an intent that is not settled for 10 minutes is stated as of unknown outcome.
   */
  settle(outcome: 'success' | 'failure', writes?: readonly Write[], detail?: Detail): Promise<AppendOutcome>;
};

export type IntentOutcome = Intent | { readonly ok: false; readonly failed: readonly number[] };

export interface AuditLog {
  /**
   * Class A: applies `writes` (at most 96) and appends the entry in one transaction. When it returns `ok`, both are
   * durable. Throws `AuditError` `invalid` for an event outside its schema, and `unavailable` when nothing was written
   * or when, after an answer was lost, the store can't be asked what stands; the message says which. Either way there
   * is no operation without its entry: the entry stands exactly when the writes do.
   */
  append(event: AuditEvent, writes?: readonly Write[]): Promise<AppendOutcome>;
  /**
   * Class I, for an effect outside the store: when it returns `ok`, the intent (at most 95 `writes` with it) is durable,
   * and the act may begin. Throws as `append` does.
   */
  intend(event: IntentEvent, writes?: readonly Write[]): Promise<IntentOutcome>;
  /**
   * Class S: as `append`, and returns once a signed checkpoint covers the entry. Throws `unsealed` when none does within
   * 30 s: then the operation and its entry stand, unsigned yet.
   */
  appendSealed(event: AuditEvent, writes?: readonly Write[]): Promise<AppendOutcome>;
  /**
   * Class D: records a denial or a warning. Never throws, and waits for the entry no longer than a second: the denial
   * stands without it. Floods become one `gap` entry per actor and interval.
   */
  deny(event: AuditEvent): Promise<void>;
}

export type AuditErrorCode =
  | 'unavailable'
  | 'unsealed'
  | 'invalid'
  | 'malformed'
  | 'not_authentic'
  | 'corrupt'
  | 'missing';

export class AuditError extends Error {
  override readonly name = 'AuditError';
  readonly code: AuditErrorCode;
  constructor(code: AuditErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

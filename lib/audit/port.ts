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

export interface AuditLog {
  /**
   * Class A: applies `writes` (at most 96) and appends the entry in one transaction. When it returns `ok`, both are
   * durable. Throws `AuditError` `unavailable` when nothing was written, `invalid` for an event outside its schema.
   * An unknown outcome is resolved inside, by reading the slot.
   */
  append(event: AuditEvent, writes?: readonly Write[]): Promise<AppendOutcome>;
  /** Class D: records a denial or a warning. Never throws; floods become one `gap` entry per actor and interval. */
  deny(event: AuditEvent): Promise<void>;
}

export type AuditErrorCode = 'unavailable' | 'invalid' | 'malformed' | 'not_authentic' | 'corrupt' | 'missing';

export class AuditError extends Error {
  override readonly name = 'AuditError';
  readonly code: AuditErrorCode;
  constructor(code: AuditErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

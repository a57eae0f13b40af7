/**
 * The freeze: while it stands, no release is published. An earlier one can still be restored, since a freeze must not
 * stand in the way of repair. It binds those who publish through this server; nodes follow what operators signed.
 */
import type { Actor, AuditLog } from '../audit/port.ts';
import type { Key, Store, Write } from '../store/port.ts';
import { PolicyError } from './errors.ts';

export type Freeze = {
  readonly reason: string;
  /** The id of who froze. */
  readonly by: string;
  /** Unix milliseconds. */
  readonly since: number;
};

type FreezeDeps = { readonly store: Store; readonly audit: AuditLog; readonly now: () => number };

const freezeKey: Key = { pk: 'release', sk: 'frozen' };

/** Holds while nothing is frozen; in the transaction that publishes. */
export const unfrozen: Write = { kind: 'check', key: freezeKey, when: { kind: 'absent' } };

/** Undefined while nothing is frozen. */
export async function currentFreeze(store: Store): Promise<Freeze | undefined> {
  const item = await store.get(freezeKey);
  if (item === undefined) return undefined;
  const { reason, by, since } = item;
  // What can't be read is a freeze all the same.
  return {
    reason: typeof reason === 'string' ? reason : '',
    by: typeof by === 'string' ? by : '',
    since: typeof since === 'number' ? since : 0,
  };
}

/** Throws `PolicyError` `frozen` when it is already. */
export async function freeze({ store, audit, now }: FreezeDeps, actor: Actor, reason: string): Promise<Freeze> {
  const made = { reason, by: actor.id, since: now() };
  const event = { type: 'policy.freeze', actor, object, outcome: 'success', detail: { reason } } as const;
  const outcome = await audit.append(event, [
    { kind: 'put', item: { ...freezeKey, ...made }, when: { kind: 'absent' } },
  ]);
  if (!outcome.ok) throw frozen((await currentFreeze(store)) ?? made);
  return made;
}

/** Throws `PolicyError` `not_frozen` when there is nothing to thaw. */
export async function thaw({ audit }: Pick<FreezeDeps, 'audit'>, actor: Actor): Promise<void> {
  const event = { type: 'policy.thaw', actor, object, outcome: 'success', detail: {} } as const;
  const outcome = await audit.append(event, [{ kind: 'delete', key: freezeKey, when: { kind: 'present' } }]);
  if (!outcome.ok) throw new PolicyError('not_frozen', 'nothing is frozen');
}

export function frozen({ reason, by, since }: Freeze): PolicyError {
  const when = new Date(since).toISOString();
  return new PolicyError('frozen', `publishing is frozen since ${when} by ${by}: ${reason}`, {
    hint: 'An earlier release can be restored; for a new one, "holdfast policy thaw" first.',
  });
}

const object = { kind: 'policy', id: 'fleet' } as const;

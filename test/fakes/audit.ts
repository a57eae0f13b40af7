/**
 * A fake audit log for tests of other domains: writes and entry are one real transaction on the given store, and
 * details are checked against the registry, but nothing is chained. What was recorded can be looked at in `events`.
 */
import { type AppendOutcome, AuditError, type AuditEvent, type AuditLog } from '../../lib/audit/port.ts';
import { type OperationType, operations } from '../../lib/audit/registry.ts';
import type { Store, Write } from '../../lib/store/port.ts';

export interface FakeAudit extends AuditLog {
  /** Every event whose transaction stands, and every denial, in order. */
  readonly events: AuditEvent[];
  /** The recorded events of one type. */
  of(type: OperationType): AuditEvent[];
  /** While set, `append` writes nothing and throws `unavailable`, and denials are lost. */
  failing: boolean;
}

export function createFakeAudit(store: Store): FakeAudit {
  const events: AuditEvent[] = [];
  let taken = 0;
  const fake: FakeAudit = {
    events,
    failing: false,
    of: (type) => events.filter((event) => event.type === type),
    async append(event: AuditEvent, writes: readonly Write[] = []): Promise<AppendOutcome> {
      check(event);
      if (writes.length > 96) throw new AuditError('invalid', `${writes.length} writes in one operation, at most 96`);
      if (fake.failing) throw new AuditError('unavailable', 'the fake audit log was told to fail');
      const n = taken++;
      const slot = { pk: 'lane#fake', sk: String(n).padStart(12, '0'), type: event.type };
      const outcome = await store.transact([...writes, { kind: 'put', item: slot, when: { kind: 'absent' } }]);
      if (!outcome.ok) return { ok: false, failed: outcome.failed };
      events.push(event);
      return { ok: true, entry: { lane: 'fake', n } };
    },
    async deny(event: AuditEvent): Promise<void> {
      check(event);
      if (!fake.failing) events.push(event);
    },
  };
  return fake;
}

function check(event: AuditEvent): void {
  const detail = operations[event.type].detail.safeParse(event.detail ?? {});
  if (!detail.success) throw new AuditError('invalid', `detail of ${event.type}: ${detail.error.message}`);
}

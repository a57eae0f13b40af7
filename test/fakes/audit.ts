/**
 * A fake audit log for tests of other domains: writes and entry are one real transaction on the given store, and
 * details are checked against the registry, but nothing is chained. What was recorded can be looked at in `events`.
 */
import {
  type AppendOutcome,
  AuditError,
  type AuditEvent,
  type AuditLog,
  type Intent,
  type IntentEvent,
} from '../../lib/audit/port.ts';
import { type OperationType, operations } from '../../lib/audit/registry.ts';
import type { Store, Write } from '../../lib/store/port.ts';

export interface FakeAudit extends AuditLog {
  /** Every event whose transaction stands, and every denial, in order. */
  readonly events: AuditEvent[];
  /** Intents, in order; their outcomes are in `events`. */
  readonly intents: IntentEvent[];
  /** The recorded events of one type. */
  of(type: OperationType): AuditEvent[];
  /** While set, `append` writes nothing and throws `unavailable`, and denials are lost. */
  failing: boolean;
}

export function createFakeAudit(store: Store): FakeAudit {
  const events: AuditEvent[] = [];
  const intents: IntentEvent[] = [];
  let taken = 0;
  const fake: FakeAudit = {
    events,
    intents,
    failing: false,
    of: (type) => events.filter((event) => event.type === type),
    async append(event, writes = []) {
      const outcome = await write(event, writes);
      if (outcome.ok) events.push(event);
      return outcome;
    },
    async intend(event, writes = []) {
      const outcome = await write(event, writes);
      if (!outcome.ok) return outcome;
      intents.push(event);
      const settle: Intent['settle'] = (result, after, detail = event.detail) =>
        fake.append({ ...event, outcome: result, ...(detail && { detail }) }, after);
      return { ...outcome, settle };
    },
    appendSealed: (event, writes) => fake.append(event, writes),
    async deny(event: AuditEvent): Promise<void> {
      check(event);
      if (!fake.failing) events.push(event);
    },
  };

  async function write(event: IntentEvent, writes: readonly Write[]): Promise<AppendOutcome> {
    check(event);
    if (writes.length > 96) throw new AuditError('invalid', `${writes.length} writes in one operation, at most 96`);
    if (fake.failing) throw new AuditError('unavailable', 'the fake audit log was told to fail');
    const n = taken++;
    const slot = { pk: 'lane#fake', sk: String(n).padStart(12, '0'), type: event.type };
    const outcome = await store.transact([...writes, { kind: 'put', item: slot, when: { kind: 'absent' } }]);
    if (!outcome.ok) return { ok: false, failed: outcome.failed };
    return { ok: true, entry: { lane: 'fake', n } };
  }
  return fake;
}

function check(event: IntentEvent): void {
  const detail = operations[event.type].detail.safeParse(event.detail ?? {});
  if (!detail.success) throw new AuditError('invalid', `detail of ${event.type}: ${detail.error.message}`);
}

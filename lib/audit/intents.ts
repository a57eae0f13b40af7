/**
 * Class I: an intent entry before an effect outside the store, an outcome entry after it. Each open intent is an item of
 * its own, deleted with the outcome: so an intent has one outcome whoever settles it, and what a dead process left open
 * is found by key. Such an intent is stated as of unknown outcome, since nobody can say whether the act was done.
 */
import type { Item, Store, Write } from '../store/port.ts';
import { intentKey, intentsPartition } from './items.ts';
import { type OperationInit, parseOperation } from './operation.ts';
import { type AppendOutcome, AuditError, type Detail, type IntentEvent, type IntentOutcome } from './port.ts';
import type { OperationType } from './registry.ts';

/** No act that is recorded takes longer; see the port. */
export const abandonedAfterMs = 10 * 60_000;

export type IntentDeps = {
  readonly store: Store;
  readonly now: () => number;
  readonly newOperationId: () => string;
  readonly enqueue: (operation: ReturnType<typeof parseOperation>) => Promise<AppendOutcome>;
};

export type Intents = {
  /** See `AuditLog.intend`. */
  intend(event: IntentEvent, writes: readonly Write[]): Promise<IntentOutcome>;
  /**
   * States the outcome of what was left open, whichever process left it, as unknown. Looks once in ten minutes. Never
   * throws: what can't be stated now is stated later, and holds up nothing.
   */
  settleAbandoned(): Promise<void>;
};

export function createIntents({ store, now, newOperationId, enqueue }: IntentDeps): Intents {
  let sweptAt = Number.NEGATIVE_INFINITY;

  async function intend(event: IntentEvent, writes: readonly Write[]): Promise<IntentOutcome> {
    const operationId = newOperationId();
    const open: Write = {
      kind: 'put',
      item: { ...intentKey(operationId), time: now(), event: JSON.stringify(event) },
      when: { kind: 'absent' },
    };
    const init = { event: { ...event, outcome: 'pending' as const }, operationId, phase: 'intent' as const };
    const outcome = await enqueue(parseOperation({ ...init, writes, own: [open] }));
    if (!outcome.ok) return outcome;
    let settled = false;
    return {
      ok: true,
      entry: outcome.entry,
      async settle(result, after = [], detail = event.detail) {
        if (settled) throw new AuditError('invalid', `the intent of ${event.type} was settled before`);
        const closed = await close({ operationId, event: withDetail(event, detail), outcome: result }, after);
        if (!closed.ok && closed.failed.includes(after.length)) {
          throw new AuditError('invalid', `the outcome of ${event.type} was stated before, by another process`);
        }
        settled = closed.ok;
        return closed;
      },
    };
  }

  function close(
    { operationId, event, outcome }: { operationId: string; event: IntentEvent; outcome: Result },
    writes: readonly Write[],
  ): Promise<AppendOutcome> {
    const own: readonly Write[] = [{ kind: 'delete', key: intentKey(operationId), when: { kind: 'present' } }];
    const init: OperationInit = { event: { ...event, outcome }, writes, own, operationId, phase: 'outcome' };
    return enqueue(parseOperation(init));
  }

  async function settleAbandoned(): Promise<void> {
    if (now() - sweptAt < abandonedAfterMs) return;
    sweptAt = now();
    await sweep().catch(() => {
      sweptAt = Number.NEGATIVE_INFINITY;
    });
  }

  async function sweep(): Promise<void> {
    let after: string | undefined;
    do {
      const page = await store.query({ pk: intentsPartition, ...(after !== undefined && { after }) });
      for (const item of page.items) {
        const open = parseOpen(item);
        if (now() - open.time < abandonedAfterMs) continue;
        // When the condition fails, somebody else was faster: the outcome is stated.
        await close({ operationId: item.sk, event: open.event, outcome: 'unknown' }, []);
      }
      after = page.next;
    } while (after !== undefined);
  }

  return { intend, settleAbandoned };
}

type Result = 'success' | 'failure' | 'unknown';

function withDetail({ type, actor, object }: IntentEvent, detail: Detail | undefined): IntentEvent {
  return { type, actor, object, ...(detail !== undefined && { detail }) };
}

/** What the log itself wrote; `parseOperation` checks the event again before it becomes an entry. */
function parseOpen(item: Item): { readonly time: number; readonly event: IntentEvent } {
  const { time, event } = item;
  if (typeof time !== 'number' || typeof event !== 'string') {
    throw new AuditError('corrupt', `the open intent ${item.sk} is not readable`);
  }
  const { type, actor, object, detail } = JSON.parse(event) as IntentEvent & { type: OperationType };
  return { time, event: withDetail({ type, actor, object }, detail) };
}

/** What one write makes of the item under its key, if its condition holds: pure, shared by the memory and SQLite adapters. */
import { conditionHolds } from './condition.ts';
import { type Attribute, type Item, type Key, type Outcome, StoreError, type Write } from './port.ts';
import { checkItemBytes, maxTransactionBytes } from './validate.ts';

/** `refused`: the condition does not hold. `kept`: nothing to write. Otherwise the item to store, or its removal. */
export type Effect =
  | { readonly kind: 'refused' }
  | { readonly kind: 'kept' }
  | { readonly kind: 'stored'; readonly item: Item; readonly bytes: number }
  | { readonly kind: 'removed' };

/** `before` is the item before the transaction; the write is already parsed. Throws `invalid` for a result over the limits. */
export function applyWrite(write: Write, before: Item | undefined): Effect {
  if (write.when !== undefined && !conditionHolds(write.when, before)) return { kind: 'refused' };
  switch (write.kind) {
    case 'put':
      return { kind: 'stored', item: write.item, bytes: checkItemBytes(write.item) };
    case 'update': {
      const item = updated(write, before);
      return { kind: 'stored', item, bytes: checkItemBytes(item) };
    }
    case 'delete':
      return before === undefined ? { kind: 'kept' } : { kind: 'removed' };
    case 'check':
      return { kind: 'kept' };
    default:
      throw new TypeError(`unknown write: ${JSON.stringify(write satisfies never)}`);
  }
}

export function keyOf(write: Write): Key {
  return write.kind === 'put' ? write.item : write.key;
}

function updated(write: Extract<Write, { kind: 'update' }>, before: Item | undefined): Item {
  const { pk, sk } = write.key;
  const attributes: Record<string, Attribute> = { ...before, ...write.set };
  for (const name of write.unset ?? []) delete attributes[name];
  for (const [name, amount] of Object.entries(write.add ?? {})) {
    const held = Object.hasOwn(attributes, name) ? attributes[name] : 0;
    if (typeof held !== 'number') {
      throw new StoreError('invalid', `cannot add to attribute ${JSON.stringify(name)}: it is not a number`);
    }
    const sum = held + amount;
    if (!Number.isSafeInteger(sum)) {
      throw new StoreError('invalid', `adding to attribute ${JSON.stringify(name)} leaves the safe integers`);
    }
    // −1 + 1 is 0, and −0 can't arise: amounts and stored numbers are never −0.
    attributes[name] = sum;
  }
  return { ...attributes, pk, sk };
}

/** The outcome that all effects of a transaction have together, or `invalid` when its items are too large in all. */
export function judge(effects: readonly Effect[]): Outcome {
  const failed = effects.flatMap((effect, index) => (effect.kind === 'refused' ? [index] : []));
  if (failed.length > 0) return { ok: false, failed };
  const bytes = effects.reduce((sum, effect) => sum + (effect.kind === 'stored' ? effect.bytes : 0), 0);
  if (bytes > maxTransactionBytes) {
    throw new StoreError('invalid', `a transaction of ${bytes} bytes; at most ${maxTransactionBytes} fit`);
  }
  return { ok: true };
}

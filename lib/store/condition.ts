/** Whether a condition holds of a stored item: one pure function for every adapter that evaluates conditions itself. */
import { compareUtf8 } from './order.ts';
import type { Attribute, Condition, Item } from './port.ts';

/**
 * Amazon DynamoDB Developer Guide, "Condition and filter expressions": a comparison with an absent attribute,
 * or with one of another type, is false.
 */
export function conditionHolds(condition: Condition, item: Item | undefined): boolean {
  switch (condition.kind) {
    case 'absent':
      return item === undefined;
    case 'present':
      return item !== undefined;
    case 'missing':
      return attributeOf(item, condition.name) === undefined;
    case 'equals':
      return isEqual(attributeOf(item, condition.name), condition.value);
    case 'less':
      return (compare(attributeOf(item, condition.name), condition.value) ?? 0) < 0;
    case 'greater':
      return (compare(attributeOf(item, condition.name), condition.value) ?? 0) > 0;
    case 'all':
      return condition.of.every((part) => conditionHolds(part, item));
    case 'any':
      return condition.of.some((part) => conditionHolds(part, item));
    default:
      throw new TypeError(`unknown condition: ${JSON.stringify(condition satisfies never)}`);
  }
}

/** Own properties only: an attribute named `constructor` is absent unless it was stored. */
function attributeOf(item: Item | undefined, name: string): Attribute | undefined {
  return item !== undefined && Object.hasOwn(item, name) ? item[name] : undefined;
}

function isEqual(stored: Attribute | undefined, value: string | number | boolean | Uint8Array): boolean {
  if (value instanceof Uint8Array) return stored instanceof Uint8Array && Buffer.compare(stored, value) === 0;
  return stored === value;
}

/** `undefined` when the two can't be compared. */
function compare(stored: Attribute | undefined, value: string | number): number | undefined {
  if (typeof stored === 'number' && typeof value === 'number') return stored - value;
  if (typeof stored === 'string' && typeof value === 'string') return compareUtf8(stored, value);
  return undefined;
}

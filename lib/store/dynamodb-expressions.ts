/** Writes and their conditions as DynamoDB expressions. Every name and value is a placeholder, so no word is reserved. */
import type { AttributeValue, TransactWriteItem } from '@aws-sdk/client-dynamodb';
import { encodeAttribute, encodeKey, encodeMap } from './dynamodb-encoding.ts';
import { type Attribute, type Condition, StoreError, type Write } from './port.ts';

/** What TransactWriteItems takes for one write; PutItem, UpdateItem and DeleteItem take the same fields. */
export type WriteRequest = TransactWriteItem;

/** Developer Guide, "Expression size": checked here, because the service would refuse it in the middle of a transaction. */
const maxExpressionBytes = 4 * 1024;

export function requestOf(write: Write, table: string): WriteRequest {
  const places = placeholders();
  const guard = guardOf(write, places);
  // The item as it stood is asked for only where the reason for a refusal is to be found out from it.
  const returned = guard === undefined ? {} : ({ ReturnValuesOnConditionCheckFailure: 'ALL_OLD' } as const);
  const conditions = [
    ...(write.when === undefined ? [] : [conditionText(write.when, places)]),
    ...(guard === undefined ? [] : [guard]),
  ];
  const condition = conditions.length === 0 ? undefined : checkSize(conditions.map(parenthesised).join(' AND '));
  const conditional = condition === undefined ? {} : { ConditionExpression: condition };
  switch (write.kind) {
    case 'put':
      return { Put: { TableName: table, Item: encodeMap(write.item), ...conditional, ...places.fields() } };
    case 'delete':
      return { Delete: { TableName: table, Key: encodeKey(write.key), ...conditional, ...places.fields() } };
    case 'check':
      return {
        ConditionCheck: {
          TableName: table,
          Key: encodeKey(write.key),
          ConditionExpression: condition,
          ...places.fields(),
        },
      };
    case 'update':
      return {
        Update: {
          TableName: table,
          Key: encodeKey(write.key),
          UpdateExpression: checkSize(updateText(write, places)),
          ...conditional,
          ...returned,
          ...places.fields(),
        },
      };
    default:
      throw new TypeError(`unknown write: ${JSON.stringify(write satisfies never)}`);
  }
}

type Placeholders = {
  name(name: string): string;
  value(value: Attribute): string;
  fields(): {
    ExpressionAttributeNames?: Record<string, string>;
    ExpressionAttributeValues?: Record<string, AttributeValue>;
  };
};

/** API reference, "ExpressionAttributeNames": an empty map is refused, so an unused field is absent. */
function placeholders(): Placeholders {
  const names = new Map<string, string>();
  const values: Record<string, AttributeValue> = {};
  return {
    name(name) {
      const held = names.get(name) ?? `#${names.size}`;
      names.set(name, held);
      return held;
    },
    value(value) {
      const place = `:${Object.keys(values).length}`;
      values[place] = encodeAttribute(value);
      return place;
    },
    fields: () => ({
      ...(names.size === 0
        ? {}
        : { ExpressionAttributeNames: Object.fromEntries([...names].map(([name, place]) => [place, name])) }),
      ...(Object.keys(values).length === 0 ? {} : { ExpressionAttributeValues: values }),
    }),
  };
}

/** Comparisons with another type or with an absent attribute are false in DynamoDB too: nothing to add for them. */
function conditionText(condition: Condition, places: Placeholders): string {
  switch (condition.kind) {
    case 'absent':
      return `attribute_not_exists(${places.name('pk')})`;
    case 'present':
      return `attribute_exists(${places.name('pk')})`;
    case 'missing':
      return `attribute_not_exists(${places.name(condition.name)})`;
    case 'equals':
      return `${places.name(condition.name)} = ${places.value(condition.value)}`;
    case 'less':
      return `${places.name(condition.name)} < ${places.value(condition.value)}`;
    case 'greater':
      return `${places.name(condition.name)} > ${places.value(condition.value)}`;
    case 'all':
      return joined(condition.of, ' AND ', places);
    case 'any':
      return joined(condition.of, ' OR ', places);
    default:
      throw new TypeError(`unknown condition: ${JSON.stringify(condition satisfies never)}`);
  }
}

/** DynamoDB refuses redundant parentheses, so a list of one is that one. */
function joined(parts: readonly Condition[], operator: ' AND ' | ' OR ', places: Placeholders): string {
  const texts = parts.map((part) => conditionText(part, places));
  return texts.length === 1 ? texts[0]! : texts.map(parenthesised).join(operator);
}

function parenthesised(text: string, _index: number, all: readonly string[]): string {
  return all.length > 1 && / (?:AND|OR) /.test(text) ? `(${text})` : text;
}

/**
 * DynamoDB adds with 38 digits, and the port with safe integers: an addition is allowed only where the sum stays one.
 * The caller tells this condition from the write's own by the item that comes back with the refusal.
 */
function guardOf(write: Write, places: Placeholders): string | undefined {
  if (write.kind !== 'update') return undefined;
  const guards = Object.entries(write.add ?? {}).map(([name, amount]) => {
    const low = places.value(Number.MIN_SAFE_INTEGER - Math.min(0, amount));
    const high = places.value(Number.MAX_SAFE_INTEGER - Math.max(0, amount));
    return `attribute_not_exists(${places.name(name)}) OR ${places.name(name)} BETWEEN ${low} AND ${high}`;
  });
  return guards.length === 0 ? undefined : guards.map(parenthesised).join(' AND ');
}

function updateText(write: Extract<Write, { kind: 'update' }>, places: Placeholders): string {
  const set = Object.entries(write.set ?? {}).map(([name, value]) => `${places.name(name)} = ${places.value(value)}`);
  const add = Object.entries(write.add ?? {}).map(([name, value]) => `${places.name(name)} ${places.value(value)}`);
  const unset = (write.unset ?? []).map((name) => places.name(name));
  return [clause('SET', set), clause('REMOVE', unset), clause('ADD', add)].filter((text) => text !== '').join(' ');
}

function clause(keyword: string, parts: readonly string[]): string {
  return parts.length === 0 ? '' : `${keyword} ${parts.join(', ')}`;
}

function checkSize(expression: string): string {
  if (expression.length > maxExpressionBytes) {
    throw new StoreError('invalid', `a write of too many attributes or conditions: ${expression.length} characters`);
  }
  return expression;
}

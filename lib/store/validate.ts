/** The limits and shapes of the store port, checked alike by every adapter: parsing also copies, so nothing is aliased. */
import {
  type Attribute,
  type Condition,
  type Item,
  type Key,
  maxItemBytes,
  maxTransactionWrites,
  type Query,
  StoreError,
  type Write,
} from './port.ts';

// Amazon DynamoDB Developer Guide, "Service, account, and table quotas" and "Constraints".
const maxPkBytes = 2048;
const maxSkBytes = 1024;
const maxDepth = 32;
const maxNameBytes = 65_535;
/** All items of one transaction together. */
export const maxTransactionBytes = 4 * 1024 * 1024;
/** A page ends here even when its limit is not reached, so that callers who forget `next` are found out in tests. */
export const maxPageBytes = 1024 * 1024;

/** A deep copy of the writes, or `invalid`. */
export function parseWrites(writes: readonly Write[]): readonly Write[] {
  if (writes.length < 1 || writes.length > maxTransactionWrites) {
    throw invalid(`a transaction has 1 to ${maxTransactionWrites} writes, not ${writes.length}`);
  }
  const keys = new Set<string>();
  return writes.map((write, index) => {
    const parsed = parseWrite(write);
    const { pk, sk } = parsed.kind === 'put' ? parsed.item : parsed.key;
    // A length before the text keeps two keys apart whatever characters they hold.
    const id = `${pk.length}:${pk}${sk}`;
    if (keys.has(id)) throw invalid(`write ${index} has the key of an earlier write of its transaction`);
    keys.add(id);
    return parsed;
  });
}

export function parseKey(key: Key): Key {
  return { pk: keyPart('pk', key.pk, maxPkBytes), sk: keyPart('sk', key.sk, maxSkBytes) };
}

export function parseQuery(query: Query): Query {
  keyPart('pk', query.pk, maxPkBytes);
  for (const name of ['prefix', 'from', 'to', 'after'] as const) {
    const bound = query[name];
    if (bound !== undefined) text(name, bound);
  }
  if (query.limit !== undefined && !(Number.isSafeInteger(query.limit) && query.limit > 0)) {
    throw invalid(`limit must be a positive integer, not ${query.limit}`);
  }
  return { ...query };
}

/** A deep copy in plain values (a `Buffer` becomes a `Uint8Array`), or `invalid`. */
export function copyItem(item: Item): Item {
  const { pk, sk } = parseKey(item);
  return { ...attributes(item, 1), pk, sk };
}

/**
 * The item's size as DynamoDB counts it (Developer Guide, "DynamoDB item sizes and formats"; the guide itself calls
 * the size of numbers approximate), or `invalid` over `maxItemBytes`.
 */
export function checkItemBytes(item: Item): number {
  const bytes = namedBytes(item);
  if (bytes > maxItemBytes) {
    throw invalid(`item ${JSON.stringify(item.sk.slice(0, 100))} has ${bytes} bytes; at most ${maxItemBytes} fit`);
  }
  return bytes;
}

function parseWrite(write: Write): Write {
  const when = write.when === undefined ? {} : { when: parseCondition(write.when, 1) };
  switch (write.kind) {
    case 'put':
      return { kind: 'put', item: copyItem(write.item), ...when };
    case 'update':
      return { ...parseUpdate(write), ...when };
    case 'delete':
      return { kind: 'delete', key: parseKey(write.key), ...when };
    case 'check':
      if (write.when === undefined) throw invalid('a check needs a condition');
      return { kind: 'check', key: parseKey(write.key), when: parseCondition(write.when, 1) };
    default:
      throw invalid(`unknown kind of write: ${JSON.stringify((write satisfies never as Write).kind)}`);
  }
}

function parseUpdate(write: Extract<Write, { kind: 'update' }>): Write {
  const set = attributes(write.set ?? {}, 1);
  const add = attributes(write.add ?? {}, 1) as Record<string, number>;
  const unset = [...(write.unset ?? [])];
  for (const amount of Object.values(add)) {
    if (typeof amount !== 'number') throw invalid('only a number can be added');
  }
  const names = [...Object.keys(set), ...Object.keys(add), ...unset];
  if (names.length === 0) throw invalid('an update must set, unset or add something');
  if (new Set(names).size !== names.length) throw invalid('an update names one attribute twice');
  for (const name of names) {
    attributeName(name);
    if (name === 'pk' || name === 'sk') throw invalid(`an update cannot change the key attribute ${name}`);
  }
  return { kind: 'update', key: parseKey(write.key), set, unset, add };
}

function parseCondition(condition: Condition, depth: number): Condition {
  if (depth > maxDepth) throw invalid('conditions are nested too deep');
  switch (condition.kind) {
    case 'absent':
    case 'present':
      return { kind: condition.kind };
    case 'missing':
      return { kind: 'missing', name: attributeName(condition.name) };
    case 'equals': {
      const value = attribute(condition.value, 1);
      if (Array.isArray(value) || (typeof value === 'object' && !(value instanceof Uint8Array))) {
        throw invalid('a condition compares with text, a number, a flag or bytes');
      }
      return { kind: 'equals', name: attributeName(condition.name), value: value as typeof condition.value };
    }
    case 'less':
    case 'greater': {
      const value = attribute(condition.value, 1);
      if (typeof value !== 'string' && typeof value !== 'number') {
        throw invalid(`${condition.kind} compares with text or a number`);
      }
      return { kind: condition.kind, name: attributeName(condition.name), value };
    }
    case 'all':
    case 'any':
      // DynamoDB has no expression for an empty list.
      if (condition.of.length === 0) throw invalid(`${condition.kind} needs at least one condition`);
      return { kind: condition.kind, of: condition.of.map((part) => parseCondition(part, depth + 1)) };
    default:
      throw invalid(`unknown kind of condition: ${JSON.stringify((condition satisfies never as Condition).kind)}`);
  }
}

function attributes(source: { readonly [name: string]: Attribute }, depth: number): Record<string, Attribute> {
  const copy: Record<string, Attribute> = {};
  for (const [name, value] of Object.entries(source)) copy[attributeName(name)] = attribute(value, depth);
  return copy;
}

function attribute(value: Attribute, depth: number): Attribute {
  if (depth > maxDepth) throw invalid(`attributes are nested more than ${maxDepth} deep`);
  switch (typeof value) {
    case 'string':
      return text('an attribute', value);
    case 'boolean':
      return value;
    case 'number':
      if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
        throw invalid(`a number must be a safe integer and not negative zero, not ${value}`);
      }
      return value;
    case 'object': {
      if (value instanceof Uint8Array) return new Uint8Array(value);
      if (Array.isArray(value)) return Array.from(value, (element: Attribute) => attribute(element, depth + 1));
      const prototype = value === null ? undefined : Object.getPrototypeOf(value);
      if (prototype === Object.prototype || prototype === null) {
        return attributes(value as { readonly [name: string]: Attribute }, depth + 1);
      }
      throw invalid('an attribute must be text, a safe integer, a flag, bytes, a list or a plain object');
    }
    default:
      throw invalid(`an attribute cannot be of type ${typeof value}`);
  }
}

function attributeName(name: string): string {
  text('an attribute name', name);
  if (name.length === 0) throw invalid('an attribute name must not be empty');
  if (name.length * 3 > maxNameBytes && Buffer.byteLength(name) > maxNameBytes) {
    throw invalid(`an attribute name has at most ${maxNameBytes} bytes`);
  }
  // Assigning it would change a JavaScript object's prototype instead of adding a property.
  if (name === '__proto__') throw invalid('an attribute must not be named __proto__');
  return name;
}

function keyPart(name: 'pk' | 'sk', value: string, maxBytes: number): string {
  text(name, value);
  const bytes = Buffer.byteLength(value);
  if (bytes < 1 || bytes > maxBytes) throw invalid(`${name} must have 1 to ${maxBytes} bytes, not ${bytes}`);
  return value;
}

function text(what: string, value: string): string {
  if (typeof value !== 'string') throw invalid(`${what} must be text`);
  // A lone surrogate has no UTF-8 form: it would come back as another string.
  if (!value.isWellFormed()) throw invalid(`${what} must be well-formed Unicode`);
  return value;
}

function namedBytes(source: { readonly [name: string]: Attribute }): number {
  let bytes = 0;
  for (const name in source) bytes += Buffer.byteLength(name) + attributeBytes(source[name]!);
  return bytes;
}

function attributeBytes(value: Attribute): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (typeof value === 'boolean') return 1;
  if (typeof value === 'number') return Math.ceil(String(Math.abs(value)).length / 2) + (value < 0 ? 2 : 1);
  if (value instanceof Uint8Array) return value.length;
  if (Array.isArray(value)) {
    return value.reduce((sum: number, element: Attribute) => sum + 1 + attributeBytes(element), 3);
  }
  return 3 + Object.keys(value).length + namedBytes(value as { readonly [name: string]: Attribute });
}

function invalid(message: string): StoreError {
  return new StoreError('invalid', message);
}

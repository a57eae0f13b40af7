/** How DynamoDB keeps an item: each attribute as its own type, so that whoever reads the table sees what is in it. */
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { type Attribute, type Item, type Key, StoreError } from './port.ts';

export type AttributeMap = Record<string, AttributeValue>;

/** The attribute is already parsed, so every one has a form here. */
export function encodeAttribute(value: Attribute): AttributeValue {
  if (typeof value === 'string') return { S: value };
  // Developer Guide, "Data types": numbers travel as text, exact to 38 digits.
  if (typeof value === 'number') return { N: String(value) };
  if (typeof value === 'boolean') return { BOOL: value };
  if (value instanceof Uint8Array) return { B: value };
  if (Array.isArray(value)) return { L: value.map((element: Attribute) => encodeAttribute(element)) };
  return { M: encodeMap(value as { readonly [name: string]: Attribute }) };
}

export function encodeMap(source: { readonly [name: string]: Attribute }): AttributeMap {
  return Object.fromEntries(Object.entries(source).map(([name, value]) => [name, encodeAttribute(value)]));
}

export function encodeKey({ pk, sk }: Key): AttributeMap {
  return { pk: { S: pk }, sk: { S: sk } };
}

/** The item in a table or in its stream, or `corrupt` for what this program can't have written. */
export function decodeItem(map: AttributeMap): Item {
  const { pk, sk } = decodeKey(map);
  return { ...decodeMap(map, { pk, sk }), pk, sk };
}

export function decodeKey(map: AttributeMap | undefined): Key {
  const pk = map?.['pk']?.S;
  const sk = map?.['sk']?.S;
  if (pk === undefined || sk === undefined) {
    throw new StoreError(
      'corrupt',
      'the table holds an item without the text keys pk and sk; it is not a table of ours',
    );
  }
  return { pk, sk };
}

function decodeMap(map: AttributeMap, key: Key): { [name: string]: Attribute } {
  const decoded: { [name: string]: Attribute } = {};
  for (const [name, value] of Object.entries(map)) {
    // Assigning it would change the object's prototype instead of adding a property.
    if (name === '__proto__') throw corrupt(key, 'an attribute is named __proto__');
    decoded[name] = decodeAttribute(value, key);
  }
  return decoded;
}

function decodeAttribute(value: AttributeValue, key: Key): Attribute {
  if (value.S !== undefined) return value.S;
  if (value.N !== undefined) {
    const number = Number(value.N);
    if (!Number.isSafeInteger(number)) throw corrupt(key, `the number ${value.N.slice(0, 50)} is no safe integer`);
    return number;
  }
  if (value.BOOL !== undefined) return value.BOOL;
  if (value.B !== undefined) return new Uint8Array(value.B);
  if (value.L !== undefined) return value.L.map((element) => decodeAttribute(element, key));
  if (value.M !== undefined) return decodeMap(value.M, key);
  throw corrupt(key, `an attribute is of type ${Object.keys(value)[0]}`);
}

function corrupt(key: Key, why: string): StoreError {
  const place = `${JSON.stringify(key.pk)} / ${JSON.stringify(key.sk)}`;
  return new StoreError('corrupt', `item ${place} can't be read back: ${why}; another program wrote to the table`);
}

/** Canonical JSON: RFC 8785 (JCS) out, and a strict profile of it in. */

import { fromUtf8 } from './encoding.ts';
import { CryptoError } from './errors.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export interface CanonicalJsonLimits {
  /** Default 8 KiB, the size of an audit entry. */
  readonly maxBytes?: number;
  /** Nested arrays and objects; a scalar has depth 0. Default 8. */
  readonly maxDepth?: number;
}

const DEFAULT_MAX_BYTES = 8 * 1024;
const DEFAULT_MAX_DEPTH = 8;
/** `canonicalize` recurses; a value that is deeper than this is a bug of the caller, not data. */
const CANONICALIZE_MAX_DEPTH = 512;

/**
 * RFC 8785 text of a value. Throws `CryptoError` `malformed` for what JSON cannot carry: non-finite numbers, lone
 * surrogates, `undefined`, functions, and objects other than plain ones.
 */
export function canonicalize(value: Json): string {
  return encodeValue(value, 0);
}

/**
 * Reads attacker-controlled bytes that must be the canonical encoding of a value in the strict profile: no null, no
 * number but a safe integer, well-formed text, limited size and depth. `JSON.parse` would hide duplicate names, other
 * spellings and white space; they cannot survive the final comparison with our own encoding of what was read.
 */
export function parseCanonicalJson(bytes: Uint8Array, limits: CanonicalJsonLimits = {}): Json {
  const maxBytes = limits.maxBytes ?? DEFAULT_MAX_BYTES;
  if (bytes.length > maxBytes) throw new CryptoError('malformed', `JSON is ${bytes.length} bytes, limit ${maxBytes}`);
  const text = fromUtf8(bytes);
  const maxDepth = limits.maxDepth ?? DEFAULT_MAX_DEPTH;
  assertShallow(text, maxDepth);
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CryptoError('malformed', 'not valid JSON', { cause });
  }
  assertProfile(value);
  if (canonicalize(value) !== text) throw new CryptoError('malformed', 'JSON is not in canonical form (RFC 8785)');
  return value;
}

function encodeValue(value: unknown, depth: number): string {
  if (depth > CANONICALIZE_MAX_DEPTH) throw new CryptoError('malformed', 'value is nested too deeply for JSON');
  switch (typeof value) {
    case 'string':
      return encodeString(value);
    case 'number':
      // RFC 8785 §3.2.2.3 takes ECMAScript's own number-to-text algorithm, of which JSON.stringify is the reference.
      if (!Number.isFinite(value)) throw new CryptoError('malformed', `${value} is not a JSON number`);
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? encodeArray(value, depth) : encodeObject(value, depth);
    default:
      throw new CryptoError('malformed', `a ${typeof value} is not a JSON value`);
  }
}

function encodeArray(items: readonly unknown[], depth: number): string {
  let text = '[';
  for (let index = 0; index < items.length; index += 1) {
    if (index > 0) text += ',';
    text += encodeValue(items[index], depth + 1);
  }
  return `${text}]`;
}

function encodeObject(value: object, depth: number): string {
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new CryptoError('malformed', 'only plain objects are JSON values');
  }
  const members = value as Record<string, unknown>;
  // RFC 8785 §3.2.3: names in order of UTF-16 code units, which is what a plain sort() of strings compares.
  const names = Object.keys(members).sort();
  let text = '{';
  for (let index = 0; index < names.length; index += 1) {
    const name = names[index] as string;
    if (index > 0) text += ',';
    text += `${encodeString(name)}:${encodeValue(members[name], depth + 1)}`;
  }
  return `${text}}`;
}

/** Printable ASCII that is written as it is. */
const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

function encodeString(text: string): string {
  if (plain.test(text)) return `"${text}"`;
  // RFC 8785 §3.2.2.2: JSON.stringify escapes exactly what is asked, but would escape lone surrogates instead of refusing.
  if (!text.isWellFormed()) throw new CryptoError('malformed', 'text has a lone surrogate');
  return JSON.stringify(text);
}

/** Bounds nesting before the recursive parser sees the text. Brackets inside strings are skipped. */
function assertShallow(text: string, maxDepth: number): void {
  let depth = 0;
  let quoted = false;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (quoted) {
      if (unit === 0x5c) index += 1;
      else if (unit === 0x22) quoted = false;
    } else if (unit === 0x22) {
      quoted = true;
    } else if (unit === 0x5b || unit === 0x7b) {
      depth += 1;
      if (depth > maxDepth) throw new CryptoError('malformed', `JSON is nested deeper than ${maxDepth}`);
    } else if (unit === 0x5d || unit === 0x7d) {
      depth -= 1;
    }
  }
}

function assertProfile(value: Json): void {
  if (value === null) throw new CryptoError('malformed', 'null is not in the profile: leave the member out');
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new CryptoError('malformed', `${value} is not a safe integer`);
  } else if (typeof value === 'object') {
    for (const member of Array.isArray(value) ? value : Object.values(value)) assertProfile(member);
  }
}

/** What is desired of one resource, held against its type's schema, with each complaint brought to its place in YAML. */

import { z } from 'zod';
import { CryptoError } from '../crypto/errors.ts';
import { canonicalize, type Json } from '../crypto/jcs.ts';
import { quoteHint, reportUnknownKey } from './fields.ts';
import type { Report } from './problem.ts';
import { type ResourceType, typesWithContent } from './resource-types.ts';
import { checkNames, markDesired } from './secret-source.ts';
import { quote, type YamlMap, type YamlNode, type YamlValue, yamlNodeAt, yamlValue } from './yaml.ts';

export type Desired = {
  /** As written: what is signed, since only that is sure to parse again on a node. */
  readonly input: { readonly [name: string]: Json };
  /** As the schema made it, with samples in place of secrets. */
  readonly output: unknown;
};

/** Parses `value`, which was made from `source`. Returns `undefined` after reporting what is wrong. */
export function checkDesired(
  type: ResourceType,
  value: Json | YamlValue,
  source: YamlMap,
  report: Report,
): Desired | undefined {
  const odd = findOdd(source);
  if (odd !== undefined) {
    report('bad_value', odd.node.place, odd.message, odd.hint ?? quoteHint(odd.node));
    return undefined;
  }
  const marked = markDesired(type, plain(value) as { readonly [name: string]: Json }, source, report);
  if (marked === undefined) return undefined;
  const input = marked.signed;
  const parsed = type.schema.safeParse(marked.samples[0]);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) reportIssue(issue, type, source, report);
    return undefined;
  }
  try {
    canonicalize(input);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    report('bad_value', source.place, `"${type.name}" holds text that is not well-formed Unicode`);
    return undefined;
  }
  return checkNames(type, marked, source, report) ? { input, output: parsed.data } : undefined;
}

/** The plain value of a node, as canonical JSON can carry it. Returns `undefined` after reporting what is wrong. */
export function readJson(node: YamlNode, what: string, report: Report): Json | undefined {
  const odd = findOdd(node);
  if (odd !== undefined) {
    report('bad_value', odd.node.place, `${what}: ${odd.message}`, odd.hint ?? quoteHint(odd.node));
    return undefined;
  }
  const value = plain(yamlValue(node));
  try {
    canonicalize(value);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    report('bad_value', node.place, `${what} holds text that is not well-formed Unicode`);
    return undefined;
  }
  return value;
}

/** The keys that a type takes in YAML, as far as its schema shows them. */
export function knownKeys(type: ResourceType): readonly string[] {
  const keys = type.schema instanceof z.ZodObject ? Object.keys(type.schema.shape) : [];
  return typesWithContent.has(type.name) ? [...new Set([...keys, 'content', 'source', 'template'])] : keys;
}

function reportIssue(issue: z.core.$ZodIssue, type: ResourceType, source: YamlMap, report: Report): void {
  const node = yamlNodeAt(source, issue.path);
  const [field] = issue.path;
  const what = field === undefined ? `"${type.name}"` : `"${issue.path.map(String).join('.')}" of "${type.name}"`;
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) {
      const place = node.kind === 'map' ? node.entries.find((entry) => entry.key === key)?.keyPlace : undefined;
      // Below the first level the schema's keys are not known here.
      const known = issue.path.length === 0 ? knownKeys(type) : [];
      if (known.length > 0) reportUnknownKey(key, place ?? node.place, known, `"${type.name}"`, report);
      else report('unknown_key', place ?? node.place, `unknown key ${quote(key)} in ${what}`);
    }
    return;
  }
  const isMissing = field !== undefined && node === source;
  if (isMissing) {
    const wanted = issue.path.length === 1 && issue.code === 'invalid_type' ? 'is missing' : issue.message;
    report('missing_key', source.place, `${what} ${wanted}`);
    return;
  }
  const hint = issue.code === 'invalid_type' && issue.expected === 'string' ? quoteHint(node) : undefined;
  report('bad_value', node.place, `${what}: ${issue.message}`, hint);
}

type Odd = { readonly node: YamlNode; readonly message: string; readonly hint?: string };

/** Values that canonical JSON in the strict profile can't carry, and keys that no type can have. */
function findOdd(node: YamlNode): Odd | undefined {
  if (node.kind === 'list') return firstDefined(node.items, findOdd);
  if (node.kind === 'map') {
    const odd = node.entries.find((entry) => entry.key === '__proto__');
    if (odd !== undefined) return { node: odd.value, message: 'a key that no resource can have: "__proto__"' };
    // Markers are made of such keys when a crate is built, and so can't be forged by what is written.
    const marker = node.entries.find((entry) => entry.key.startsWith('$'));
    if (marker !== undefined)
      return { node: marker.value, message: `a key that begins with "$": ${quote(marker.key)}` };
    return firstDefined(node.entries, (entry) => findOdd(entry.value));
  }
  if (node.value === null)
    return { node, message: 'a key without a value', hint: 'Give it a value, or remove the key.' };
  if (typeof node.value === 'number' && !Number.isSafeInteger(node.value)) {
    return { node, message: `${node.source} is not a whole number within ±(2^53 − 1)` };
  }
  return undefined;
}

function firstDefined<T, R>(items: readonly T[], find: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A copy made of ordinary objects, which schemas expect. */
function plain(value: Json | YamlValue): Json {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value as Json;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member as Json)]));
}

/** Reading YAML maps field by field: each helper returns a value of the wanted kind, or reports why there is none. */

import type { Place, Report } from './problem.ts';
import { suggestionHint } from './suggest.ts';
import { quote, type YamlEntry, type YamlMap, type YamlNode, type YamlScalar } from './yaml.ts';

/** The entries of a map by key. Unknown keys are reported, with the known one that was probably meant. */
export function readFields(
  node: YamlNode,
  known: readonly string[],
  what: string,
  report: Report,
): ReadonlyMap<string, YamlEntry> | undefined {
  const map = readMap(node, what, report);
  if (map === undefined) return undefined;
  const fields = new Map<string, YamlEntry>();
  for (const entry of map.entries) {
    if (known.includes(entry.key)) fields.set(entry.key, entry);
    else reportUnknownKey(entry.key, entry.keyPlace, known, what, report);
  }
  return fields;
}

export function reportUnknownKey(
  key: string,
  place: Place,
  known: readonly string[],
  what: string,
  report: Report,
): void {
  report('unknown_key', place, `unknown key ${quote(key)} in ${what}`, suggestionHint(key, known));
}

export function readMap(node: YamlNode, what: string, report: Report): YamlMap | undefined {
  if (node.kind === 'map') return node;
  report('bad_value', node.place, `${what} must be a map of keys and values, not ${kindOf(node)}`);
  return undefined;
}

/** The items of a list; an absent field is an empty one. */
export function readList(field: YamlEntry | undefined, max: number, report: Report): readonly YamlNode[] {
  if (field === undefined) return [];
  if (field.value.kind !== 'list') {
    report(
      'bad_value',
      field.value.place,
      `"${field.key}" must be a list, not ${kindOf(field.value)}`,
      `Write it as "${field.key}: […]", or with a "- " before each item.`,
    );
    return [];
  }
  if (field.value.items.length > max) {
    report('too_large', field.value.place, `"${field.key}" has ${field.value.items.length} items, limit ${max}`);
    return [];
  }
  return field.value.items;
}

/** Text that matches a pattern. A number where text is wanted gets the advice to quote it. */
export function readText(node: YamlNode, what: string, pattern: RegExp, report: Report): string | undefined {
  if (node.kind !== 'scalar' || typeof node.value !== 'string') {
    report('bad_value', node.place, `${what} must be text, not ${kindOf(node)}`, quoteHint(node));
    return undefined;
  }
  if (pattern.test(node.value)) return node.value;
  report('bad_value', node.place, `${quote(node.value)} is not a ${what}`, `It must match ${pattern.source}.`);
  return undefined;
}

/** YAML reads `0644` as six hundred and forty-four, and `1.10` as 1.1: the remedy is always the same. */
export function quoteHint(node: YamlNode): string | undefined {
  return isNumberOrFlag(node) && node.source !== '' ? `Put it in quotes: "${node.source.slice(0, 80)}".` : undefined;
}

export function kindOf(node: YamlNode): string {
  if (node.kind === 'map') return 'a map';
  if (node.kind === 'list') return 'a list';
  if (node.value === null) return 'nothing';
  switch (typeof node.value) {
    case 'string':
      return 'text';
    case 'number':
      return 'a number';
    default:
      return 'a flag';
  }
}

function isNumberOrFlag(node: YamlNode): node is YamlScalar {
  return node.kind === 'scalar' && (typeof node.value === 'number' || typeof node.value === 'boolean');
}

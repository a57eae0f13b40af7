/** `holdfast.yaml` as written: which crates go to which nodes, and the defaults of releases. */

import { kindOf, readFields, readList, readMap, readText } from './fields.ts';
import { isGlob } from './glob.ts';
import type { Match } from './model.ts';
import { crateNamePattern, labelPattern, maxBindings, maxCrates, maxLabels } from './names.ts';
import type { Place, Report } from './problem.ts';
import { readVars, type SourceVars } from './vars-source.ts';
import { quote, type YamlEntry, type YamlNode } from './yaml.ts';

export type SourceBinding = {
  readonly match: Match;
  readonly crates: readonly { readonly name: string; readonly place: Place }[];
  readonly vars: SourceVars;
  readonly place: Place;
};
export type HoldfastSource = {
  /** Of the whole fleet; bindings override them. */
  readonly vars: SourceVars;
  readonly bindings: readonly SourceBinding[];
  /** How long a release stands, if the policy says so. */
  readonly expiresMs?: number;
};

export const noHoldfast: HoldfastSource = { vars: new Map(), bindings: [] };

const unitsMs = { h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 } as const;
const maxExpiresMs = 5 * 366 * unitsMs.d;

/** Reads the root of `holdfast.yaml`; what is not usable is reported and left out. */
export function parseHoldfast(root: YamlNode, report: Report): HoldfastSource {
  const fields = readFields(root, ['bindings', 'release', 'vars'], 'holdfast.yaml', report);
  if (fields === undefined) return noHoldfast;
  const bindings = fields.get('bindings');
  if (bindings === undefined) {
    report(
      'missing_key',
      root.place,
      '"bindings" is missing',
      'Say which nodes get which crates: bindings: [{match: {name: "*"}, crates: [motd]}]',
    );
  }
  const expiresMs = readRelease(fields.get('release'), report);
  return {
    vars: readVars(fields.get('vars'), report),
    bindings: readList(bindings, maxBindings, report).flatMap((node) => readBinding(node, report) ?? []),
    ...(expiresMs === undefined ? {} : { expiresMs }),
  };
}

/** `12h`, `90d`, `2w`, up to five years. */
export function parseDuration(text: string): number | undefined {
  const [, count, unit] = /^([1-9][0-9]{0,4})([hdw])$/.exec(text) ?? [];
  if (count === undefined || unit === undefined) return undefined;
  const ms = Number(count) * unitsMs[unit as keyof typeof unitsMs];
  return ms <= maxExpiresMs ? ms : undefined;
}

function readRelease(field: YamlEntry | undefined, report: Report): number | undefined {
  if (field === undefined) return undefined;
  const expires = readFields(field.value, ['expires'], 'release', report)?.get('expires');
  if (expires === undefined) return undefined;
  const text = readText(expires.value, 'duration', /^[0-9]+[a-z]+$/, report);
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms === undefined) {
    report(
      'bad_value',
      expires.value.place,
      `${quote(text)} is not a duration`,
      'Write hours, days or weeks, up to five years: 12h, 90d, 8w.',
    );
  }
  return ms;
}

function readBinding(node: YamlNode, report: Report): SourceBinding | undefined {
  const fields = readFields(node, ['match', 'crates', 'vars'], 'a binding', report);
  if (fields === undefined) return undefined;
  const matchField = fields.get('match');
  const cratesField = fields.get('crates');
  if (matchField === undefined) {
    report('missing_key', node.place, 'a binding without "match"', 'For every node write: match: {name: "*"}');
  }
  const vars = readVars(fields.get('vars'), report);
  if (cratesField === undefined && !fields.has('vars')) {
    report('missing_key', node.place, 'a binding without "crates"', 'Give crates, vars, or both.');
  }
  const match = matchField === undefined ? undefined : readMatch(matchField.value, report);
  const crates: { name: string; place: Place }[] = [];
  for (const item of readList(cratesField, maxCrates, report)) {
    const name = readText(item, 'crate name', crateNamePattern, report);
    if (name === undefined) continue;
    if (crates.some((crate) => crate.name === name)) {
      report('bad_value', item.place, `crate "${name}" is listed twice in one binding`, 'Keep one of them.');
    } else {
      crates.push({ name, place: item.place });
    }
  }
  if (match === undefined) return undefined;
  if (cratesField?.value.kind === 'list' && cratesField.value.items.length === 0) {
    report('bad_value', cratesField.value.place, 'a binding of no crates', 'Name crates, or remove the binding.');
  }
  return { match, crates, vars, place: node.place };
}

function readMatch(node: YamlNode, report: Report): Match | undefined {
  const fields = readFields(node, ['name', 'labels'], 'match', report);
  if (fields === undefined) return undefined;
  const name = fields.get('name');
  const labels = fields.get('labels');
  if (name === undefined && labels === undefined) {
    // An empty match could mean all or none: a slip must not reach every machine.
    report('missing_key', node.place, '"match" says nothing', 'For every node write: match: {name: "*"}');
    return undefined;
  }
  const glob = name === undefined ? undefined : readGlob(name.value, report);
  const wanted = labels === undefined ? undefined : readLabels(labels.value, report);
  if ((name !== undefined && glob === undefined) || (labels !== undefined && wanted === undefined)) return undefined;
  return { ...(glob === undefined ? {} : { name: glob }), ...(wanted === undefined ? {} : { labels: wanted }) };
}

function readGlob(node: YamlNode, report: Report): string | undefined {
  const text = readText(node, 'name pattern', /^/, report);
  if (text === undefined || isGlob(text)) return text;
  report(
    'bad_value',
    node.place,
    `${quote(text)} is not a name pattern`,
    'Lower-case letters, digits, "." and "-", with * for any run of characters and ? for one.',
  );
  return undefined;
}

function readLabels(node: YamlNode, report: Report): { readonly [name: string]: string } | undefined {
  const map = readMap(node, 'labels', report);
  if (map === undefined) return undefined;
  if (map.entries.length === 0 || map.entries.length > maxLabels) {
    report(
      'bad_value',
      node.place,
      `labels must name 1 to ${maxLabels} labels, not ${kindOf(node)} of ${map.entries.length}`,
    );
    return undefined;
  }
  const labels: [string, string][] = [];
  for (const entry of map.entries) {
    if (!labelPattern.test(entry.key)) {
      report(
        'bad_value',
        entry.keyPlace,
        `${quote(entry.key)} is not a label name`,
        `It must match ${labelPattern.source}.`,
      );
      continue;
    }
    const value = readText(entry.value, 'label value', labelPattern, report);
    if (value !== undefined) labels.push([entry.key, value]);
  }
  return labels.length === map.entries.length ? Object.fromEntries(labels) : undefined;
}

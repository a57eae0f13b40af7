/** A crate as written: YAML read into resources in the form that nodes get, with file contents set aside as blobs. */

import { checkDesired, knownKeys } from './desired.ts';
import { readFields, readList, readText, reportUnknownKey } from './fields.ts';
import type { CrateResource } from './model.ts';
import { crateNamePattern, idPattern, maxReferences, maxResources, parseReference } from './names.ts';
import type { Place, Report } from './problem.ts';
import { type ResourceType, type ResourceTypes, resourceKey, typesWithContent } from './resource-types.ts';
import { withContent } from './source-content.ts';
import { suggestionHint } from './suggest.ts';
import { quote, type YamlEntry, type YamlNode, yamlValue } from './yaml.ts';

export type SourceResource = CrateResource & {
  /** `type/id` */
  readonly key: string;
  readonly crate: string;
  readonly place: Place;
  /** The place of each reference in `requires`, `notify` and `before`, by its text. */
  readonly referencePlaces: ReadonlyMap<string, Place>;
};
export type CrateSource = {
  readonly name: string;
  readonly place: Place;
  readonly resources: readonly SourceResource[];
  /** File contents by digest. */
  readonly contents: ReadonlyMap<string, Uint8Array>;
  /** Whether every resource could be read. */
  readonly isWhole: boolean;
};

const listKeys = ['requires', 'notify', 'before'] as const;

export type CrateInput = {
  readonly name: string;
  readonly root: YamlNode;
  /** The crate's own folder; a crate that is a single file has none. */
  readonly folder?: string;
  readonly types: ResourceTypes;
  readonly report: Report;
};

/** Reads a crate. What is wrong is reported; resources that can't be read are left out. */
export async function parseCrateSource(input: CrateInput): Promise<CrateSource> {
  const { name, root, report } = input;
  const contents = new Map<string, Uint8Array>();
  const fields = readFields(root, ['crate', 'resources'], 'a crate', report);
  const stated = fields?.get('crate');
  const title = stated === undefined ? undefined : readText(stated.value, 'crate name', crateNamePattern, report);
  if (title !== undefined && stated !== undefined && title !== name) {
    report(
      'bad_value',
      stated.value.place,
      `this crate is "${name}" by its file name, but calls itself "${title}"`,
      'Rename one of them.',
    );
  }
  if (fields !== undefined && !fields.has('resources')) report('missing_key', root.place, '"resources" is missing');
  const resources: SourceResource[] = [];
  const list = fields?.get('resources')?.value;
  const nodes = readList(fields?.get('resources'), maxResources, report);
  for (const node of nodes) {
    const resource = await parseResource(node, input, contents);
    if (resource !== undefined) resources.push(resource);
  }
  const isWhole = list?.kind === 'list' && list.items.length === resources.length;
  return { name, place: root.place, resources, contents, isWhole };
}

async function parseResource(
  node: YamlNode,
  input: CrateInput,
  contents: Map<string, Uint8Array>,
): Promise<SourceResource | undefined> {
  const { types, report } = input;
  const found = findType(node, types, report);
  if (found === undefined) return undefined;
  const { type, entry, fields } = found;
  const referencePlaces = new Map<string, Place>();
  const references = Object.fromEntries(
    listKeys.flatMap((key) => {
      const list = readReferences(fields.get(key), referencePlaces, report);
      return list.length === 0 ? [] : [[key, list]];
    }),
  );
  if (entry.value.kind !== 'map') {
    report('bad_value', entry.value.place, `"${type.name}" must be a map of keys and values`, hintOfKeys(type));
    return undefined;
  }
  const { value, isWhole } = typesWithContent.has(type.name)
    ? await withContent(entry.value, input, contents)
    : { value: yamlValue(entry.value), isWhole: true };
  const parsed = checkDesired(type, value, entry.value, report);
  if (parsed === undefined || !isWhole) return undefined;
  const id = type.id(parsed.output);
  if (!idPattern.test(id)) {
    report(
      'bad_value',
      entry.value.place,
      `${quote(id)} can't name a resource`,
      'Use 1 to 4400 characters on one line.',
    );
    return undefined;
  }
  const place = node.place;
  const key = resourceKey(type.name, id);
  return { type: type.name, id, desired: parsed.input, ...references, key, crate: input.name, place, referencePlaces };
}

/** The one key of a resource that names its type. */
function findType(
  node: YamlNode,
  types: ResourceTypes,
  report: Report,
): { type: ResourceType; entry: YamlEntry; fields: ReadonlyMap<string, YamlEntry> } | undefined {
  if (node.kind !== 'map') {
    report('bad_value', node.place, 'a resource must be a map', 'Write: - file: {path: /etc/motd, content: hello}');
    return undefined;
  }
  const named = node.entries.filter((entry) => types.has(entry.key));
  const others = node.entries.filter((entry) => !types.has(entry.key) && !isListKey(entry.key));
  const typeNames = [...types.keys()];
  for (const entry of others) {
    if (named.length === 0) {
      report(
        'unknown_type',
        entry.keyPlace,
        `unknown resource type ${quote(entry.key)}`,
        suggestionHint(entry.key, typeNames),
      );
    } else {
      reportUnknownKey(entry.key, entry.keyPlace, listKeys, 'a resource', report);
    }
  }
  const [entry, second] = named;
  if (entry === undefined) {
    if (others.length === 0)
      report('missing_key', node.place, 'a resource without a type', suggestionHint('', typeNames));
    return undefined;
  }
  if (second !== undefined) {
    report(
      'bad_value',
      second.keyPlace,
      `a resource of two types, "${entry.key}" and "${second.key}"`,
      'Put a "- " before each resource.',
    );
    return undefined;
  }
  return { type: types.get(entry.key) as ResourceType, entry, fields: new Map(node.entries.map((e) => [e.key, e])) };
}

function readReferences(field: YamlEntry | undefined, places: Map<string, Place>, report: Report): readonly string[] {
  const references: string[] = [];
  for (const item of readList(field, maxReferences, report)) {
    const text = readText(item, 'reference', /^/, report);
    if (text === undefined) continue;
    if (parseReference(text) === undefined) {
      report(
        'bad_value',
        item.place,
        `${quote(text)} is not a reference`,
        'Write type/name, or crate:type/name, such as file//etc/motd.',
      );
    } else if (!references.includes(text)) {
      references.push(text);
      places.set(text, item.place);
    }
  }
  return references;
}

function hintOfKeys(type: ResourceType): string | undefined {
  const keys = knownKeys(type);
  return keys.length === 0 ? undefined : `Its keys: ${keys.join(', ')}.`;
}

function isListKey(key: string): boolean {
  return (listKeys as readonly string[]).includes(key);
}

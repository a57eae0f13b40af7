/** A crate as written: YAML read into resources in the form that nodes get, with file contents set aside as blobs. */

import type { Json } from '../crypto/jcs.ts';
import { readAccepts, type SourceAccepts } from './accepts.ts';
import { checkDesired, knownKeys } from './desired.ts';
import { checkExpression, type ExpressionAst, type Names } from './expression.ts';
import { readFields, readList, readText, reportUnknownKey } from './fields.ts';
import { expandForeach, type ForeachContext } from './foreach.ts';
import type { CrateResource } from './model.ts';
import {
  controlPattern,
  crateNamePattern,
  idPattern,
  maxControls,
  maxCrates,
  maxReferences,
  maxResources,
  parseReference,
} from './names.ts';
import type { Place, Report } from './problem.ts';
import { type ResourceType, type ResourceTypes, resourceKey, typesWithContent } from './resource-types.ts';
import { isSecretText } from './secret-source.ts';
import { withContent } from './source-content.ts';
import { suggestionHint } from './suggest.ts';
import { varTypeOf } from './vars.ts';
import { readInputs, readVars, type SourceInputs, type SourceVars } from './vars-source.ts';
import { quote, type YamlEntry, type YamlNode, yamlValue } from './yaml.ts';

export type SourceResource = Omit<CrateResource, 'accepts'> & {
  /** `type/id` */
  readonly key: string;
  readonly crate: string;
  readonly place: Place;
  /** The place of each reference in `requires`, `notify` and `before`, by its text. */
  readonly referencePlaces: ReadonlyMap<string, Place>;
  readonly accepted: SourceAccepts;
  readonly whenCheck?: { readonly ast: ExpressionAst; readonly place: Place };
};
export type CrateSource = {
  readonly name: string;
  readonly place: Place;
  readonly includes: readonly { readonly name: string; readonly place: Place }[];
  readonly vars: SourceVars;
  readonly inputs: SourceInputs;
  /** Sorted, each once. */
  readonly controls: readonly string[];
  readonly resources: readonly SourceResource[];
  /** File contents by digest. */
  readonly contents: ReadonlyMap<string, Uint8Array>;
  /** Whether every resource could be read. */
  readonly isWhole: boolean;
};

const listKeys = ['requires', 'notify', 'before'] as const;
const resourceKeys = [...listKeys, 'when', 'foreach', 'accepts'] as const;

/** Looks at the bytes of a file, named relative to the policy directory, for what must not be in one. */
export type Scan = (bytes: Uint8Array, file: string) => void;

export type CrateInput = {
  readonly name: string;
  readonly root: YamlNode;
  /** The crate's own folder; a crate that is a single file has none. */
  readonly folder?: string;
  readonly types: ResourceTypes;
  readonly report: Report;
  readonly scan: Scan;
  /** What `holdfast.yaml` gives every node. */
  readonly fleetVars: SourceVars;
  /** The names of what its bindings give to some. */
  readonly boundVars: ReadonlySet<string>;
};

/** What all resources of a crate are read with. */
type Reading = CrateInput & { readonly names: Names };

/** Reads a crate. What is wrong is reported; resources that can't be read are left out. */
export async function parseCrateSource(input: CrateInput): Promise<CrateSource> {
  const { name, root, report } = input;
  const contents = new Map<string, Uint8Array>();
  const fields = readFields(root, ['crate', 'includes', 'vars', 'inputs', 'controls', 'resources'], 'a crate', report);
  checkTitle(fields?.get('crate'), name, report);
  if (fields !== undefined && !fields.has('resources') && !fields.has('includes')) {
    report('missing_key', root.place, '"resources" is missing');
  }
  const includes = readList(fields?.get('includes'), maxCrates, report).flatMap((node) => {
    const included = readText(node, 'crate name', crateNamePattern, report);
    return included === undefined ? [] : [{ name: included, place: node.place }];
  });
  const controls = readList(fields?.get('controls'), maxControls, report).flatMap(
    (node) => readText(node, 'control such as "cis-debian-12:1.1.1"', controlPattern, report) ?? [],
  );
  const vars = readVars(fields?.get('vars'), report);
  const inputs = readInputs(fields?.get('inputs'), report);
  for (const [twice, { place }] of inputs) {
    if (vars.has(twice)) report('bad_value', place, `"${twice}" is both a var and an input`, 'Keep one of them.');
  }
  const context = foreachContext(vars, inputs, input);
  const types = new Map([...vars].map(([one, { value }]) => [one, varTypeOf(value)] as const));
  for (const [one, { type }] of inputs) types.set(one, type);
  const resources: SourceResource[] = [];
  const list = fields?.get('resources')?.value;
  let count = 0;
  let isWhole = fields !== undefined && (list === undefined || list.kind === 'list');
  for (const written of readList(fields?.get('resources'), maxResources, report)) {
    const expanded = expandForeach(written, context);
    const isLoop = written.kind === 'map' && written.entries.some((entry) => entry.key === 'foreach');
    if (expanded.length === 0 && isLoop) isWhole = false;
    for (const { node, item } of expanded) {
      count += 1;
      if (count > maxResources) break;
      const reading = { ...input, names: { vars: types, hasItem: item !== undefined } };
      const resource = await parseResource(node, reading, contents);
      if (resource?.template !== undefined && item !== undefined && hasSecretText(item)) {
        const hint = 'Give the secret to a var, and use that in the template.';
        report('misplaced_secret', resource.place, 'a template shows secrets of vars, not of items of "foreach"', hint);
      }
      if (resource === undefined) {
        isWhole = false;
        // The next item would bring the same complaint again.
        if (isLoop) break;
      } else resources.push(item === undefined ? resource : { ...resource, item });
    }
  }
  if (count > maxResources) report('too_large', root.place, `more than ${maxResources} resources, by "foreach"`);
  const served = [...new Set(controls)].sort();
  return { name, place: root.place, includes, vars, inputs, controls: served, resources, contents, isWhole };
}

function hasSecretText(value: Json): boolean {
  if (typeof value === 'string') return isSecretText(value);
  return typeof value === 'object' && value !== null && Object.values(value).some((one) => hasSecretText(one as Json));
}

function checkTitle(stated: YamlEntry | undefined, name: string, report: Report): void {
  const title = stated === undefined ? undefined : readText(stated.value, 'crate name', crateNamePattern, report);
  if (title === undefined || stated === undefined || title === name) return;
  const message = `this crate is "${name}" by its file name, but calls itself "${title}"`;
  report('bad_value', stated.value.place, message, 'Rename one of them.');
}

/** Only what has one value for all nodes can be written out when the policy is built. */
function foreachContext(vars: SourceVars, inputs: SourceInputs, input: CrateInput): ForeachContext {
  const { fleetVars, boundVars, report } = input;
  const fixed = new Map<string, { value: Json; place: Place }>();
  const varying = new Set<string>();
  for (const name of [...vars.keys(), ...inputs.keys()]) {
    const found = fleetVars.get(name) ?? vars.get(name);
    if (boundVars.has(name) || found === undefined) varying.add(name);
    else fixed.set(name, found);
  }
  return { vars: fixed, varying, report };
}

async function parseResource(
  node: YamlNode,
  input: Reading,
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
  const condition = readWhen(fields.get('when'), input);
  const accepted = readAccepts(fields.get('accepts'), report);
  const { value, isWhole, template }: Awaited<ReturnType<typeof withContent>> = typesWithContent.has(type.name)
    ? await withContent(entry.value, input, contents)
    : { value: yamlValue(entry.value), isWhole: true };
  const parsed = checkDesired(type, value, entry.value, report);
  if (parsed === undefined || !isWhole || condition === 'wrong') return undefined;
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
  const { content: _placeholder, ...rest } = parsed.input;
  const desired = template === undefined ? parsed.input : rest;
  const extra = { ...references, ...condition, ...(template === undefined ? {} : { template }), accepted };
  return { type: type.name, id, desired, ...extra, key, crate: input.name, place, referencePlaces };
}

/** Nothing when there is no `when`. */
function readWhen(
  field: YamlEntry | undefined,
  { names, report }: Reading,
): Pick<SourceResource, 'when' | 'whenCheck'> | 'wrong' {
  if (field === undefined) return {};
  const { place } = field.value;
  if (field.value.kind === 'scalar' && typeof field.value.value === 'boolean') {
    report('bad_expression', place, '"when" must be an expression, not a flag', 'Write it as text: when: vars.enabled');
    return 'wrong';
  }
  const text = readText(field.value, 'expression', /^/, report);
  if (text === undefined) return 'wrong';
  const checked = checkExpression(text, names);
  for (const { message, at, unknown } of checked.problems) {
    const hint = unknown === undefined ? undefined : suggestionHint(unknown.name, unknown.known);
    report('bad_expression', place, `"when", character ${at + 1}: ${message}`, hint);
  }
  return checked.ok ? { when: text, whenCheck: { ast: checked.ast, place } } : 'wrong';
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
  const others = node.entries.filter((entry) => !types.has(entry.key) && !isResourceKey(entry.key));
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
      reportUnknownKey(entry.key, entry.keyPlace, resourceKeys, 'a resource', report);
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

function isResourceKey(key: string): boolean {
  return (resourceKeys as readonly string[]).includes(key);
}

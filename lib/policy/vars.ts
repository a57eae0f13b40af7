/**
 * Vars: named values that crates declare with a default, and that `holdfast.yaml` overrides. Precedence, the later
 * winning, always as a whole value: the crate's default, the fleet's `vars`, the `vars` of each matching binding in the
 * order of the file. A crate sees only the vars that it declares.
 */
import type { Json } from '../crypto/jcs.ts';
import { type EnrolledNode, matchesNode } from './bindings.ts';
import { readJson } from './desired.ts';
import { readMap } from './fields.ts';
import type { Match } from './model.ts';
import { maxVars, varNamePattern } from './names.ts';
import type { Place, Report } from './problem.ts';
import { suggestionHint } from './suggest.ts';
import { quote, type YamlEntry } from './yaml.ts';

export type Vars = { readonly [name: string]: Json };
export const varTypes = ['text', 'number', 'flag', 'list', 'map'] as const;
export type VarType = (typeof varTypes)[number];
export type Inputs = { readonly [name: string]: VarType };

/** Values with the place of each, as read from source. */
export type SourceVars = ReadonlyMap<string, { readonly value: Json; readonly place: Place }>;
export type SourceInputs = ReadonlyMap<string, { readonly type: VarType; readonly place: Place }>;

export function varTypeOf(value: Json): VarType {
  if (Array.isArray(value)) return 'list';
  switch (typeof value) {
    case 'string':
      return 'text';
    case 'number':
      return 'number';
    case 'boolean':
      return 'flag';
    default:
      return 'map';
  }
}

/** The vars that `holdfast.yaml` gives a node: what no crate declares is without effect. */
export function givenVars(
  manifest: { readonly vars?: Vars; readonly bindings: readonly { readonly match: Match; readonly vars?: Vars }[] },
  node: EnrolledNode,
): Vars {
  const given: Record<string, Json> = { ...manifest.vars };
  for (const { match, vars } of manifest.bindings) {
    if (vars !== undefined && matchesNode(match, node)) Object.assign(given, vars);
  }
  return given;
}

/**
 * What one crate sees: each declared var with the value that was given, or else its default. `wrong` names the ones
 * that have no value, or one of another type than the crate declares.
 */
export function varsOfCrate(
  crate: { readonly vars?: Vars; readonly inputs?: Inputs },
  given: Vars,
): { readonly vars: Vars; readonly wrong: readonly string[] } {
  const vars: Record<string, Json> = {};
  const wrong: string[] = [];
  const declared: readonly (readonly [string, VarType, Json | undefined])[] = [
    ...Object.entries(crate.vars ?? {}).map(([name, value]) => [name, varTypeOf(value), value] as const),
    ...Object.entries(crate.inputs ?? {}).map(([name, type]) => [name, type, undefined] as const),
  ];
  for (const [name, type, byDefault] of declared) {
    const value = Object.hasOwn(given, name) ? given[name] : byDefault;
    if (value === undefined || varTypeOf(value) !== type) wrong.push(name);
    else vars[name] = value;
  }
  return { vars, wrong };
}

/** Reads `vars: {name: value}`. */
export function readVars(field: YamlEntry | undefined, report: Report): SourceVars {
  const vars = new Map<string, { value: Json; place: Place }>();
  for (const entry of entriesOf(field, report)) {
    const value = readJson(entry.value, `var ${quote(entry.key)}`, report);
    if (value !== undefined) vars.set(entry.key, { value, place: entry.keyPlace });
  }
  return vars;
}

/** Reads `inputs: {name: type}`: vars without a default, which `holdfast.yaml` must give. */
export function readInputs(field: YamlEntry | undefined, report: Report): SourceInputs {
  const inputs = new Map<string, { type: VarType; place: Place }>();
  for (const entry of entriesOf(field, report)) {
    const type = entry.value.kind === 'scalar' ? varTypes.find((name) => name === asText(entry)) : undefined;
    if (type === undefined) {
      const hint = suggestionHint(asText(entry), varTypes);
      report('bad_value', entry.value.place, `input ${quote(entry.key)} must name the type of its value`, hint);
    } else {
      inputs.set(entry.key, { type, place: entry.keyPlace });
    }
  }
  return inputs;
}

export function plainVars(source: SourceVars): Vars {
  return Object.fromEntries([...source].map(([name, { value }]) => [name, value]));
}

function entriesOf(field: YamlEntry | undefined, report: Report): readonly YamlEntry[] {
  const map = field === undefined ? undefined : readMap(field.value, `"${field.key}"`, report);
  if (map === undefined || field === undefined) return [];
  if (map.entries.length > maxVars) {
    report('too_large', map.place, `"${field.key}" has ${map.entries.length} names, limit ${maxVars}`);
    return [];
  }
  return map.entries.filter((entry) => {
    if (varNamePattern.test(entry.key)) return true;
    const hint = `It must match ${varNamePattern.source}.`;
    report('bad_value', entry.keyPlace, `${quote(entry.key)} is not the name of a var`, hint);
    return false;
  });
}

function asText(entry: YamlEntry): string {
  return entry.value.kind === 'scalar' ? String(entry.value.value) : '';
}

/** Vars and inputs as written: read from YAML with the place of each. */
import type { Json } from '../crypto/jcs.ts';
import { SecretsError } from '../secrets/errors.ts';
import { readJson } from './desired.ts';
import { readMap } from './fields.ts';
import { maxVars, varNamePattern } from './names.ts';
import type { Place, Report } from './problem.ts';
import { markSecrets } from './secret-source.ts';
import { suggestionHint } from './suggest.ts';
import { type Vars, type VarType, varTypes } from './vars.ts';
import { quote, type YamlEntry } from './yaml.ts';

/** Values with the place of each, as read from source. */
export type SourceVars = ReadonlyMap<string, { readonly value: Json; readonly place: Place }>;
export type SourceInputs = ReadonlyMap<string, { readonly type: VarType; readonly place: Place }>;

/** Reads `vars: {name: value}`. */
export function readVars(field: YamlEntry | undefined, report: Report): SourceVars {
  const vars = new Map<string, { value: Json; place: Place }>();
  for (const entry of entriesOf(field, report)) {
    const value = readJson(entry.value, `var ${quote(entry.key)}`, report);
    if (value === undefined) continue;
    try {
      vars.set(entry.key, { value: markSecrets(value), place: entry.keyPlace });
    } catch (error) {
      if (!(error instanceof SecretsError)) throw error;
      report('bad_secret', entry.value.place, error.message, error.hint);
    }
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

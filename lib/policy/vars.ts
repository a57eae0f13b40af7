/**
 * Vars: named values that crates declare with a default, and that `holdfast.yaml` overrides. Precedence, the later
 * winning, always as a whole value: the crate's default, the fleet's `vars`, the `vars` of each matching binding in the
 * order of the file. A crate sees only the vars that it declares.
 */
import type { Json } from '../crypto/jcs.ts';
import { type EnrolledNode, matchesNode } from './bindings.ts';
import type { Match } from './model.ts';

export type Vars = { readonly [name: string]: Json };
export const varTypes = ['text', 'number', 'flag', 'list', 'map'] as const;
export type VarType = (typeof varTypes)[number];
export type Inputs = { readonly [name: string]: VarType };

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
      // The marker of a secret stands for its text.
      return value !== null && ('$secret' in value || '$join' in value) ? 'text' : 'map';
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

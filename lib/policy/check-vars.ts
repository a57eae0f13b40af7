/** The check of vars and of `when`, once crates and bindings are seen together: who declares, who gives, of what type. */
import type { Json } from '../crypto/jcs.ts';
import { covers } from './bindings.ts';
import type { CrateSource } from './crate-source.ts';
import type { PolicyDirectory } from './directory.ts';
import { impossibleFactValues, possibilityOf } from './impossible.ts';
import type { Report } from './problem.ts';
import { suggestionHint } from './suggest.ts';
import { type VarType, varTypeOf } from './vars.ts';
import type { SourceVars } from './vars-source.ts';
import { quote } from './yaml.ts';

/** Vars that no crate declares, values of another type than declared, and inputs that some node would lack. */
export function checkVars({ holdfast, crates, crateNames }: PolicyDirectory, report: Report): void {
  const declared = new Map<string, { readonly crate: string; readonly type: VarType }[]>();
  const declare = (name: string, crate: string, type: VarType) =>
    declared.set(name, [...(declared.get(name) ?? []), { crate, type }]);
  for (const { name: crate, vars, inputs } of crates) {
    for (const [name, { value }] of vars) declare(name, crate, varTypeOf(value));
    for (const [name, { type }] of inputs) declare(name, crate, type);
  }
  // A crate that could not be read may declare what seems unknown here.
  const isWhole = crates.length === crateNames.size;
  for (const given of [holdfast.vars, ...holdfast.bindings.map((binding) => binding.vars)]) {
    for (const [name, { value, place }] of given) {
      const declarations = declared.get(name) ?? [];
      if (declarations.length === 0 && isWhole) {
        const hint = suggestionHint(name, [...declared.keys()]);
        report('unknown_var', place, `no crate declares a var ${quote(name)}`, hint);
      }
      const wrong = declarations.find(({ type }) => type !== varTypeOf(value));
      if (wrong !== undefined) {
        const message = `var "${name}" is a ${wrong.type} in crate "${wrong.crate}", and here a ${varTypeOf(value)}`;
        report('bad_value', place, message);
      }
    }
  }
  checkInputs({ holdfast, crates }, report);
}

function checkInputs({ holdfast, crates }: Pick<PolicyDirectory, 'holdfast' | 'crates'>, report: Report): void {
  const byName = new Map(crates.map((crate) => [crate.name, crate]));
  for (const binding of holdfast.bindings) {
    const givers = [holdfast, ...holdfast.bindings.filter((other) => covers(other.match, binding.match))];
    for (const { name: crate, place } of binding.crates) {
      for (const [input, { type }] of byName.get(crate)?.inputs ?? []) {
        if (givers.some(({ vars }) => vars.has(input))) continue;
        const message = `crate "${crate}" needs a value for "${input}" (${type}), and no vars of these nodes give it`;
        report('missing_var', place, message, `Add it to this binding: vars: {${input}: …}`);
      }
    }
  }
}

/** A `when` that no node can make true, or that every node does. */
export function checkWhens({ holdfast, crates }: PolicyDirectory, report: Report, warn: Report): void {
  const given = [holdfast.vars, ...holdfast.bindings.map((binding) => binding.vars)];
  for (const crate of crates) {
    const values = (name: string) => valuesOf(name, crate, given);
    const seen = new Set<unknown>();
    for (const { when, whenCheck } of crate.resources) {
      // What `foreach` made of one resource has one place.
      if (when === undefined || whenCheck === undefined || seen.has(whenCheck.place)) continue;
      seen.add(whenCheck.place);
      const { ast, place } = whenCheck;
      const impossible = impossibleFactValues(ast);
      for (const { path, value, values: known } of impossible) {
        report('impossible_when', place, `${path} is never ${quote(value)}`, suggestionHint(value, known));
      }
      if (impossible.length > 0) continue;
      const possibility = possibilityOf(when, ast, values);
      if (possibility === 'never') {
        const hint = 'Correct the condition, or remove the resource.';
        report('impossible_when', place, `${quote(when)} holds on no node`, hint);
      }
      if (possibility === 'always') {
        warn('needless_when', place, `${quote(when)} holds on every node`, 'Remove the condition.');
      }
    }
  }
}

/** Every value that a var of the crate has on some node; more than there are, when a binding matches no node. */
function valuesOf(name: string, crate: CrateSource, given: readonly SourceVars[]): readonly Json[] | undefined {
  const values = [crate.vars, ...given].flatMap((vars) => {
    const found = vars.get(name);
    return found === undefined ? [] : [found.value];
  });
  return values.length === 0 ? undefined : values;
}

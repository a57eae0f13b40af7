/** `includes`: crates that a crate brings along. Resolved when the policy is loaded, into the bindings themselves. */
import type { CrateSource } from './crate-source.ts';
import type { HoldfastSource, SourceBinding } from './holdfast-source.ts';
import type { Place, Report } from './problem.ts';
import { suggestionHint } from './suggest.ts';
import { quote } from './yaml.ts';

type Bound = { readonly name: string; readonly place: Place };

/** The bindings with every included crate before the one that includes it, each crate once. */
export function resolveIncludes(
  holdfast: HoldfastSource,
  crates: readonly CrateSource[],
  names: ReadonlySet<string>,
  report: Report,
): HoldfastSource {
  const byName = new Map(crates.map((crate) => [crate.name, crate]));
  for (const crate of crates) reportIncludes(crate, byName, names, report);
  const bindings = holdfast.bindings.map((binding): SourceBinding => {
    const all = new Map<string, Bound>();
    for (const bound of binding.crates) add(bound, byName, all, new Set());
    return { ...binding, crates: [...all.values()] };
  });
  return { ...holdfast, bindings };
}

function reportIncludes(
  crate: CrateSource,
  byName: ReadonlyMap<string, CrateSource>,
  names: ReadonlySet<string>,
  report: Report,
): void {
  for (const { name, place } of crate.includes) {
    if (!names.has(name)) {
      report('unknown_crate', place, `there is no crate ${quote(name)}`, suggestionHint(name, [...names]));
    } else if (reaches(name, crate.name, byName, new Set())) {
      const message = `crate "${crate.name}" includes itself by way of "${name}"`;
      report('cycle', place, message, 'Remove one of the includes between them.');
    }
  }
}

function reaches(from: string, to: string, byName: ReadonlyMap<string, CrateSource>, seen: Set<string>): boolean {
  if (from === to) return true;
  if (seen.has(from)) return false;
  seen.add(from);
  return (byName.get(from)?.includes ?? []).some(({ name }) => reaches(name, to, byName, seen));
}

/** `under` holds the crates on the way down: a circle was reported, and must not be walked for ever. */
function add(
  bound: Bound,
  byName: ReadonlyMap<string, CrateSource>,
  all: Map<string, Bound>,
  under: ReadonlySet<string>,
): void {
  if (all.has(bound.name) || under.has(bound.name)) return;
  const below = new Set([...under, bound.name]);
  for (const { name } of byName.get(bound.name)?.includes ?? []) {
    // An unknown one was reported where it is written.
    if (byName.has(name)) add({ name, place: bound.place }, byName, all, below);
  }
  all.set(bound.name, bound);
}

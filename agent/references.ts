/** References between the resources of a run, resolved: who needs whom, and who notifies whom. */
import { parseReference } from '../lib/policy/names.ts';

type Referring = {
  readonly crate: string;
  /** `type/id`. */
  readonly key: string;
  readonly requires?: readonly string[];
  readonly notify?: readonly string[];
  readonly before?: readonly string[];
};

/** Keys are `crate:type/id`. To be notified by a resource, or to come after it, is to need it. */
export type References = {
  readonly needs: ReadonlyMap<string, readonly string[]>;
  readonly notifies: ReadonlyMap<string, readonly string[]>;
};

export function referencesOf(resources: readonly Referring[]): References {
  const known = new Set(resources.map((one) => `${one.crate}:${one.key}`));
  const needs = new Map<string, string[]>();
  const notifies = new Map<string, string[]>();
  for (const one of resources) {
    const own = `${one.crate}:${one.key}`;
    const targets = (references: readonly string[] | undefined) =>
      (references ?? []).map((reference) => targetOf(one.crate, reference)).filter((target) => known.has(target));
    add(needs, own, targets(one.requires));
    for (const target of targets(one.notify)) {
      add(notifies, own, [target]);
      add(needs, target, [own]);
    }
    for (const target of targets(one.before)) {
      add(needs, target, [own]);
    }
  }
  return { needs, notifies };
}

function targetOf(crate: string, reference: string): string {
  const parsed = parseReference(reference);
  return parsed === undefined ? '' : `${parsed.crate ?? crate}:${parsed.key}`;
}

function add(map: Map<string, string[]>, key: string, values: readonly string[]): void {
  if (values.length > 0) {
    map.set(key, [...(map.get(key) ?? []), ...values]);
  }
}

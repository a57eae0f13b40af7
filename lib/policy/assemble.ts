/** What a policy directory becomes: the bindings, crates and blobs of a release, before it has a number and a time. */

import { sha256Hex } from '../crypto/digest.ts';
import { plainAccepts } from './accepts.ts';
import type { CrateSource } from './crate-source.ts';
import type { PolicyDirectory } from './directory.ts';
import { type Binding, type CrateResource, formatCrate, type ManifestCrate } from './model.ts';
import { sortResources } from './order.ts';
import type { Vars } from './vars.ts';
import { plainVars } from './vars-source.ts';

export type Assembled = {
  readonly vars: Vars;
  readonly bindings: readonly Binding[];
  /** The bound ones, sorted by name. */
  readonly crates: readonly ManifestCrate[];
  /** Every crate and every content, by digest. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
};

/** Throws `PolicyError` `cycle`; a policy without errors has none. */
export function assembleContent(directory: PolicyDirectory): Assembled {
  const bindings = directory.holdfast.bindings.map(
    ({ match, crates, vars }): Binding => ({
      match,
      crates: crates.map(({ name }) => name),
      ...(vars.size === 0 ? {} : { vars: plainVars(vars) }),
    }),
  );
  const bound = new Set(bindings.flatMap((binding) => binding.crates));
  const blobs = new Map<string, Uint8Array>();
  const crates: ManifestCrate[] = [];
  for (const source of directory.crates) {
    if (!bound.has(source.name)) continue;
    const bytes = formatCrateSource(source);
    const sha256 = sha256Hex(bytes);
    blobs.set(sha256, bytes);
    for (const [digest, content] of source.contents) blobs.set(digest, content);
    crates.push({ name: source.name, sha256, blobs: [...source.contents.keys()].sort() });
  }
  return { vars: plainVars(directory.holdfast.vars), bindings, crates, blobs };
}

/** The canonical bytes: resources in the order of their work, without anything of where they were written. */
function formatCrateSource(source: CrateSource): Uint8Array {
  const resources = sortResources(source.resources).map(
    ({ type, id, desired, requires, notify, before, when, accepted, template, item }): CrateResource => ({
      type,
      id,
      desired,
      ...(requires === undefined ? {} : { requires }),
      ...(notify === undefined ? {} : { notify }),
      ...(before === undefined ? {} : { before }),
      ...(when === undefined ? {} : { when }),
      ...(accepted.size === 0 ? {} : { accepts: plainAccepts(accepted) }),
      ...(template === undefined ? {} : { template }),
      ...(item === undefined ? {} : { item }),
    }),
  );
  const inputs = Object.fromEntries([...source.inputs].map(([name, { type }]) => [name, type]));
  const { name: crate, controls } = source;
  return formatCrate({ crate, vars: plainVars(source.vars), inputs, controls, resources });
}

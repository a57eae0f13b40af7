/** The blob of a crate: its resources in the order of their work, without anything of where they were written. */

import type { CrateSource } from './crate-source.ts';
import { type CrateResource, formatCrate } from './model.ts';
import { sortResources } from './order.ts';

/** The canonical bytes. Throws `PolicyError` `cycle`. */
export function formatCrateSource(source: CrateSource): Uint8Array {
  const resources = sortResources(source.resources).map(
    ({ type, id, desired, requires, notify, before }): CrateResource => ({
      type,
      id,
      desired,
      ...(requires === undefined ? {} : { requires }),
      ...(notify === undefined ? {} : { notify }),
      ...(before === undefined ? {} : { before }),
    }),
  );
  return formatCrate({ crate: source.name, resources });
}

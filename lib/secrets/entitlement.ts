/**
 * Entitlement: a node may have the secrets that occur in the crates bound to it in the current release, judged by the
 * name and labels it was enrolled with. What it says of itself, or what it once was entitled to, does not count.
 */
import type { Json } from '../crypto/jcs.ts';
import { cratesFor, type EnrolledNode } from '../policy/bindings.ts';
import { type Crate, type Manifest, parseCrate } from '../policy/model.ts';
import { givenVars, varsOfCrate } from '../policy/vars.ts';
import { verifyBlob } from '../policy/verify.ts';
import type { BlobDigest, BlobStore } from '../store/blobs.ts';
import { SecretsError } from './errors.ts';
import { secretsOf } from './fields.ts';
import { referencesIn } from './reference.ts';

export type EntitledRelease = {
  readonly digest: string;
  readonly manifest: Pick<Manifest, 'bindings' | 'crates' | 'vars'>;
};

export interface Entitlement {
  /** The paths that the node may have. Throws `SecretsError` `unavailable` when a crate can't be read. */
  pathsFor(release: EntitledRelease, node: EnrolledNode): Promise<ReadonlySet<string>>;
}

/** Reads each crate of a release once. */
export function createEntitlement(deps: { readonly blobs: Pick<BlobStore, 'get'> }): Entitlement {
  let known: { readonly digest: string; readonly crates: Map<string, Promise<NeedyCrate>> } | undefined;

  return {
    async pathsFor(release, node) {
      if (known?.digest !== release.digest) known = { digest: release.digest, crates: new Map() };
      const { crates } = known;
      const paths = new Set<string>();
      const given = givenVars(release.manifest, node);
      for (const name of cratesFor(release.manifest, node)) {
        const listed = release.manifest.crates.find((crate) => crate.name === name);
        if (listed === undefined) continue;
        let reading = crates.get(listed.sha256);
        if (reading === undefined) {
          reading = readCrate(deps.blobs, listed.sha256);
          crates.set(listed.sha256, reading);
          // A failure is not kept: the next request reads again.
          reading.catch(() => crates.delete(listed.sha256));
        }
        const crate = await reading;
        for (const path of crate.paths) paths.add(path);
        // What this node's bindings put in place of a default, and not the default itself.
        for (const path of referencesIn(varsOfCrate(crate, given).vars as Json)) paths.add(path);
      }
      return paths;
    },
  };
}

/** What is kept of a crate: who declares which vars, and what its resources refer to. */
type NeedyCrate = Pick<Crate, 'vars' | 'inputs'> & { readonly paths: ReadonlySet<string> };

async function readCrate(blobs: Pick<BlobStore, 'get'>, sha256: string): Promise<NeedyCrate> {
  const bytes = await blobs.get(sha256 as BlobDigest);
  if (bytes === undefined) throw new SecretsError('unavailable', 'a crate of the current release is not here');
  verifyBlob(sha256, bytes);
  const { resources, vars, inputs } = parseCrate(bytes);
  const paths = new Set<string>();
  for (const { type, desired } of resources) for (const path of secretsOf(type, desired)) paths.add(path);
  return { paths, ...(vars === undefined ? {} : { vars }), ...(inputs === undefined ? {} : { inputs }) };
}

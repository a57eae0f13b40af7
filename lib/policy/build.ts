/**
 * Building a release from a checked policy directory. Deterministic: the same directory, number, predecessor and times
 * give the same bytes on every machine, so two operators can each build and sign what the other reads.
 */
import { sha256Hex } from '../crypto/digest.ts';
import { formatCrateSource } from './build-crate.ts';
import { checkPolicy, hasErrors } from './check.ts';
import type { PolicyDirectory } from './directory.ts';
import { PolicyError } from './errors.ts';
import { formatManifest, type Manifest, type ManifestCrate, parseManifest } from './model.ts';
import { maxManifestBytes } from './names.ts';

export type BuildInput = {
  readonly directory: PolicyDirectory;
  readonly fleet: string;
  /** One more than the current release's, or 1. */
  readonly number: number;
  /** Digest of the current release's manifest, or `noPrevious`. */
  readonly previous: string;
  /** Unix milliseconds. */
  readonly created: number;
  /** Unix milliseconds. */
  readonly expires: number;
};

/** `blobs` holds every crate and every content that the manifest names, by digest. */
export type BuiltRelease = {
  readonly manifest: Uint8Array;
  readonly digest: string;
  readonly blobs: ReadonlyMap<string, Uint8Array>;
};

/** Throws `PolicyError` `invalid_policy` with all problems when the policy has errors. */
export function buildRelease(input: BuildInput): BuiltRelease {
  const { directory, fleet, number, previous, created, expires } = input;
  const problems = checkPolicy(directory);
  if (hasErrors(problems)) {
    const count = problems.filter((problem) => problem.severity === 'error').length;
    const hint = 'Run "holdfast policy check" and fix what it shows.';
    throw new PolicyError('invalid_policy', `the policy has ${count} error(s)`, { problems, hint });
  }
  const bindings = directory.holdfast.bindings.map(({ match, crates }) => ({
    match,
    crates: crates.map((c) => c.name),
  }));
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
  const manifest = formatChecked({ fleet, number, previous, created, expires, bindings, crates });
  return { manifest, digest: sha256Hex(manifest), blobs };
}

/**
 * The manifest of a release that restores an older one: its bindings and crates under a new number, to be signed anew.
 * The blobs are those that the older release published.
 */
export function buildRollback(input: Omit<BuildInput, 'directory'> & { readonly to: Manifest }): Uint8Array {
  const { to, fleet, number, previous, created, expires } = input;
  return formatChecked({ fleet, number, previous, created, expires, bindings: to.bindings, crates: to.crates });
}

/** What nodes would refuse must not get as far as an operator's signature. */
function formatChecked(manifest: Manifest): Uint8Array {
  const bytes = formatManifest(manifest);
  if (bytes.length > maxManifestBytes) {
    const hint = 'Join crates, or join bindings.';
    throw new PolicyError('invalid_policy', `the manifest has ${bytes.length} bytes, limit ${maxManifestBytes}`, {
      hint,
    });
  }
  parseManifest(bytes);
  return bytes;
}

/**
 * Building a release from a checked policy directory. Deterministic: the same directory, number, predecessor and times
 * give the same bytes on every machine, so two operators can each build and sign what the other reads.
 */
import { sha256Hex } from '../crypto/digest.ts';
import { assembleContent } from './assemble.ts';
import { checkPolicy, hasErrors } from './check.ts';
import type { PolicyDirectory } from './directory.ts';
import { PolicyError } from './errors.ts';
import { formatManifest, type Manifest, parseManifest } from './model.ts';

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
  const { vars, bindings, crates, blobs } = assembleContent(directory);
  const manifest = formatChecked({ fleet, number, previous, created, expires, vars, bindings, crates });
  return { manifest, digest: sha256Hex(manifest), blobs };
}

/**
 * The manifest of a release that restores an older one: its bindings and crates under a new number, to be signed anew.
 * The blobs are those that the older release published.
 */
export function buildRollback(input: Omit<BuildInput, 'directory'> & { readonly to: Manifest }): Uint8Array {
  const { to, fleet, number, previous, created, expires } = input;
  const { vars, bindings, crates } = to;
  const kept = { ...(vars === undefined ? {} : { vars }), bindings, crates };
  return formatChecked({ fleet, number, previous, created, expires, ...kept });
}

/** What nodes would refuse must not get as far as an operator's signature. */
function formatChecked(manifest: Manifest): Uint8Array {
  const bytes = formatManifest(manifest);
  parseManifest(bytes);
  return bytes;
}

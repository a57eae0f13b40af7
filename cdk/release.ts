/**
 * Programs from a signed release instead of this tree: what is deployed are the bytes that were verified, by the
 * deployer's own copy of the key list.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { functionNames } from '../functions/aws/environment.ts';
import { manifestFile } from '../gate/config.ts';
import { ArtifactError } from '../lib/artifacts/errors.ts';
import { verifyFiles } from '../lib/artifacts/files.ts';
import { openArtifactDirectory } from '../lib/artifacts/files-directory.ts';
import { type ArtifactKeys, parseKeys } from '../lib/artifacts/keys.ts';
import { verifyManifest } from '../lib/artifacts/verify.ts';
import type { BundleName } from './constructs/bundles.ts';

export type ReleaseSource = {
  /** The directory that `npm run release` wrote. */
  readonly directory: string;
  /** The list of artifact keys, from a place of the deployer's own and not from the release. */
  readonly keysFile: string;
};

export class ReleaseError extends Error {
  override readonly name = 'ReleaseError';
  readonly code = 'release_refused';
}

/**
 * Fills `target`, which is to be empty, with the programs as `npm run build` would: one folder each. Throws
 * `ReleaseError` when one of them does not prove itself, or they are not of one version.
 */
export function takeRelease({ directory, keysFile }: ReleaseSource, target: string, now: number): void {
  const keys = attempt(`the key list ${keysFile}`, () => parseKeys(readFileSync(keysFile, 'utf8')));
  const versions = functionNames.map((name) =>
    attempt(`the program of ${name}`, () =>
      takeProgram(join(directory, `holdfast-${name}`), name, { keys, target, now }),
    ),
  );
  if (new Set(versions).size > 1) {
    throw refused(`its programs are of several versions: ${[...new Set(versions)].join(', ')}`);
  }
}

type Taking = { readonly keys: ArtifactKeys; readonly target: string; readonly now: number };

/** Returns the version. */
function takeProgram(source: string, name: BundleName, { keys, target, now }: Taking): string {
  const notePath = join(source, manifestFile);
  const note = existsSync(notePath) ? readFileSync(notePath) : undefined;
  const kind = name === 'gateway' ? 'gateway' : 'function';
  const manifest = verifyManifest(note, keys, { kind, name: `holdfast-${name}`, platform: 'any' }, now);
  const files = verifyFiles(manifest, openArtifactDirectory(source, [manifestFile]));
  for (const [path, bytes] of [...files, [manifestFile, note as Uint8Array] as const]) {
    const place = join(target, name, path);
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, bytes);
  }
  return manifest.version;
}

function attempt<T>(what: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    if (cause instanceof ArtifactError) throw refused(`${what} does not prove itself: ${cause.message}`, cause);
    if ((cause as NodeJS.ErrnoException).code === undefined) throw cause;
    throw refused(`${what} can't be read: ${(cause as Error).message}`, cause);
  }
}

function refused(problem: string, cause?: unknown): ReleaseError {
  const hint = 'hint: releaseKeys is your own copy of the list that the release was made with; docs/aws.md';
  return new ReleaseError(`nothing of the release is deployed: ${problem}\n${hint}`, { cause });
}

/** Everything that a loader will load, read once and judged: the manifest's signatures, then each file. */

import { ArtifactError } from '../lib/artifacts/errors.ts';
import { verifyFiles } from '../lib/artifacts/files.ts';
import { openArtifactDirectory } from '../lib/artifacts/files-directory.ts';
import { parseKeys } from '../lib/artifacts/keys.ts';
import { maxManifestBytes } from '../lib/artifacts/manifest.ts';
import { verifyManifest } from '../lib/artifacts/verify.ts';
import { sha256Hex } from '../lib/crypto/digest.ts';
import type { VerifiedProgram } from '../lib/crypto/program.ts';
import { type GateConfig, manifestFile } from './config.ts';
import { openNativeLoader } from './native.ts';

/** Throws `ArtifactError`. `directory` is the loader's own. */
export function verifyProgram(
  config: GateConfig,
  directory: string,
  now: number,
  removed: readonly string[],
): VerifiedProgram {
  const expected = { kind: config.kind, name: config.name, platform: `${process.platform}-${process.arch}` };
  const folder = openArtifactDirectory(directory, [manifestFile]);
  const note = readManifest(() => folder.read(manifestFile, 2 * maxManifestBytes));
  const manifest = verifyManifest(note, parseKeys(config.keys), expected, now);
  const files = verifyFiles(manifest, folder);
  const mapped: string[] = [];
  return {
    kind: manifest.kind,
    name: manifest.name,
    version: manifest.version,
    platform: manifest.platform,
    directory,
    manifestSha256: sha256Hex(note),
    files,
    removed,
    loadNative: openNativeLoader(files, directory, mapped),
    mapped,
  };
}

function readManifest(read: () => Uint8Array): Uint8Array {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ArtifactError) || error.code !== 'file_missing') throw error;
    throw new ArtifactError('missing', `there is no ${manifestFile}`, { cause: error });
  }
}

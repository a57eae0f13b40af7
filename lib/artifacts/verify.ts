/** The one road from a signed note to a manifest that may be acted on. */
import { ArtifactError } from './errors.ts';
import type { ArtifactKeys } from './keys.ts';
import { type ArtifactKind, type ArtifactManifest, maxManifestBytes, parseManifest } from './manifest.ts';
import { openSigned } from './signed.ts';

/** What the verifier knows before it looks: a good manifest of anything else is refused. */
export interface ExpectedArtifact {
  readonly kind: ArtifactKind;
  readonly name: string;
  /** This machine's: `${process.platform}-${process.arch}`. A manifest for `any` fits every one. */
  readonly platform: string;
}

/**
 * Verifies an attacker-controlled signed manifest: signatures first, then its form, then what it is for. Throws
 * `ArtifactError`. The files are another matter: see files.ts; and so are floors (`compareVersions`), which need a memory.
 */
export function verifyManifest(
  note: string | Uint8Array | undefined,
  keys: ArtifactKeys,
  expected: ExpectedArtifact,
  now: number,
): ArtifactManifest {
  if (note === undefined) throw new ArtifactError('missing', 'there is no signed manifest');
  if (note.length > 2 * maxManifestBytes) throw new ArtifactError('malformed', 'the signed manifest is too long');
  const manifest = parseManifest(openSigned(note, keys).text);
  if (manifest.kind !== expected.kind || manifest.name !== expected.name) {
    throw new ArtifactError(
      'wrong_artifact',
      `it is the ${manifest.kind} ${manifest.name}, not the ${expected.kind} ${expected.name}`,
    );
  }
  if (manifest.platform !== 'any' && manifest.platform !== expected.platform) {
    throw new ArtifactError('wrong_platform', `it is for ${manifest.platform}, and this is ${expected.platform}`);
  }
  if (now >= manifest.notAfter) {
    throw new ArtifactError('expired', `it was good until ${new Date(manifest.notAfter).toISOString()}`);
  }
  return manifest;
}

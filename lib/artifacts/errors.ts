/** The one error of artifacts, and every way in which one can fail to prove itself. */

/**
 * About the manifest:
 * - `missing`: there is no manifest, or no trust root.
 * - `malformed`: the bytes are not a manifest, a version, a key list.
 * - `altered`: it claims a signature by a known key, and that signature is not over these bytes.
 * - `wrong_key`: it has no signature by a known key.
 * - `too_few_signers`: signed by known keys, but by fewer than the threshold.
 * - `expired`: its day has passed.
 * - `wrong_artifact`, `wrong_platform`: a good manifest of something else.
 * - `not_next`: a key list that does not follow the one that is trusted.
 */
const manifestCodes = [
  'missing',
  'malformed',
  'altered',
  'wrong_key',
  'too_few_signers',
  'expired',
  'wrong_artifact',
  'wrong_platform',
  'not_next',
] as const;

export type ManifestErrorCode = (typeof manifestCodes)[number];

/**
 * About a file that a manifest names (`file` of the error):
 * - `file_missing`, `file_altered`, `file_extra`: absent, other bytes, there but not in the manifest.
 * - `file_symlink`: reached through a symbolic link, so it may lie anywhere. `file_irregular`: not a plain file.
 * - `file_changed`: it became another one while it was read.
 * - `file_unreadable`: the system refused.
 */
export type FileErrorCode =
  | 'file_missing'
  | 'file_altered'
  | 'file_extra'
  | 'file_symlink'
  | 'file_irregular'
  | 'file_changed'
  | 'file_unreadable';

export type ArtifactErrorCode = ManifestErrorCode | FileErrorCode;

export function isManifestErrorCode(code: ArtifactErrorCode): code is ManifestErrorCode {
  return (manifestCodes as readonly string[]).includes(code);
}

export class ArtifactError extends Error {
  override readonly name = 'ArtifactError';
  readonly code: ArtifactErrorCode;
  /** The path as the manifest says it, when the error is about one file. */
  readonly file: string | undefined;
  constructor(code: ArtifactErrorCode, message: string, options?: ErrorOptions & { readonly file?: string }) {
    super(message, options);
    this.code = code;
    this.file = options?.file;
  }
}

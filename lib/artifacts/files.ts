/** The bytes of an artifact against its manifest. Each file is read once; the bytes that come back are those that were judged. */
import { sha256Hex } from '../crypto/digest.ts';
import { ArtifactError } from './errors.ts';
import type { ArtifactManifest } from './manifest.ts';

/** Where the files lie. `files-directory.ts` is the one on disk. All methods throw `ArtifactError` `file_…`. */
export interface ArtifactFiles {
  /** Every path that is there, whatever it is. */
  list(): readonly string[];
  /** The whole file, read once, of `size` bytes at most: of a longer one `size + 1` bytes come back. */
  read(path: string, size: number): Uint8Array;
  /** Looks again at everything that was read, and throws `file_changed` if it is not the same file any more. */
  recheck(): void;
}

/**
 * All files of the manifest and no others. Throws `ArtifactError` with the first file that is not as it should be:
 * one that is missing or altered before one that should not be there.
 */
export function verifyFiles(manifest: ArtifactManifest, files: ArtifactFiles): ReadonlyMap<string, Uint8Array> {
  const verified = new Map<string, Uint8Array>();
  for (const { path, size, sha256 } of manifest.files) {
    const bytes = files.read(path, size);
    if (bytes.length !== size) {
      const problem = bytes.length < size ? `only ${bytes.length} of its ${size} bytes` : `more than its ${size} bytes`;
      throw new ArtifactError('file_altered', `${path} has ${problem}`, { file: path });
    }
    if (sha256Hex(bytes) !== sha256) {
      throw new ArtifactError('file_altered', `${path} does not have the SHA-256 that was signed`, { file: path });
    }
    verified.set(path, bytes);
  }
  const extra = files.list().find((path) => !verified.has(path));
  if (extra !== undefined) {
    throw new ArtifactError('file_extra', `${extra} is not in the manifest`, { file: extra });
  }
  files.recheck();
  return verified;
}

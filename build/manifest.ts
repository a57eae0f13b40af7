/** The manifest of a built directory, from the files that lie in it. */
import { lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { manifestFile } from '../gate/config.ts';
import { type ArtifactFile, comparePaths, formatManifest } from '../lib/artifacts/manifest.ts';
import type { ExpectedArtifact } from '../lib/artifacts/verify.ts';
import { parseVersion } from '../lib/artifacts/version.ts';
import { sha256Hex } from '../lib/crypto/digest.ts';
import { addNoteSignature, type NoteSigner, signNote } from '../lib/crypto/note.ts';

export interface NamedSigner extends NoteSigner {
  /** As its verifier key has it. */
  readonly name: string;
}

/** The text to sign. `notAfter` is in milliseconds, whole seconds. */
export function manifestOf(artifact: ExpectedArtifact, directory: string, version: string, notAfter: number): string {
  const { kind, name, platform } = artifact;
  return formatManifest({ kind, name, version: parseVersion(version), platform, notAfter, files: filesOf(directory) });
}

/** Signs, and puts the note beside what it speaks of: the loaders, unless it has another name. */
export async function signDirectory(
  directory: string,
  text: string,
  signers: readonly NamedSigner[],
  noteFile = manifestFile,
): Promise<string> {
  const note = await signByAll(text, signers);
  writeFileSync(join(directory, noteFile), note);
  return note;
}

/** The note of a text, signed by each, of whom there is at least one. */
export async function signByAll(text: string, signers: readonly NamedSigner[]): Promise<string> {
  let note: string | undefined;
  for (const signer of signers) {
    note =
      note === undefined
        ? await signNote(text, signer.name, signer)
        : await addNoteSignature(note, signer.name, signer);
  }
  if (note === undefined) throw new Error('there is no key to sign with');
  return note;
}

/** Sorted by path; a manifest that is there already is not a part of what it describes. */
export function filesOf(directory: string, noteFile = manifestFile): ArtifactFile[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name !== noteFile && lstatSync(join(directory, name)).isFile())
    .map((name) => {
      const bytes = readFileSync(join(directory, name));
      const path = relative(directory, join(directory, name)).split(sep).join('/');
      return { path, size: bytes.length, sha256: sha256Hex(bytes) };
    })
    .sort((a, b) => comparePaths(a.path, b.path));
}

/** The manifest of a built directory, from the files that lie in it. */
import { lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { manifestFile } from '../gate/config.ts';
import { type ArtifactFile, comparePaths, formatManifest } from '../lib/artifacts/manifest.ts';
import { parseVersion } from '../lib/artifacts/version.ts';
import { sha256Hex } from '../lib/crypto/digest.ts';
import { addNoteSignature, type NoteSigner, signNote } from '../lib/crypto/note.ts';
import type { Program } from './programs.ts';

export interface NamedSigner extends NoteSigner {
  /** As its verifier key has it. */
  readonly name: string;
}

/** The text to sign. `notAfter` is in milliseconds, whole seconds. */
export function manifestOf(program: Program, directory: string, version: string, notAfter: number): string {
  const { kind, name, platform } = program;
  return formatManifest({ kind, name, version: parseVersion(version), platform, notAfter, files: filesOf(directory) });
}

/** Signs and puts the note beside the loaders. */
export async function signDirectory(directory: string, text: string, signers: readonly NamedSigner[]): Promise<string> {
  let note: string | undefined;
  for (const signer of signers) {
    note =
      note === undefined
        ? await signNote(text, signer.name, signer)
        : await addNoteSignature(note, signer.name, signer);
  }
  if (note === undefined) throw new TypeError('an artifact needs a signer');
  writeFileSync(join(directory, manifestFile), note);
  return note;
}

/** Sorted by path; a manifest that is there already is not a part of what it describes. */
export function filesOf(directory: string): ArtifactFile[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name !== manifestFile && lstatSync(join(directory, name)).isFile())
    .map((name) => {
      const bytes = readFileSync(join(directory, name));
      const path = relative(directory, join(directory, name)).split(sep).join('/');
      return { path, size: bytes.length, sha256: sha256Hex(bytes) };
    })
    .sort((a, b) => comparePaths(a.path, b.path));
}

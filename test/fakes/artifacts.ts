/** Artifact keys and signed manifests of tests. */
import { generateEd25519, signEd25519 } from '../../lib/crypto/ed25519.ts';
import { addNoteSignature, formatVerifierKey, type NoteSigner, signNote } from '../../lib/crypto/note.ts';

export interface ArtifactSigner extends NoteSigner {
  readonly name: string;
  /** As a key list has it. */
  readonly key: string;
}

export function createArtifactSigner(name: string, pair = generateEd25519()): ArtifactSigner {
  return {
    name,
    key: formatVerifierKey(name, pair.publicKey),
    publicKey: pair.publicKey,
    sign: async (message) => signEd25519(pair.privateKey, message),
  };
}

/** `text` as a note, signed by each of `signers` in turn. */
export async function signByAll(text: string, [first, ...others]: readonly ArtifactSigner[]): Promise<string> {
  if (first === undefined) throw new TypeError('nobody signs');
  let note = await signNote(text, first.name, first);
  for (const other of others) note = await addNoteSignature(note, other.name, other);
  return note;
}

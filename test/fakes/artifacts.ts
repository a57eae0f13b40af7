/** Artifact keys of tests. */
import { generateEd25519, signEd25519 } from '../../lib/crypto/ed25519.ts';
import { formatVerifierKey, type NoteSigner } from '../../lib/crypto/note.ts';

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

/** k of n signatures over a note, each key counted once. */
import { CryptoError } from '../crypto/errors.ts';
import { openNote, parseNote, type VerifiedNote } from '../crypto/note.ts';
import { ArtifactError } from './errors.ts';
import { type ArtifactKeys, keyVerifiers } from './keys.ts';

/**
 * Opens an attacker-controlled note that the threshold of `keys` must have signed; only the returned text may be used.
 * Throws `ArtifactError` `malformed`, `altered`, `wrong_key` or `too_few_signers`.
 */
export function openSigned(note: string | Uint8Array, keys: ArtifactKeys): VerifiedNote {
  const verifiers = keyVerifiers(keys);
  const opened = open(note, () => {
    const claimed = parseNote(note).signatures;
    const known = claimed.some((each) => verifiers.some((key) => key.name === each.name && key.keyId === each.keyId));
    if (!known)
      throw new ArtifactError('wrong_key', `it is signed by ${names(claimed)}, and trusted are ${names(verifiers)}`);
    return openNote(note, verifiers);
  });
  // `openNote` lists each key once, however often it signed.
  if (opened.signatures.length < keys.threshold) {
    const signers = names(opened.signatures);
    throw new ArtifactError('too_few_signers', `it is signed by ${signers}, and ${keys.threshold} keys are needed`);
  }
  return opened;
}

function open(note: string | Uint8Array, read: () => VerifiedNote): VerifiedNote {
  if (note.length === 0) throw new ArtifactError('malformed', 'it is empty');
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw new ArtifactError(cause.code === 'not_authentic' ? 'altered' : 'malformed', cause.message, { cause });
  }
}

function names(keys: readonly { readonly name: string }[]): string {
  return [...new Set(keys.map(({ name }) => JSON.stringify(name.slice(0, 64))))].slice(0, 4).join(', ');
}

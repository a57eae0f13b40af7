/** Lists of artifact keys: the first one, and the note by which each gives way to the next (lib/artifacts/keys.ts). */
import { type ArtifactKeys, formatKeys } from '../lib/artifacts/keys.ts';
import { followKeys } from '../lib/artifacts/rotation.ts';
import type { Ed25519PublicKey } from '../lib/crypto/ed25519.ts';
import { formatVerifierKey, type NoteSigner } from '../lib/crypto/note.ts';
import { signByAll } from './manifest.ts';
import { named } from './signers.ts';

export type KeyListOptions = {
  readonly threshold: number;
  readonly keys: readonly { readonly name: string; readonly publicKey: Ed25519PublicKey }[];
};

/** Throws `ArtifactError` for a list that nobody or anybody could satisfy. */
export function firstKeys(options: KeyListOptions): string {
  return formatKeys(listOf(1, options));
}

/**
 * The list after `before`, and the note that hands over to it: signed by the threshold of both, and verified as whoever
 * trusts `before` will. Throws `ArtifactError` when the signers are too few for either.
 */
export async function nextKeys(
  before: ArtifactKeys,
  options: KeyListOptions,
  signers: readonly NoteSigner[],
): Promise<{ readonly list: string; readonly note: string }> {
  const next = listOf(before.number + 1, options);
  const list = formatKeys(next);
  const note = await signByAll(
    list,
    signers.flatMap((signer) => named(signer, before, next)),
  );
  followKeys(before, [note]);
  return { list, note };
}

function listOf(number: number, { threshold, keys }: KeyListOptions): ArtifactKeys {
  return { number, threshold, keys: keys.map(({ name, publicKey }) => formatVerifierKey(name, publicKey)) };
}

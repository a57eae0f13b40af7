/** Signing a release: SSHSIG under a namespace of its own, so that no signature made for anything else can pass as one. */

import type { KeyObject } from 'node:crypto';
import type { SshPublicKey } from '../crypto/ssh-key.ts';
import { signSshSignature } from '../crypto/sshsig.ts';
import { parseManifest } from './model.ts';

/** What `ssh-keygen -Y sign -n` is given. */
export const releaseNamespace = 'holdfast-release';

/**
 * Signs the bytes of a manifest with an Ed25519 key in memory; operators with keys in an agent or on hardware sign the
 * same bytes with `ssh-keygen`. Throws `PolicyError` `malformed` for bytes that are not a manifest.
 */
export function signRelease(
  manifest: Uint8Array,
  key: { readonly privateKey: KeyObject; readonly publicKey: SshPublicKey },
): string {
  parseManifest(manifest);
  return signSshSignature({ message: manifest, namespace: releaseNamespace, ...key });
}

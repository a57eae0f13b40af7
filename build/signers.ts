/** Whoever signs a release: a key file, a key in an ssh-agent, a key in KMS. Each has to be in the list of keys. */
import { readFileSync } from 'node:fs';
import { KMSClient } from '@aws-sdk/client-kms';
import { parseKeys } from '../lib/artifacts/keys.ts';
import { ed25519FromSpki, privateKeyFromPem, publicKeyOf, signEd25519 } from '../lib/crypto/ed25519.ts';
import { formatVerifierKey, type NoteSigner } from '../lib/crypto/note.ts';
import { parseSshPrivateKey } from '../lib/crypto/ssh-key.ts';
import { openKmsKeys } from '../lib/keys/kms.ts';
import type { NamedSigner } from './manifest.ts';
import { agentSigner } from './ssh-agent.ts';

/** PKCS#8 in PEM, or OpenSSH's own format; unencrypted. */
export function fileSigner(path: string): NoteSigner {
  const text = readFileSync(path, 'utf8');
  const privateKey = text.includes('OPENSSH') ? parseSshPrivateKey(text).privateKey : privateKeyFromPem(text);
  return { publicKey: publicKeyOf(privateKey), sign: async (message) => signEd25519(privateKey, message) };
}

/** `path` is a `.pub` file whose private half an ssh-agent holds. */
export function sshAgentSigner(path: string, socket: string | undefined): NoteSigner {
  if (socket === undefined) throw new Error('there is no ssh-agent: SSH_AUTH_SOCK is not set');
  return agentSigner(socket, readFileSync(path, 'utf8').trim());
}

export async function kmsSigner(arn: string, client: Pick<KMSClient, 'send'> = new KMSClient({})): Promise<NoteSigner> {
  const signer = await openKmsKeys(client, { artifact: arn }).signer('artifact');
  return { publicKey: ed25519FromSpki(signer.publicKey), sign: (message) => signer.sign(message) };
}

/** The name under which the list has the key. Throws when it has not: nothing would trust the signature. */
export function named(signer: NoteSigner, list: string): NamedSigner {
  for (const key of parseKeys(list).keys) {
    const name = key.slice(0, key.indexOf('+'));
    if (formatVerifierKey(name, signer.publicKey) === key) return { ...signer, name };
  }
  throw new Error('a key that is to sign is not in the list of keys that the release trusts');
}

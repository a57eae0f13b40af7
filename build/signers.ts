/** Whoever signs a release: a key file, a key in an ssh-agent, a key in KMS. Each has to be in the list of keys. */
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { KMSClient } from '@aws-sdk/client-kms';
import type { ArtifactKeys } from '../lib/artifacts/keys.ts';
import {
  type Ed25519PublicKey,
  ed25519FromSpki,
  privateKeyFromPem,
  publicKeyOf,
  signEd25519,
} from '../lib/crypto/ed25519.ts';
import { formatVerifierKey, type NoteSigner } from '../lib/crypto/note.ts';
import { parseSshPrivateKey } from '../lib/crypto/ssh-key.ts';
import { openKmsKeys } from '../lib/keys/kms.ts';
import type { NamedSigner } from './manifest.ts';
import { agentSigner, sshArtifactKey } from './ssh-agent.ts';

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

/**
 * The signer under each name that the lists have for its key, once. Throws when none has it: nothing would trust the
 * signature.
 */
export function named(signer: NoteSigner, ...lists: readonly ArtifactKeys[]): readonly NamedSigner[] {
  const keys = lists.flatMap((list) => list.keys);
  const names = new Set(keys.map(nameOf).filter((name) => keys.includes(formatVerifierKey(name, signer.publicKey))));
  if (names.size === 0) throw new Error('a key that is to sign is not in the list of keys that the release trusts');
  return [...names].map((name) => ({ ...signer, name }));
}

/** Whether a signature of this signer counts for the list. */
export function isIn(list: ArtifactKeys, { publicKey }: Pick<NoteSigner, 'publicKey'>): boolean {
  return list.keys.some((key) => formatVerifierKey(nameOf(key), publicKey) === key);
}

/** The options of every command that signs. */
export const signerOptions = {
  key: { type: 'string', multiple: true, default: [] as string[] },
  'ssh-agent': { type: 'string', multiple: true, default: [] as string[] },
  kms: { type: 'string', multiple: true, default: [] as string[] },
} as const;

export type SignerValues = { readonly [Name in keyof typeof signerOptions]: readonly string[] };

export const signerHelp = `  --key FILE         sign with this Ed25519 key; repeatable, as are the next two
  --ssh-agent FILE   sign with the key of this .pub file, which an ssh-agent holds
  --kms ARN          sign with this key in AWS KMS
`;

/** Whoever the options name. `socket` is the ssh-agent's. */
export async function openSigners(values: SignerValues, socket: string | undefined): Promise<readonly NoteSigner[]> {
  return [
    ...values.key.map(fileSigner),
    ...values['ssh-agent'].map((path) => sshAgentSigner(path, socket)),
    ...(await Promise.all(values.kms.map((arn) => kmsSigner(arn)))),
  ];
}

/** The public key of a `.pub` file, a PEM file of either half, an OpenSSH private key, or a key in KMS. */
export async function readPublicKey(source: string): Promise<Ed25519PublicKey> {
  if (source.startsWith('arn:')) return (await kmsSigner(source)).publicKey;
  const text = readFileSync(source, 'utf8');
  if (text.startsWith('ssh-')) return sshArtifactKey(text.trim());
  if (!text.includes('PUBLIC KEY')) return fileSigner(source).publicKey;
  return ed25519FromSpki(createPublicKey(text).export({ format: 'der', type: 'spki' }));
}

function nameOf(key: string): string {
  return key.slice(0, key.indexOf('+'));
}

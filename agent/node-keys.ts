/** The node's private keys as files of its state directory: made once, 0600, before anything is asked of a server. */
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  type Ed25519PublicKey,
  generateEd25519,
  type PrivateKeyKind,
  privateKeyFromPem,
  privateKeyToPem,
  publicKeyOf,
} from '../lib/crypto/ed25519.ts';
import { fromUtf8, utf8 } from '../lib/crypto/encoding.ts';
import { generateP256, type P256KeyPair } from '../lib/crypto/x509.ts';
import { AgentError } from './errors.ts';
import { readRequired, type StateDirectory, stateFiles } from './state.ts';

export type NodeKeys = {
  readonly identity: { readonly publicKey: Ed25519PublicKey; readonly privateKey: KeyObject };
  /** X25519, the raw 32 bytes of the public half. */
  readonly sealingKey: Uint8Array;
  readonly tls: P256KeyPair;
};

/** Makes all of a node's keys anew. When this returns, they are durable. */
export async function createNodeKeys(state: StateDirectory): Promise<void> {
  await state.write(stateFiles.identityKey, pem(generateEd25519().privateKey));
  await state.write(stateFiles.sealingKey, pem(generateKeyPairSync('x25519').privateKey));
  await state.write(stateFiles.tlsKey, pem(generateP256().privateKey));
}

export async function readNodeKeys(state: StateDirectory): Promise<NodeKeys> {
  const identity = await readIdentityKey(state);
  const sealing = await readKey(state, stateFiles.sealingKey, 'x25519');
  const tls = await readKey(state, stateFiles.tlsKey, 'p256');
  return {
    identity: { privateKey: identity, publicKey: publicKeyOf(identity) },
    // The raw key is the end of its SubjectPublicKeyInfo (RFC 8410 §4).
    sealingKey: spkiOf(sealing).subarray(-32),
    tls: { privateKey: tls, publicKeySpki: spkiOf(tls) },
  };
}

export function readIdentityKey(state: StateDirectory): Promise<KeyObject> {
  return readKey(state, stateFiles.identityKey, 'ed25519');
}

/** X25519: opens what is sealed to this node. */
export function readSealingKey(state: StateDirectory): Promise<KeyObject> {
  return readKey(state, stateFiles.sealingKey, 'x25519');
}

/** The private key as the state directory keeps it. */
export function pem(key: KeyObject): Uint8Array {
  return utf8(privateKeyToPem(key));
}

async function readKey(state: StateDirectory, name: string, kind: PrivateKeyKind): Promise<KeyObject> {
  const bytes = await readRequired(state, name);
  try {
    return privateKeyFromPem(fromUtf8(bytes), kind);
  } catch {
    // Without the cause: a message about a private key must not be able to quote it.
    throw new AgentError('bad_state', `${name} of the state directory is damaged`, {
      hint: 'restore the state directory from a backup, or revoke this node and join again with an empty one',
    });
  }
}

function spkiOf(key: KeyObject): Uint8Array {
  return createPublicKey(key).export({ format: 'der', type: 'spki' });
}

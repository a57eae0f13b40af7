/** The key store in a local directory: a master key file, and every private key in a file sealed under it. */

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type KeyPurpose, type KeyStore, KeysError, type SignatureAlgorithm, type Signer } from './port.ts';
import { createPrivateFile, openPrivateDirectory, readPrivateFile } from './private-files.ts';
import { createDataSealer, createSealedBox, type SealedBox } from './sealed-box.ts';

const MASTER_FILE = 'master.key';
const MASTER_BYTES = 32;
/** As the signer port promises, so that what works locally also works with KMS. */
const MAX_ED25519_MESSAGE_BYTES = 4096;

const ALGORITHMS: Readonly<Record<KeyPurpose, SignatureAlgorithm>> = {
  'fleet-ca': 'ecdsa-p256-sha256',
  'audit-log': 'ed25519',
  artifact: 'ed25519',
};

/**
 * Opens the directory, and makes it and its master key when they are not there. Two processes that open the same
 * directory get the same keys. Throws `KeysError`: `loose_permissions` with the command that repairs it, `malformed` or
 * `not_authentic` for files that were altered.
 */
export async function openLocalKeys(directory: string): Promise<KeyStore> {
  await openPrivateDirectory(directory);
  const masterKey = await openMasterKey(directory);
  const box = createSealedBox(masterKey, 'holdfast/keys/v1');
  const signers = new Map<KeyPurpose, Promise<Signer>>();
  return {
    sealer: createDataSealer(masterKey),
    signer(purpose) {
      const held = signers.get(purpose);
      if (held !== undefined) return held;
      const opened = openSigner(directory, box, purpose);
      signers.set(purpose, opened);
      // A failure is not remembered: after the operator ran the remedy, the next call succeeds.
      opened.catch(() => signers.delete(purpose));
      return opened;
    },
  };
}

async function openMasterKey(directory: string): Promise<Uint8Array> {
  const path = join(directory, MASTER_FILE);
  const held = await readPrivateFile(path);
  // A new master key beside keys that were sealed under the old one would look like tampering with each of them. The
  // sealed files come after the master key, so a racing process cannot be mistaken for this: it is looked for again.
  if (held === undefined && (await hasSealedKeys(directory)) && (await readPrivateFile(path)) === undefined) {
    throw new KeysError('missing', `the master key ${JSON.stringify(path)} is missing beside sealed keys: restore it`);
  }
  const masterKey = held ?? (await readOrCreate(path, () => randomBytes(MASTER_BYTES)));
  if (masterKey.length !== MASTER_BYTES) {
    const found = `${masterKey.length} bytes, not ${MASTER_BYTES}`;
    throw new KeysError('malformed', `the master key ${JSON.stringify(path)} has ${found}: restore it`);
  }
  return masterKey;
}

async function hasSealedKeys(directory: string): Promise<boolean> {
  const names = await readdir(directory);
  return Object.keys(ALGORITHMS).some((purpose) => names.includes(`${purpose}.key`));
}

async function openSigner(directory: string, box: SealedBox, purpose: KeyPurpose): Promise<Signer> {
  const path = join(directory, `${purpose}.key`);
  const additional = `holdfast/keys/v1|${purpose}`;
  const sealed = await readOrCreate(path, () => box.seal(encodeKey(generateKey(purpose)), additional));
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey({ key: Buffer.from(box.open(sealed, additional)), format: 'der', type: 'pkcs8' });
  } catch (cause) {
    const code = cause instanceof KeysError ? cause.code : 'malformed';
    const why = cause instanceof KeysError ? cause.message : 'it holds no private key';
    throw new KeysError(code, `the key file ${JSON.stringify(path)} cannot be opened: ${why}`, { cause });
  }
  return createSigner(privateKey, purpose);
}

function createSigner(privateKey: KeyObject, purpose: KeyPurpose): Signer {
  const algorithm = ALGORITHMS[purpose];
  if (algorithmOf(privateKey) !== algorithm) {
    throw new KeysError('malformed', `the key for ${purpose} is not an ${algorithm} key`);
  }
  return {
    algorithm,
    publicKey: createPublicKey(privateKey).export({ format: 'der', type: 'spki' }),
    async sign(message) {
      switch (algorithm) {
        case 'ed25519':
          if (message.length > MAX_ED25519_MESSAGE_BYTES) {
            throw new TypeError(`a message for Ed25519 has at most ${MAX_ED25519_MESSAGE_BYTES} bytes`);
          }
          return sign(null, message, privateKey);
        case 'ecdsa-p256-sha256':
          return sign('sha256', message, { key: privateKey, dsaEncoding: 'der' });
        default:
          return algorithm satisfies never;
      }
    },
  };
}

function generateKey(purpose: KeyPurpose): KeyObject {
  const algorithm = ALGORITHMS[purpose];
  switch (algorithm) {
    case 'ed25519':
      return generateKeyPairSync('ed25519').privateKey;
    case 'ecdsa-p256-sha256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    default:
      return algorithm satisfies never;
  }
}

function algorithmOf(key: KeyObject): SignatureAlgorithm | undefined {
  if (key.asymmetricKeyType === 'ed25519') return 'ed25519';
  return key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? 'ecdsa-p256-sha256' : undefined;
}

function encodeKey(privateKey: KeyObject): Uint8Array {
  return privateKey.export({ format: 'der', type: 'pkcs8' });
}

/** What the file holds; made first when there is none. Whoever loses the race reads the winner's. */
async function readOrCreate(path: string, make: () => Uint8Array): Promise<Uint8Array> {
  const held = await readPrivateFile(path);
  if (held !== undefined) return held;
  const made = make();
  if (await createPrivateFile(path, made)) return made;
  const winner = await readPrivateFile(path);
  if (winner === undefined)
    throw new KeysError('missing', `the key file ${JSON.stringify(path)} vanished while it was opened`);
  return winner;
}

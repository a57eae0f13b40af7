/**
 * The key store on AWS KMS: private keys never leave it, and each process may use only the keys that its role allows.
 * The keys are made by the deployment; this finds them. Sources: AWS KMS API reference and Developer Guide.
 */
import {
  DecryptCommand,
  GenerateDataKeyCommand,
  GetPublicKeyCommand,
  type GetPublicKeyCommandOutput,
  type KMSClient,
  SignCommand,
  type SignCommandInput,
} from '@aws-sdk/client-kms';
import { sha256 } from '../crypto/digest.ts';
import { concatBytes, u16be } from '../crypto/encoding.ts';
import { type DataSealer, type KeyPurpose, type KeyStore, KeysError, type Signer } from './port.ts';
import { createSealedBox } from './sealed-box.ts';

/** ARNs. What a process has no use for is absent, and asking for it is `missing`. */
export type KmsKeys = { readonly [Purpose in KeyPurpose]?: string } & {
  /** A symmetric key, for `sealer`. */
  readonly data?: string;
};

/** API reference, Sign: a longer message must be hashed by the caller, which Ed25519 (RFC 8032, not its "ph") does not allow. */
const maxRawBytes = 4096;

const specs = {
  'fleet-ca': { keySpec: 'ECC_NIST_P256', algorithm: 'ecdsa-p256-sha256' },
  'audit-log': { keySpec: 'ECC_NIST_EDWARDS25519', algorithm: 'ed25519' },
  artifact: { keySpec: 'ECC_NIST_EDWARDS25519', algorithm: 'ed25519' },
} as const;

/** Asks for a public key once, and for a signature each time. */
export function openKmsKeys(client: Pick<KMSClient, 'send'>, keys: KmsKeys): KeyStore {
  const signers = new Map<KeyPurpose, Promise<Signer>>();
  return {
    sealer: createKmsSealer(client, keys.data),
    signer(purpose) {
      const held = signers.get(purpose) ?? openSigner(client, purpose, keys[purpose]);
      signers.set(purpose, held);
      // A failure is not remembered: a permission may be given while this process runs.
      held.catch(() => signers.delete(purpose));
      return held;
    },
  };
}

async function openSigner(
  client: Pick<KMSClient, 'send'>,
  purpose: KeyPurpose,
  keyId: string | undefined,
): Promise<Signer> {
  if (keyId === undefined) throw new KeysError('missing', `this process was given no key for ${purpose}`);
  const { keySpec, algorithm } = specs[purpose];
  const answer: GetPublicKeyCommandOutput = await request(() => client.send(new GetPublicKeyCommand({ KeyId: keyId })));
  if (answer.KeySpec !== keySpec || answer.KeyUsage !== 'SIGN_VERIFY' || answer.PublicKey === undefined) {
    throw new KeysError('malformed', `the key ${keyId} for ${purpose} is ${answer.KeySpec}, not ${keySpec}`);
  }
  return {
    algorithm,
    publicKey: new Uint8Array(answer.PublicKey),
    async sign(message) {
      const command = signCommand(purpose, message);
      const { Signature } = await request(() => client.send(new SignCommand({ KeyId: keyId, ...command })));
      if (Signature === undefined) throw new KeysError('unavailable', `the key ${keyId} gave no signature`);
      return new Uint8Array(Signature);
    },
  };
}

function signCommand(purpose: KeyPurpose, message: Uint8Array): Omit<SignCommandInput, 'KeyId'> {
  switch (purpose) {
    case 'fleet-ca':
      return message.length <= maxRawBytes
        ? { SigningAlgorithm: 'ECDSA_SHA_256', MessageType: 'RAW', Message: message }
        : { SigningAlgorithm: 'ECDSA_SHA_256', MessageType: 'DIGEST', Message: sha256(message) };
    case 'audit-log':
    case 'artifact':
      if (message.length > maxRawBytes) throw new TypeError(`a message for Ed25519 has at most ${maxRawBytes} bytes`);
      return { SigningAlgorithm: 'ED25519_SHA_512', MessageType: 'RAW', Message: message };
    default:
      return purpose satisfies never;
  }
}

/** `u16 length ‖ data key as KMS wrapped it ‖ sealed box`. The context is bound twice: by KMS and by the box. */
function createKmsSealer(client: Pick<KMSClient, 'send'>, keyId: string | undefined): DataSealer {
  const requireKey = () => {
    if (keyId === undefined) throw new KeysError('missing', 'this process was given no key for data');
    return keyId;
  };
  return {
    async seal(plaintext, context) {
      const answer = await request(() =>
        client.send(
          new GenerateDataKeyCommand({ KeyId: requireKey(), KeySpec: 'AES_256', EncryptionContext: bound(context) }),
        ),
      );
      const { Plaintext, CiphertextBlob } = answer;
      if (Plaintext === undefined || CiphertextBlob === undefined) {
        throw new KeysError('unavailable', `the key ${keyId} gave no data key`);
      }
      const box = createSealedBox(Plaintext, use).seal(plaintext, context);
      Plaintext.fill(0);
      return concatBytes(u16be(CiphertextBlob.length), CiphertextBlob, box);
    },
    async open(sealed, context) {
      const length = sealed.length < 2 ? 0 : ((sealed[0] ?? 0) << 8) | (sealed[1] ?? 0);
      const wrapped = sealed.subarray(2, 2 + length);
      if (length === 0 || wrapped.length !== length) throw new KeysError('malformed', 'sealed data is cut off');
      const { Plaintext } = await request(() =>
        client.send(
          new DecryptCommand({ KeyId: requireKey(), CiphertextBlob: wrapped, EncryptionContext: bound(context) }),
        ),
      );
      if (Plaintext === undefined) throw new KeysError('unavailable', `the key ${keyId} gave no data key`);
      const opened = createSealedBox(Plaintext, use).open(sealed.subarray(2 + length), context);
      Plaintext.fill(0);
      return opened;
    },
  };
}

const use = 'holdfast/data/v1';

/** Developer Guide, "Encryption context": it is in the clear in CloudTrail, so callers put no secret into it. */
function bound(context: string): Record<string, string> {
  return { 'holdfast:context': context };
}

/** KMS says that what it was given was altered, or is for another key or context. */
const notAuthentic: ReadonlySet<string> = new Set(['InvalidCiphertextException', 'IncorrectKeyException']);

async function request<T>(send: () => Promise<T>): Promise<T> {
  try {
    return await send();
  } catch (cause) {
    if (cause instanceof KeysError || cause instanceof TypeError) throw cause;
    const { name, message } = cause as { name?: unknown; message?: unknown };
    const said = `${String(name)}: ${String(message).slice(0, 300)}`;
    if (notAuthentic.has(String(name))) {
      throw new KeysError('not_authentic', 'sealed data was altered, or is for another key or context', { cause });
    }
    const code = name === 'NotFoundException' ? 'missing' : 'unavailable';
    throw new KeysError(code, `KMS did not do it (${said})`, { cause });
  }
}

/**
 * HPKE (RFC 9180), base mode, single shot: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-GCM. Written on `node:crypto`,
 * because each WebCrypto step of a general library is a promise of its own, which costs more than the cryptography;
 * `@hpke/core` is the oracle in tests. One message per encapsulated key, so the sequence number is always 0 (§6.1).
 */
import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hash,
  type KeyObject,
} from 'node:crypto';
import { concatBytes, equalBytes, u16be, utf8 } from './encoding.ts';
import { CryptoError } from './errors.ts';

/** What goes over the wire: the ephemeral public key, and ciphertext ‖ tag. */
export type HpkeMessage = { readonly enc: Uint8Array; readonly ciphertext: Uint8Array };

export type HpkeAead = 'aes-128-gcm' | 'aes-256-gcm';

/** §7.3. Only AES-256-GCM is used on the wire; RFC 9180's own vectors for X25519 (A.1) are for AES-128-GCM. */
const aeads: Readonly<Record<HpkeAead, { readonly id: number; readonly keyBytes: number }>> = {
  'aes-128-gcm': { id: 0x0001, keyBytes: 16 },
  'aes-256-gcm': { id: 0x0002, keyBytes: 32 },
};
const kemId = 0x0020;
const kdfId = 0x0001;
const modeBase = 0x00;
const nonceBytes = 12;
const tagBytes = 16;
const empty = new Uint8Array(0);
const version = utf8('HPKE-v1');
const kemSuite = concatBytes(utf8('KEM'), u16be(kemId));
/** SubjectPublicKeyInfo of an X25519 key up to its 32 bytes (RFC 8410 §4). */
const x25519Spki = Buffer.from('302a300506032b656e032100', 'hex');

export type EphemeralKey = { readonly publicKey: Uint8Array; readonly privateKey: KeyObject };

export type SealOptions = {
  readonly recipient: Uint8Array;
  readonly info: Uint8Array;
  readonly aad: Uint8Array;
  readonly plaintext: Uint8Array;
  readonly aead?: HpkeAead;
  /** For published vectors only: an ephemeral key that is used twice gives the message away. */
  readonly ephemeral?: EphemeralKey;
};

/** Seals to the holder of an X25519 key (32 bytes). Throws `CryptoError` `weak_key` for one of small order. */
export function hpkeSeal(options: SealOptions): HpkeMessage {
  const { recipient, info, aad, plaintext, aead = 'aes-256-gcm' } = options;
  const { publicKey: enc, privateKey } = options.ephemeral ?? generateEphemeral();
  const sharedSecret = decap(agree(privateKey, importPublicKey(recipient)), enc, recipient);
  const { key, nonce } = keySchedule(sharedSecret, info, aead);
  const cipher = createCipheriv(aead, key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(aad);
  const ciphertext = concatBytes(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
  wipe(sharedSecret, key);
  return { enc, ciphertext };
}

export type OpenOptions = {
  readonly privateKey: KeyObject;
  readonly info: Uint8Array;
  readonly aad: Uint8Array;
  /** Attacker-controlled. */
  readonly message: HpkeMessage;
  readonly aead?: HpkeAead;
};

/** Throws `CryptoError` `not_authentic` for another key, info or additional data, and for any changed byte. */
export function hpkeOpen({ privateKey, info, aad, message, aead = 'aes-256-gcm' }: OpenOptions): Uint8Array {
  const { enc, ciphertext } = message;
  if (ciphertext.length < tagBytes) throw new CryptoError('malformed', 'sealed data is shorter than its tag');
  const recipient = rawPublicKey(createPublicKey(privateKey));
  const sharedSecret = decap(agree(privateKey, importPublicKey(enc)), enc, recipient);
  const { key, nonce } = keySchedule(sharedSecret, info, aead);
  const decipher = createDecipheriv(aead, key, nonce, { authTagLength: tagBytes });
  decipher.setAAD(aad);
  decipher.setAuthTag(ciphertext.subarray(-tagBytes));
  const opened = decipher.update(ciphertext.subarray(0, -tagBytes));
  try {
    decipher.final();
    return opened;
  } catch (cause) {
    wipe(opened);
    throw new CryptoError('not_authentic', 'sealed data was altered, or is for another key or use', { cause });
  } finally {
    wipe(sharedSecret, key);
  }
}

/** §4.1, ExtractAndExpand over the Diffie-Hellman value: the same on both sides. */
function decap(dh: Uint8Array, enc: Uint8Array, recipient: Uint8Array): Uint8Array {
  const prk = hmac(empty, labeled(kemSuite, 'eae_prk', dh));
  const shared = expand(kemSuite, prk, 'shared_secret', concatBytes(enc, recipient), 32);
  wipe(dh, prk);
  return shared;
}

/** §5.1 with an empty PSK; the base nonce is the nonce of sequence number 0 (§5.2). */
function keySchedule(sharedSecret: Uint8Array, info: Uint8Array, aead: HpkeAead) {
  const { id, keyBytes } = aeads[aead];
  const suite = concatBytes(utf8('HPKE'), u16be(kemId), u16be(kdfId), u16be(id));
  const context = scheduleContext(suite, info);
  const secret = hmac(sharedSecret, labeled(suite, 'secret', empty));
  const key = expand(suite, secret, 'key', context, keyBytes);
  const nonce = expand(suite, secret, 'base_nonce', context, nonceBytes);
  wipe(secret);
  return { key, nonce };
}

let known: { readonly suite: Uint8Array; readonly info: Uint8Array; readonly context: Uint8Array } | undefined;

/** Public, and the same for every message of one use, so the last one is kept. */
function scheduleContext(suite: Uint8Array, info: Uint8Array): Uint8Array {
  if (known !== undefined && equalBytes(known.suite, suite) && equalBytes(known.info, info)) return known.context;
  const extract = (label: string, ikm: Uint8Array) => hmac(empty, labeled(suite, label, ikm));
  const context = concatBytes(Uint8Array.of(modeBase), extract('psk_id_hash', empty), extract('info_hash', info));
  known = { suite, info: new Uint8Array(info), context };
  return context;
}

/** §4, LabeledExpand. One block of RFC 5869 §2.3 is enough: nothing here is longer than a SHA-256 value. */
function expand(suite: Uint8Array, prk: Uint8Array, label: string, info: Uint8Array, bytes: number): Uint8Array {
  return hmac(prk, u16be(bytes), labeled(suite, label, info), Uint8Array.of(1)).subarray(0, bytes);
}

/** RFC 2104, for keys of at most a block. A `Hmac` object costs five times what these two one-shot hashes do. */
function hmac(key: Uint8Array, ...message: readonly Uint8Array[]): Uint8Array {
  const inner = Buffer.alloc(64, 0x36);
  const outer = Buffer.alloc(64, 0x5c);
  for (const [i, byte] of key.entries()) {
    inner[i] = byte ^ 0x36;
    outer[i] = byte ^ 0x5c;
  }
  const digest = hash('sha256', concatBytes(inner, ...message), 'buffer');
  const mac = hash('sha256', concatBytes(outer, digest), 'buffer');
  wipe(inner, outer);
  return mac;
}

function labeled(suite: Uint8Array, label: string, value: Uint8Array): Uint8Array {
  return concatBytes(version, suite, utf8(label), value);
}

function generateEphemeral(): EphemeralKey {
  const { publicKey, privateKey } = generateKeyPairSync('x25519', {
    publicKeyEncoding: { format: 'der', type: 'spki' },
  } as never) as unknown as { readonly publicKey: Buffer; readonly privateKey: KeyObject };
  return { publicKey: publicKey.subarray(-32), privateKey };
}

/** §7.1.4: a result of all zeros is refused, which OpenSSL does by itself. */
function agree(privateKey: KeyObject, publicKey: KeyObject): Uint8Array {
  try {
    return diffieHellman({ privateKey, publicKey });
  } catch (cause) {
    throw new CryptoError('weak_key', 'an X25519 key of small order', { cause });
  }
}

function importPublicKey(raw: Uint8Array): KeyObject {
  if (raw.length !== 32) throw new CryptoError('malformed', `an X25519 key has 32 bytes, not ${raw.length}`);
  return createPublicKey({ key: Buffer.concat([x25519Spki, raw]), format: 'der', type: 'spki' });
}

function rawPublicKey(key: KeyObject): Uint8Array {
  return key.export({ format: 'der', type: 'spki' }).subarray(-32);
}

function wipe(...values: readonly Uint8Array[]): void {
  for (const value of values) value.fill(0);
}

/** SSH keys as people keep them: the one-line public key, and OpenSSH's private key file (PROTOCOL.key), unencrypted Ed25519 only. */

import { createPrivateKey, type KeyObject, randomBytes } from 'node:crypto';
import { sha256 } from './digest.ts';
import { type Ed25519PublicKey, publicKeyOf } from './ed25519.ts';
import { concatBytes, equalBytes, fromBase64, fromBase64url, toBase64, u32be } from './encoding.ts';
import { CryptoError } from './errors.ts';
import { decodeSshKey, parseSshKeyType, type SshKeyType } from './ssh-key-material.ts';
import { armor, dearmor, SshReader, sshString } from './ssh-wire.ts';

export interface SshPublicKey {
  readonly type: SshKeyType;
  /** The wire form (RFC 4253 §6.6): what a fingerprint is taken of, and what two keys are compared by. */
  readonly blob: Uint8Array;
  readonly comment?: string;
}

export interface SshKeyPair {
  readonly publicKey: SshPublicKey;
  readonly privateKey: KeyObject;
}

const MAX_LINE_CHARACTERS = 4096;
const PRIVATE_KEY_LABEL = 'OPENSSH PRIVATE KEY';
const MAGIC = Buffer.from('openssh-key-v1\0', 'latin1');
const BLOCK_BYTES = 8;
/** PKCS#8 of an Ed25519 key up to its seed (RFC 8410 §7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Reads `type base64 [comment]`, one line, attacker-controlled. Certificates, RSA, DSA and `ecdsa-sk` keys are refused as `unsupported`. */
export function parseSshPublicKey(line: string): SshPublicKey {
  if (line.length > MAX_LINE_CHARACTERS) throw new CryptoError('malformed', 'the SSH public key is too long');
  const match = /^([^ ]+) +([^ ]+)(?: +(.*))?$/u.exec(line.trim());
  // Control and format characters in a comment could rewrite what a terminal shows beside the fingerprint.
  if (match === null || /[\p{Cc}\p{Cf}\u2028\u2029]/u.test(match[0])) {
    throw new CryptoError('malformed', 'not an SSH public key of the form "type base64 comment" on one line');
  }
  const [, type = '', encoded = '', comment = ''] = match;
  const supported = parseSshKeyType(type);
  const blob = fromBase64(encoded);
  if (decodeSshKey(blob).type !== supported) {
    throw new CryptoError('malformed', 'the SSH public key is of another type than its line says');
  }
  return comment === '' ? { type: supported, blob } : { type: supported, blob, comment };
}

/** `type base64 [comment]` without a line end. */
export function formatSshPublicKey(key: SshPublicKey): string {
  const line = `${key.type} ${toBase64(key.blob)}`;
  return key.comment === undefined ? line : `${line} ${key.comment}`;
}

/** `SHA256:` and unpadded base64, as `ssh-keygen -l` prints it. */
export function sshFingerprint(key: SshPublicKey): string {
  return `SHA256:${toBase64(sha256(key.blob)).replace(/=+$/, '')}`;
}

export function sshPublicKeyOf(key: Ed25519PublicKey, comment?: string): SshPublicKey {
  const blob = concatBytes(sshString('ssh-ed25519'), sshString(key));
  return comment === undefined ? { type: 'ssh-ed25519', blob } : { type: 'ssh-ed25519', blob, comment };
}

/** Reads a private key file. Throws `CryptoError` `unsupported` when it is encrypted or not Ed25519, `malformed` for the rest. */
export function parseSshPrivateKey(pem: string): SshKeyPair {
  const outer = new SshReader(dearmor(PRIVATE_KEY_LABEL, pem), 'the SSH private key');
  if (!equalBytes(outer.bytes(MAGIC.length), MAGIC)) throw new CryptoError('malformed', 'not an OpenSSH private key');
  const cipher = outer.text();
  const derivation = outer.text();
  outer.string();
  if (cipher !== 'none' || derivation !== 'none') {
    throw new CryptoError('unsupported', 'the SSH private key is encrypted: sign with "ssh-keygen -Y sign" instead');
  }
  if (outer.u32() !== 1) throw new CryptoError('unsupported', 'the file holds more than one SSH private key');
  const publicBlob = outer.string();
  const inner = new SshReader(outer.string(), 'the SSH private key');
  outer.end();
  return parsePrivateSection(inner, publicBlob);
}

/** The file's text, with a line end. It is a secret: write it to a 0600 file and nowhere else. */
export function formatSshPrivateKey(pair: { readonly privateKey: KeyObject; readonly comment?: string }): string {
  const publicKey = publicKeyOf(pair.privateKey);
  const seed = fromBase64url(pair.privateKey.export({ format: 'jwk' }).d as string);
  const check = randomBytes(4);
  const content = concatBytes(
    check,
    check,
    sshString('ssh-ed25519'),
    sshString(publicKey),
    sshString(concatBytes(seed, publicKey)),
    sshString(pair.comment ?? ''),
  );
  const padding = Uint8Array.from({ length: -content.length & (BLOCK_BYTES - 1) }, (_, index) => index + 1);
  return armor(
    PRIVATE_KEY_LABEL,
    concatBytes(
      MAGIC,
      sshString('none'),
      sshString('none'),
      sshString(''),
      u32be(1),
      sshString(sshPublicKeyOf(publicKey).blob),
      sshString(concatBytes(content, padding)),
    ),
  );
}

function parsePrivateSection(reader: SshReader, publicBlob: Uint8Array): SshKeyPair {
  const check = reader.u32();
  if (reader.u32() !== check) throw new CryptoError('malformed', 'the SSH private key was altered');
  const type = reader.text();
  if (type !== 'ssh-ed25519') {
    throw new CryptoError(
      'unsupported',
      `the SSH private key is ${JSON.stringify(type.slice(0, 64))}, not ssh-ed25519`,
    );
  }
  const publicPart = reader.string();
  const secret = reader.string();
  const comment = reader.text();
  const padding = reader.rest();
  if (secret.length !== 64 || padding.length >= BLOCK_BYTES || padding.some((byte, index) => byte !== index + 1)) {
    throw new CryptoError('malformed', 'the SSH private key was altered');
  }
  const der = Buffer.concat([PKCS8_PREFIX, secret.subarray(0, 32)]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const derived = publicKeyOf(privateKey);
  const publicKey = sshPublicKeyOf(derived, comment === '' ? undefined : comment);
  // A file whose public half is not its own would make us sign under a key that we cannot verify with.
  const agrees = equalBytes(derived, publicPart) && equalBytes(derived, secret.subarray(32));
  if (!agrees || !equalBytes(publicKey.blob, publicBlob)) {
    throw new CryptoError('malformed', 'the public and private parts of the SSH key do not belong together');
  }
  return { publicKey, privateKey };
}

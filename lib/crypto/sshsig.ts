/** SSHSIG (OpenSSH PROTOCOL.sshsig): detached signatures by SSH keys, as made by `ssh-keygen -Y sign`. */

import { hash, type KeyObject, verify } from 'node:crypto';
import { sha256 } from './digest.ts';
import { type Ed25519PublicKey, signEd25519, verifyEd25519 } from './ed25519.ts';
import { concatBytes, equalBytes, u32be } from './encoding.ts';
import { CryptoError } from './errors.ts';
import type { SshPublicKey } from './ssh-key.ts';
import { decodeSshKey, type EcdsaCurve, type SshKeyMaterial } from './ssh-key-material.ts';
import { armor, dearmor, SshReader, sshString } from './ssh-wire.ts';

type HashAlgorithm = 'sha256' | 'sha512';

const LABEL = 'SSH SIGNATURE';
const MAGIC = Buffer.from('SSHSIG', 'latin1');
const VERSION = 1;
/** PROTOCOL.u2f: the user touched the security key. */
const USER_PRESENT = 0x01;

/**
 * Verifies an attacker-controlled signature and returns the key that made it, without its comment: whether that key is
 * trusted is the caller's decision. Throws `CryptoError` `not_authentic` when the signature does not hold or is for
 * another namespace; `malformed`, `unsupported` or `weak_key` when it is not of an accepted form.
 */
export function verifySshSignature(input: {
  readonly message: Uint8Array;
  readonly signature: string;
  readonly namespace: string;
}): SshPublicKey {
  assertNamespace(input.namespace);
  const parsed = parseSignature(dearmor(LABEL, input.signature));
  if (parsed.namespace !== input.namespace) {
    throw new CryptoError(
      'not_authentic',
      `the signature is for namespace ${JSON.stringify(parsed.namespace.slice(0, 64))}, not ${JSON.stringify(input.namespace)}`,
    );
  }
  const material = decodeSshKey(parsed.publicKey);
  const signed = signedData(input.namespace, parsed.hash, input.message);
  const reader = new SshReader(parsed.signature, 'the SSH signature');
  if (reader.text() !== material.type) {
    throw new CryptoError('malformed', 'the signature is of another type than its key');
  }
  if (!verifyByType(material, signed, reader))
    throw new CryptoError('not_authentic', 'the SSH signature does not verify');
  return { type: material.type, blob: parsed.publicKey };
}

/** Signs with an Ed25519 key and SHA-512; what `ssh-keygen -Y verify` and `verifySshSignature` accept. Armored, with a line end. */
export function signSshSignature(input: {
  readonly message: Uint8Array;
  readonly namespace: string;
  readonly privateKey: KeyObject;
  readonly publicKey: SshPublicKey;
}): string {
  assertNamespace(input.namespace);
  const material = decodeSshKey(input.publicKey.blob);
  if (material.type !== 'ssh-ed25519') throw new TypeError('only Ed25519 keys sign here');
  const signature = signEd25519(input.privateKey, signedData(input.namespace, 'sha512', input.message));
  return armor(
    LABEL,
    concatBytes(
      MAGIC,
      u32be(VERSION),
      sshString(input.publicKey.blob),
      sshString(input.namespace),
      sshString(''),
      sshString('sha512'),
      sshString(concatBytes(sshString(material.type), sshString(signature))),
    ),
  );
}

function parseSignature(blob: Uint8Array): {
  readonly publicKey: Uint8Array;
  readonly namespace: string;
  readonly hash: HashAlgorithm;
  readonly signature: Uint8Array;
} {
  const reader = new SshReader(blob, 'the SSH signature');
  if (!equalBytes(reader.bytes(MAGIC.length), MAGIC)) throw new CryptoError('malformed', 'not an SSH signature');
  if (reader.u32() !== VERSION) throw new CryptoError('unsupported', 'the SSH signature is of an unknown version');
  const publicKey = reader.string();
  const namespace = reader.text();
  // Departure: PROTOCOL.sshsig says to ignore a non-empty `reserved`. OpenSSH never writes one and leaves it out of what
  // it verifies, so the field would be bytes that anybody can change under a valid signature. Refused.
  if (reader.string().length > 0) throw new CryptoError('unsupported', 'the SSH signature has an unknown extension');
  const algorithm = reader.text();
  if (algorithm !== 'sha256' && algorithm !== 'sha512') {
    throw new CryptoError('unsupported', 'the SSH signature uses a hash other than SHA-256 and SHA-512');
  }
  const signature = reader.string();
  reader.end();
  return { publicKey, namespace, hash: algorithm, signature };
}

function signedData(namespace: string, algorithm: HashAlgorithm, message: Uint8Array): Uint8Array {
  return concatBytes(
    MAGIC,
    sshString(namespace),
    sshString(''),
    sshString(algorithm),
    sshString(hash(algorithm, message, 'buffer')),
  );
}

function verifyByType(material: SshKeyMaterial, signed: Uint8Array, reader: SshReader): boolean {
  switch (material.type) {
    case 'ssh-ed25519': {
      const signature = reader.string();
      reader.end();
      return verifyEd25519(material.key, signed, signature);
    }
    case 'sk-ssh-ed25519@openssh.com':
      return verifySecurityKey(material.key, material.application, signed, reader);
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521': {
      const signature = reader.string();
      reader.end();
      return verifyEcdsa(material.key, material.curve, signed, signature);
    }
    default:
      return material satisfies never;
  }
}

/** PROTOCOL.u2f: the device signs H(application) ‖ flags ‖ counter ‖ H(data), and says in the flags whether somebody touched it. */
function verifySecurityKey(key: Ed25519PublicKey, application: string, signed: Uint8Array, reader: SshReader): boolean {
  const signature = reader.string();
  const flags = reader.bytes(1);
  const counter = reader.bytes(4);
  reader.end();
  if (((flags[0] as number) & USER_PRESENT) === 0) {
    throw new CryptoError('not_authentic', 'the security key signed without being touched');
  }
  return verifyEd25519(key, concatBytes(sha256(application), flags, counter, sha256(signed)), signature);
}

/** RFC 5656 §3.1.2: r and s as mpints. */
function verifyEcdsa(key: KeyObject, curve: EcdsaCurve, signed: Uint8Array, blob: Uint8Array): boolean {
  const reader = new SshReader(blob, 'the ECDSA signature');
  const r = reader.positiveInteger(curve.coordinateBytes);
  const s = reader.positiveInteger(curve.coordinateBytes);
  reader.end();
  return verify(curve.hash, signed, { key, dsaEncoding: 'ieee-p1363' }, concatBytes(r, s));
}

function assertNamespace(namespace: string): void {
  if (namespace === '') throw new TypeError('an SSH signature needs a namespace');
}

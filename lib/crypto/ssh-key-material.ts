/** What is inside an SSH public key's wire form (RFC 4253 §6.6), for the kinds that may sign: Ed25519, Ed25519 on a security key, ECDSA on the NIST curves. */

import { createPublicKey, type KeyObject } from 'node:crypto';
import { type Ed25519PublicKey, parseEd25519PublicKey } from './ed25519.ts';
import { concatBytes } from './encoding.ts';
import { CryptoError, parsing } from './errors.ts';
import { SshReader } from './ssh-wire.ts';

export type EcdsaKeyType = 'ecdsa-sha2-nistp256' | 'ecdsa-sha2-nistp384' | 'ecdsa-sha2-nistp521';
export type SshKeyType = 'ssh-ed25519' | 'sk-ssh-ed25519@openssh.com' | EcdsaKeyType;

/** What is inside the wire form of a key, ready to verify with. */
export type SshKeyMaterial =
  | { readonly type: 'ssh-ed25519'; readonly key: Ed25519PublicKey }
  | { readonly type: 'sk-ssh-ed25519@openssh.com'; readonly key: Ed25519PublicKey; readonly application: string }
  | { readonly type: EcdsaKeyType; readonly key: KeyObject; readonly curve: EcdsaCurve };

export interface EcdsaCurve {
  /** RFC 5656 §10.1. */
  readonly name: string;
  /** RFC 5656 §6.2.1. */
  readonly hash: 'sha256' | 'sha384' | 'sha512';
  readonly coordinateBytes: number;
  /** SubjectPublicKeyInfo up to the point (RFC 5480 §2). */
  readonly spkiPrefix: Uint8Array;
}

const ECDSA_CURVES: Readonly<Record<EcdsaKeyType, EcdsaCurve>> = {
  'ecdsa-sha2-nistp256': {
    name: 'nistp256',
    hash: 'sha256',
    coordinateBytes: 32,
    spkiPrefix: Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex'),
  },
  'ecdsa-sha2-nistp384': {
    name: 'nistp384',
    hash: 'sha384',
    coordinateBytes: 48,
    spkiPrefix: Buffer.from('3076301006072a8648ce3d020106052b81040022036200', 'hex'),
  },
  'ecdsa-sha2-nistp521': {
    name: 'nistp521',
    hash: 'sha512',
    coordinateBytes: 66,
    spkiPrefix: Buffer.from('30819b301006072a8648ce3d020106052b8104002303818600', 'hex'),
  },
};

const UNCOMPRESSED_POINT = 0x04;

/** Opens the wire form of a key, attacker-controlled. */
export function decodeSshKey(blob: Uint8Array): SshKeyMaterial {
  const reader = new SshReader(blob, 'the SSH public key');
  const type = parseSshKeyType(reader.text());
  switch (type) {
    case 'ssh-ed25519': {
      const key = parseEd25519PublicKey(reader.string());
      reader.end();
      return { type, key };
    }
    case 'sk-ssh-ed25519@openssh.com': {
      const key = parseEd25519PublicKey(reader.string());
      const application = reader.text();
      reader.end();
      // PROTOCOL.u2f: keys for SSH begin with "ssh:"; anything else is a key that a web site made for itself.
      if (!application.startsWith('ssh:')) {
        throw new CryptoError('unsupported', 'the security key was not made for SSH: its application is not "ssh:"');
      }
      return { type, key, application };
    }
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521':
      return decodeEcdsa(type, reader);
    default:
      return type satisfies never;
  }
}

function decodeEcdsa(type: EcdsaKeyType, reader: SshReader): SshKeyMaterial {
  const curve = ECDSA_CURVES[type];
  if (reader.text() !== curve.name) throw new CryptoError('malformed', 'the SSH public key names two different curves');
  const point = reader.string();
  reader.end();
  if (point.length !== 1 + 2 * curve.coordinateBytes || point[0] !== UNCOMPRESSED_POINT) {
    throw new CryptoError('malformed', 'the SSH public key is not an uncompressed point of its curve');
  }
  const der = Buffer.from(concatBytes(curve.spkiPrefix, point));
  const key = parsing('point of its curve', () => createPublicKey({ key: der, format: 'der', type: 'spki' }));
  return { type, key, curve };
}

/** Throws `CryptoError` `unsupported` for certificates and for every kind that may not sign. */
export function parseSshKeyType(type: string): SshKeyType {
  switch (type) {
    case 'ssh-ed25519':
    case 'sk-ssh-ed25519@openssh.com':
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521':
      return type;
    default: {
      const quoted = JSON.stringify(type.slice(0, 64));
      if (type.includes('-cert-'))
        throw new CryptoError('unsupported', `${quoted} is a certificate: give the plain key`);
      throw new CryptoError('unsupported', `${quoted} is not an SSH key type that may sign: use Ed25519 or ECDSA`);
    }
  }
}

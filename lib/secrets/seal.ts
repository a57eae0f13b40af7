/**
 * Sealing a secret to one node: HPKE to its sealing key, bound to the node, the reference, the version and the release,
 * so that a sealed value opens nowhere else, under no other name and after no other release.
 */
import type { KeyObject } from 'node:crypto';
import { concatBytes, fromHex, u16be, u32be, utf8 } from '../crypto/encoding.ts';
import { type HpkeMessage, hpkeOpen, hpkeSeal } from '../crypto/hpke.ts';
import { formatReference } from './reference.ts';

const info = utf8('holdfast/secret/v1');

export type SealingPlace = {
  /** Canonical UUID of the node. */
  readonly uuid: string;
  readonly path: string;
  readonly version: number;
  /** SHA-256 of the manifest, hexadecimal. */
  readonly releaseDigest: string;
};

export function sealSecret(sealingKey: Uint8Array, place: SealingPlace, value: Uint8Array): HpkeMessage {
  return hpkeSeal({ recipient: sealingKey, info, aad: additional(place), plaintext: value });
}

/** Throws `CryptoError` `not_authentic` unless the value was sealed to this key for exactly this place. */
export function openSecret(privateKey: KeyObject, place: SealingPlace, message: HpkeMessage): Uint8Array {
  return hpkeOpen({ privateKey, info, aad: additional(place), message });
}

/** UUID (16 B) ‖ u16 length ‖ reference ‖ u32 version ‖ release digest (32 B). */
function additional({ uuid, path, version, releaseDigest }: SealingPlace): Uint8Array {
  const reference = utf8(formatReference(path));
  return concatBytes(
    fromHex(uuid.replaceAll('-', '')),
    u16be(reference.length),
    reference,
    u32be(version),
    fromHex(releaseDigest),
  );
}

/** Bearer secrets as text: enrollment tokens, and opaque tokens for everything else. */

import { randomBytes } from 'node:crypto';
import { sha256Hex } from './digest.ts';
import { fromBase64url, toBase64url } from './encoding.ts';
import { CryptoError } from './errors.ts';

export interface EnrollmentToken {
  /** 32 random bytes: whoever holds them may enroll one node. */
  readonly secret: Uint8Array;
  /** The fleet pin: SHA-256 of the fleet descriptor that the joining agent must be shown. */
  readonly pin: Uint8Array;
}

const ENROLLMENT_PREFIX = 'hfe_';
const PART_BYTES = 32;
/** Base64url digits of 32 bytes without padding. */
const PART_DIGITS = 43;
const ENROLLMENT_LENGTH = ENROLLMENT_PREFIX.length + PART_DIGITS + 1 + PART_DIGITS;
const OPAQUE_PREFIX = /^[a-z][a-z0-9]{1,7}_$/;

/** `hfe_` b64u(secret) `.` b64u(pin). */
export function formatEnrollmentToken(token: EnrollmentToken): string {
  if (token.secret.length !== PART_BYTES || token.pin.length !== PART_BYTES) {
    throw new TypeError('secret and pin of an enrollment token are 32 bytes each');
  }
  return `${ENROLLMENT_PREFIX}${toBase64url(token.secret)}.${toBase64url(token.pin)}`;
}

/**
 * Reads an enrollment token, attacker-controlled. Throws `CryptoError` `malformed` with a message that helps whoever
 * pasted it and never quotes it.
 */
export function parseEnrollmentToken(text: string): EnrollmentToken {
  if (!text.startsWith(ENROLLMENT_PREFIX)) {
    throw new CryptoError('malformed', `an enrollment token begins with "${ENROLLMENT_PREFIX}"`);
  }
  if (text.length !== ENROLLMENT_LENGTH) {
    const hint =
      text.length < ENROLLMENT_LENGTH ? 'it was cut off: copy the whole of it' : 'something was pasted with it';
    throw new CryptoError(
      'malformed',
      `an enrollment token has ${ENROLLMENT_LENGTH} characters, this one has ${text.length}; ${hint}`,
    );
  }
  const dot = ENROLLMENT_PREFIX.length + PART_DIGITS;
  if (text[dot] !== '.')
    throw new CryptoError('malformed', 'the enrollment token was altered: its dot is not in its place');
  return { secret: parsePart(text.slice(ENROLLMENT_PREFIX.length, dot)), pin: parsePart(text.slice(dot + 1)) };
}

/** How a token's secret is kept at rest: hex SHA-256. The value has 256 random bits, so no slow hash is needed. */
export function hashTokenSecret(secret: Uint8Array): string {
  return sha256Hex(secret);
}

/** A new bearer secret: `prefix` (such as `hfa_`, so that scanners can tell what leaked) and 32 random bytes as base64url. */
export function newOpaqueToken(prefix: string, random: (bytes: number) => Uint8Array = randomBytes): string {
  if (!OPAQUE_PREFIX.test(prefix))
    throw new TypeError(`${JSON.stringify(prefix)} is not a token prefix such as "hfa_"`);
  return `${prefix}${toBase64url(random(PART_BYTES))}`;
}

/** How an opaque token is kept at rest: hex SHA-256 of its whole text. */
export function hashOpaqueToken(token: string): string {
  return sha256Hex(token);
}

function parsePart(text: string): Uint8Array {
  try {
    return fromBase64url(text);
  } catch (cause) {
    throw new CryptoError('malformed', 'the enrollment token was altered: a character in it cannot be right', {
      cause,
    });
  }
}

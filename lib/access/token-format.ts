/**
 * How an API token looks: `vgot_`, 32 random bytes as base64url, and six characters of checksum. The checksum proves
 * nothing; it lets a secret scanner, and this server before it reads any store, tell a real token from a typing error.
 */
import { crc32 } from 'node:zlib';
import { toBase64url } from '../crypto/encoding.ts';

const prefix = 'vgot_';
const pattern = /^vgot_([A-Za-z0-9_-]{43})([0-9A-Za-z]{6})$/;
const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const checksumDigits = 6;

/** Whether this text is an API token by its form alone. Needs no server, no key and no network. */
export function isApiTokenFormat(text: string): boolean {
  const match = pattern.exec(text);
  return match !== null && match[2] === checksum(match[1] ?? '');
}

/** `vgot_` ‖ b64u(secret) ‖ checksum, 54 characters. */
export function formatApiToken(secret: Uint8Array): string {
  if (secret.length !== 32) throw new TypeError('the secret of an API token is 32 bytes');
  const body = toBase64url(secret);
  return `${prefix}${body}${checksum(body)}`;
}

/** CRC-32 (RFC 1952 §8) of the 43 characters between prefix and checksum, in base 62 (0-9, A-Z, a-z), zero-padded. */
function checksum(body: string): string {
  let rest = crc32(body);
  let text = '';
  for (let i = 0; i < checksumDigits; i++) {
    text = `${digits[rest % 62]}${text}`;
    rest = Math.floor(rest / 62);
  }
  return text;
}

/**
 * Passwords of accounts as crypt(5) hashes of kind `$6$`: SHA-512 in rounds ("Unix crypt using SHA-256 and SHA-512",
 * Ulrich Drepper, 2008). A password is compared with what is stored by that hash's own salt and rounds, so that one that
 * is right already is left alone.
 */
import { hash, randomBytes } from 'node:crypto';
import { concatBytes, equalBytes, utf8 } from '../crypto/encoding.ts';

const alphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const defaultRounds = 5000;
const minRounds = 1000;
/** Stored by somebody else: beyond this a comparison would take longer than a run has time for. */
const maxRounds = 1_000_000;
const maxPasswordBytes = 1024;
const setting = /^\$6\$(?:rounds=([1-9][0-9]{0,8})\$)?([^$:\n]{0,16})(?:\$|$)/;

/** A new hash with a salt of its own, such as `$6$…$…`. */
export function hashPassword(password: Uint8Array, random: (n: number) => Uint8Array = randomBytes): string {
  const salt = [...random(16)].map((byte) => alphabet[byte & 63]).join('');
  return sha512Crypt(password, salt, undefined);
}

/** Whether the stored hash is of this password. False also for a hash of another kind, which is then replaced. */
export function isPasswordOf(password: Uint8Array, stored: string): boolean {
  const match = setting.exec(stored);
  if (match === null || password.length > maxPasswordBytes) return false;
  const [, given, salt = ''] = match;
  const rounds = given === undefined ? undefined : Math.max(minRounds, Number(given));
  if (rounds !== undefined && rounds > maxRounds) return false;
  return equalBytes(utf8(sha512Crypt(password, salt, rounds)), utf8(stored));
}

function sha512Crypt(password: Uint8Array, saltText: string, rounds: number | undefined): string {
  const salt = utf8(saltText);
  const alternate = sha512(password, salt, password);
  // Steps 4 to 12: one copy of the alternate sum a byte, then by the bits of the length.
  const parts = [password, salt, repeated(alternate, password.length)];
  for (let length = password.length; length > 0; length >>= 1) parts.push(length & 1 ? alternate : password);
  let sum = sha512(...parts);
  const p = repeated(sha512(repeated(password, password.length ** 2)), password.length);
  const s = repeated(sha512(repeated(salt, salt.length * (16 + (sum[0] ?? 0)))), salt.length);
  for (let round = 0; round < (rounds ?? defaultRounds); round++) {
    const isOdd = round % 2 === 1;
    const pieces = [isOdd ? p : sum];
    if (round % 3 !== 0) pieces.push(s);
    if (round % 7 !== 0) pieces.push(p);
    pieces.push(isOdd ? sum : p);
    sum = sha512(...pieces);
  }
  return `$6$${rounds === undefined ? '' : `rounds=${rounds}$`}${saltText}$${encode(sum)}`;
}

/** Step 22: three bytes at a time, in an order that turns by 21, the lowest six bits first. */
function encode(sum: Uint8Array): string {
  let text = '';
  const put = (bits: number, count: number) => {
    for (let i = 0; i < count; i++) text += alphabet[(bits >> (6 * i)) & 63];
  };
  for (let i = 0; i < 21; i++) {
    const turned = [i, i + 21, i + 42];
    const [high = 0, middle = 0, low = 0] = [0, 1, 2].map((k) => sum[turned[(k + i) % 3] ?? 0] ?? 0);
    put((high << 16) | (middle << 8) | low, 4);
  }
  put(sum[63] ?? 0, 2);
  return text;
}

function sha512(...parts: readonly Uint8Array[]): Uint8Array {
  return hash('sha512', concatBytes(...parts), 'buffer');
}

function repeated(bytes: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let at = 0; at < length; at++) out[at] = bytes[at % bytes.length] ?? 0;
  return out;
}

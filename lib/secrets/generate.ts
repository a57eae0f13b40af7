/** Values that no person ever sees: random text of a length, from a set of characters, without bias. */
import { randomInt } from 'node:crypto';
import { SecretsError } from './errors.ts';

export const characterSets = {
  alphanumeric: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789',
  hex: '0123456789abcdef',
  digits: '0123456789',
  base64url: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_',
  /** Printable ASCII without space, quotes, backslash, dollar and backtick, which shells and files trip over. */
  printable: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#%&()*+,-./:;<=>?@[]^_{|}~',
} as const;

export type CharacterSet = keyof typeof characterSets;

/** Below this many bits a generated value could be guessed offline. */
const minBits = 64;
const maxLength = 4096;

/** Throws `SecretsError` `bad_value` for a length that is too small to be a secret, or beyond 4096. */
export function generateSecret(options: {
  readonly length: number;
  readonly characters: CharacterSet;
  readonly random?: (below: number) => number;
}): Uint8Array {
  const { length, characters, random = randomInt } = options;
  const set = characterSets[characters];
  const bits = length * Math.log2(set.length);
  if (!Number.isInteger(length) || length > maxLength || bits < minBits) {
    const least = Math.ceil(minBits / Math.log2(set.length));
    throw new SecretsError('bad_value', `a length of ${length} is not possible for "${characters}"`, {
      hint: `Give one from ${least} to ${maxLength}.`,
    });
  }
  const value = Buffer.alloc(length);
  // `randomInt` draws again instead of taking a remainder, so each character is equally likely.
  for (let i = 0; i < length; i++) value[i] = set.charCodeAt(random(set.length));
  return value;
}

/** What the sealing function answers the gateway: sealed values, or one stable reason. Bytes are base64url. */
import { z } from 'zod';
import { fromBase64url, toBase64url } from '../../lib/crypto/encoding.ts';
import type { GivenSecret } from '../../lib/secrets/give.ts';

/** Why there is no value at all; the same words as on the wire to nodes. */
export const refusals = [
  'PERMISSION_DENIED',
  'QUARANTINED',
  'RELEASE_CHANGED',
  'INVALID_REQUEST',
  'UNAVAILABLE',
] as const;
export type SealingRefusal = (typeof refusals)[number];

export type SealingAnswer = { readonly given: readonly GivenSecret[] } | { readonly refused: SealingRefusal };

const bytes = z.string().transform((text) => fromBase64url(text));
const given = z.union([
  z.strictObject({
    path: z.string(),
    sealed: z.strictObject({ version: z.int().min(1), enc: bytes, ciphertext: bytes }),
  }),
  z.strictObject({ path: z.string(), reason: z.enum(['NOT_FOUND', 'UNAVAILABLE']) }),
]);
const shape = z.union([
  z.strictObject({ given: z.array(given).max(1000) }),
  z.strictObject({ refused: z.enum(refusals) }),
]);

export function formatAnswer(answer: SealingAnswer): object {
  if (!('given' in answer)) return answer;
  return {
    given: answer.given.map((one) => {
      if (!('sealed' in one)) return one;
      const { version, enc, ciphertext } = one.sealed;
      return { path: one.path, sealed: { version, enc: toBase64url(enc), ciphertext: toBase64url(ciphertext) } };
    }),
  };
}

/** Throws for what no sealing function answers. */
export function parseAnswer(value: unknown): SealingAnswer {
  return shape.parse(value);
}

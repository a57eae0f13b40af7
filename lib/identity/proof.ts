/**
 * A node's own signature over one request, for a service that does not hold the node's stream: it says who asked for what,
 * whatever whoever relays it would like. It does not say when: freshness is judged where the challenge was made.
 */
import { z } from 'zod';
import { sha256 } from '../crypto/digest.ts';
import { type Ed25519PublicKey, verifyEd25519 } from '../crypto/ed25519.ts';
import { fromBase64url, toBase64url } from '../crypto/encoding.ts';
import { IdentityError } from './errors.ts';
import { type RequestBinding, requestSigningInput } from './request.ts';

export type RequestProof = Omit<RequestBinding, 'bodyDigest'> & {
  readonly signature: Uint8Array;
  /** The encoded request, as it was signed. */
  readonly body: Uint8Array;
};

const bytes = (maxChars: number) =>
  z
    .string()
    .regex(/^[A-Za-z0-9_-]*$/)
    .max(maxChars);

const shape = z.strictObject({
  method: z.string().min(1).max(100),
  challenge: bytes(43).length(43),
  counter: z.int().min(1),
  uuid: z.uuid().lowercase(),
  certificateDigest: bytes(43).length(43),
  signature: bytes(86).length(86),
  body: bytes(1_000_000),
});

export type ProofText = z.infer<typeof shape>;

export function formatProof(proof: RequestProof): ProofText {
  const { method, counter, uuid } = proof;
  return {
    method,
    counter,
    uuid,
    challenge: toBase64url(proof.challenge),
    certificateDigest: toBase64url(proof.certificateDigest),
    signature: toBase64url(proof.signature),
    body: toBase64url(proof.body),
  };
}

/** Attacker-controlled. Throws `IdentityError` `malformed`. */
export function parseProof(value: unknown): RequestProof {
  const parsed = shape.safeParse(value);
  if (!parsed.success) throw new IdentityError('malformed', 'not a proof of a request', { cause: parsed.error });
  const { method, counter, uuid, ...encoded } = parsed.data;
  try {
    return {
      method,
      counter,
      uuid,
      challenge: fromBase64url(encoded.challenge),
      certificateDigest: fromBase64url(encoded.certificateDigest),
      signature: fromBase64url(encoded.signature),
      body: fromBase64url(encoded.body),
    };
  } catch (cause) {
    throw new IdentityError('malformed', 'not a proof of a request', { cause });
  }
}

/** Whether the holder of this key made the request, over this very body. */
export function isProofOf(identityKey: Ed25519PublicKey, proof: RequestProof): boolean {
  const signed = requestSigningInput({ ...proof, bodyDigest: sha256(proof.body) });
  return verifyEd25519(identityKey, signed, proof.signature);
}

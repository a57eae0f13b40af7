/**
 * The enrollment request, parsed: the one road from an outsider's bytes to typed values. Only cheap checks happen here,
 * before any store read: size, form, exact lengths, strict names, a strong key, and possession of that key.
 */
import { z } from 'zod';
import { type Ed25519PublicKey, parseEd25519PublicKey, verifyEd25519 } from '../crypto/ed25519.ts';
import { fromBase64url, toBase64url } from '../crypto/encoding.ts';
import { CryptoError } from '../crypto/errors.ts';
import type { Json } from '../crypto/jcs.ts';
import { hashTokenSecret, parseEnrollmentToken } from '../crypto/token.ts';
import { envelopeSigningInput, parseBody, parseEnvelope } from './envelope.ts';
import { IdentityError } from './errors.ts';
import { parseHostname, parsePlatform, parseUuid, parseVersion } from './names.ts';

export type EnrollRequest = {
  /** Hash of the token's secret: the secret itself goes no further than this parser. */
  readonly tokenHash: string;
  readonly uuid: string;
  readonly hostname: string;
  readonly identityKey: Ed25519PublicKey;
  readonly sealingKey: Uint8Array;
  /** PKCS#10, DER; not parsed yet. */
  readonly csr: Uint8Array;
  readonly platform: string;
  readonly version: string;
};

/** What an agent says of itself when it enrolls. */
export type EnrollClaim = Omit<EnrollRequest, 'tokenHash'> & { readonly token: string };

/** A P-256 request with a short subject has about 300 bytes. */
export const maxCsrBytes = 1024;

const base64urlOf = (bytes: number) => z.string().length(Math.ceil((bytes * 4) / 3));

const shape = z.strictObject({
  v: z.literal(1),
  token: z.string().max(128),
  uuid: z.string(),
  hostname: z.string(),
  identityKey: base64urlOf(32),
  sealingKey: base64urlOf(32),
  csr: z
    .string()
    .min(1)
    .max(Math.ceil((maxCsrBytes * 4) / 3)),
  platform: z.string(),
  version: z.string(),
});

/** The request as the agent signs it. */
export function enrollRequestJson(claim: EnrollClaim): Json {
  const { token, uuid, hostname, platform, version } = claim;
  return {
    v: 1,
    token,
    uuid,
    hostname,
    identityKey: toBase64url(claim.identityKey),
    sealingKey: toBase64url(claim.sealingKey),
    csr: toBase64url(claim.csr),
    platform,
    version,
  };
}

/**
 * Attacker-controlled. Throws `IdentityError` `malformed`, always without the cause: a parser's message may quote the
 * token, and errors get logged.
 */
export function parseEnrollRequest(bytes: Uint8Array): EnrollRequest {
  const { body, signature } = parseEnvelope(bytes);
  const parsed = shape.safeParse(parseBody(body));
  if (!parsed.success) throw malformed('The enrollment request has not the expected fields.');
  const fields = parsed.data;
  const request: EnrollRequest = {
    tokenHash: parseToken(fields.token),
    uuid: parseUuid(fields.uuid),
    hostname: parseHostname(fields.hostname),
    identityKey: parseIdentityKey(fields.identityKey),
    sealingKey: parseSealingKey(fields.sealingKey),
    csr: parseBytes(fields.csr),
    platform: parsePlatform(fields.platform),
    version: parseVersion(fields.version),
  };
  if (!verifyEd25519(request.identityKey, envelopeSigningInput('enroll', body), signature)) {
    throw malformed('The enrollment request is not signed by the identity key that it names.');
  }
  return request;
}

/** PKCS#10 as base64url text, of bounded size. */
export function parseBytes(text: string): Uint8Array {
  try {
    return fromBase64url(text);
  } catch {
    throw malformed('A field of the request is not base64url.');
  }
}

function parseToken(text: string): string {
  try {
    return hashTokenSecret(parseEnrollmentToken(text).secret);
  } catch (error) {
    // These messages help whoever cut off a token while copying it, and quote nothing of it.
    throw malformed(error instanceof CryptoError ? error.message : 'Not an enrollment token.');
  }
}

function parseIdentityKey(text: string): Ed25519PublicKey {
  try {
    return parseEd25519PublicKey(fromBase64url(text));
  } catch {
    throw malformed('The identity key is not a strong Ed25519 key.');
  }
}

/** X25519 takes any 32 bytes; those of small order would make every shared secret zero (RFC 7748 §6.1, §7). */
function parseSealingKey(text: string): Uint8Array {
  const key = parseBytes(text);
  if (smallOrder.has(toBase64url(maskTopBit(key)))) throw malformed('The sealing key is not a strong X25519 key.');
  return key;
}

function maskTopBit(key: Uint8Array): Uint8Array {
  const masked = Uint8Array.from(key);
  masked[31] = (masked[31] ?? 0) & 0x7f;
  return masked;
}

/** u-coordinates of small order on Curve25519, little-endian: 0, 1, the two of order 8, p−1, and p and p+1 unreduced. */
const smallOrder: ReadonlySet<string> = new Set(
  [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ].map((hex) => toBase64url(Buffer.from(hex, 'hex'))),
);

function malformed(message: string): IdentityError {
  return new IdentityError('malformed', message);
}

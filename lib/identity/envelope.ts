/**
 * The signed envelope of the identity service's two requests: canonical JSON as raw bytes, and the identity key's
 * signature over a domain and exactly these bytes. Proves possession of the key that the request names.
 */
import { concatBytes, fromBase64url, toBase64url, utf8 } from '../crypto/encoding.ts';
import { canonicalize, type Json, parseCanonicalJson } from '../crypto/jcs.ts';
import { IdentityError } from './errors.ts';

/** Of the whole HTTP body: an honest one has about 1.5 KiB. */
export const maxEnvelopeBytes = 16 * 1024;

/** Each request has its own domain, so that a signature made for one is worthless for the other. */
export type EnvelopePurpose = 'enroll' | 'renew';

export type Envelope = {
  /** What was signed: decoded by the caller, but verified as these bytes. */
  readonly body: Uint8Array;
  readonly signature: Uint8Array;
};

/** `"holdfast/enroll/v1" ‖ 0x00 ‖ body`, or the same with `renew`. */
export function envelopeSigningInput(purpose: EnvelopePurpose, body: Uint8Array): Uint8Array {
  return concatBytes(utf8(`holdfast/${purpose}/v1\0`), body);
}

/** The bytes to send for a request; `sign` is the node's identity key. */
export function formatEnvelope(
  purpose: EnvelopePurpose,
  request: Json,
  sign: (message: Uint8Array) => Uint8Array,
): Uint8Array {
  const body = utf8(canonicalize(request));
  const signature = sign(envelopeSigningInput(purpose, body));
  return utf8(canonicalize({ body: toBase64url(body), signature: toBase64url(signature) }));
}

/**
 * Attacker-controlled. Canonical form is demanded of the outside too: one that repeats a key reads differently in
 * different parsers. Throws `IdentityError` `malformed`; never quotes what was sent, which may hold a token.
 */
export function parseEnvelope(bytes: Uint8Array): Envelope {
  if (bytes.length > maxEnvelopeBytes) throw malformed('The request is too long.');
  const outer = parseBody(bytes);
  if (typeof outer !== 'object' || outer === null || Array.isArray(outer)) throw malformed('The request is no object.');
  const { body, signature, ...rest } = outer as { readonly [name: string]: Json };
  if (typeof body !== 'string' || typeof signature !== 'string' || Object.keys(rest).length > 0) {
    throw malformed('The request has other fields than body and signature.');
  }
  const decoded = { body: parseBytes(body), signature: parseBytes(signature) };
  if (decoded.signature.length !== 64) throw malformed('The signature does not have 64 bytes.');
  return decoded;
}

/** The canonical JSON within, as a value. */
export function parseBody(bytes: Uint8Array): Json {
  try {
    return parseCanonicalJson(bytes, { maxBytes: maxEnvelopeBytes, maxDepth: 3 });
  } catch {
    // Without the cause: a parser's message may quote the token.
    throw malformed('The request is not canonical JSON.');
  }
}

function parseBytes(text: string): Uint8Array {
  try {
    return fromBase64url(text);
  } catch {
    throw malformed('The request is not base64url.');
  }
}

function malformed(message: string): IdentityError {
  return new IdentityError('malformed', message);
}

/** The one error that anything in this folder throws for bad input. Bugs of the caller are `TypeError`s instead. */

/**
 * - `malformed`: the bytes are not an encoding of what they claim to be.
 * - `not_authentic`: well formed, but the proof does not hold.
 * - `unsupported`: well formed, but of a kind that is refused on principle (another algorithm, a certificate, encryption).
 * - `weak_key`: a public key that would make proofs meaningless.
 */
export type CryptoErrorCode = 'malformed' | 'not_authentic' | 'unsupported' | 'weak_key';

export class CryptoError extends Error {
  override readonly name = 'CryptoError';
  readonly code: CryptoErrorCode;
  constructor(code: CryptoErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Runs `parse` on attacker-controlled input: whatever a library beneath throws becomes `CryptoError` `malformed`. */
export function parsing<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (cause instanceof CryptoError) throw cause;
    throw new CryptoError('malformed', `not a valid ${what}`, { cause });
  }
}

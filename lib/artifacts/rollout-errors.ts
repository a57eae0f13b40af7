/** The one error of publishing and rolling out builds on the server's side. */

/**
 * - `no_keys`: no artifact keys are trusted here yet, so nothing can be published.
 * - `refused`: the manifest or its bytes do not prove themselves; `reason` is the code of artifacts.
 * - `missing_part`: a part was not uploaded. `too_large`: larger than any agent.
 * - `exists`: this version was published for this platform, with other bytes.
 * - `unknown_build`, `unknown_ring`: there is none of that name.
 * - `bad_ring`: a ring that could not work.
 * - `conflict`: somebody else changed the same at the same time.
 */
export type RolloutErrorCode =
  | 'no_keys'
  | 'refused'
  | 'missing_part'
  | 'too_large'
  | 'exists'
  | 'unknown_build'
  | 'unknown_ring'
  | 'bad_ring'
  | 'conflict';

export class RolloutError extends Error {
  override readonly name = 'RolloutError';
  readonly code: RolloutErrorCode;
  /** A closed word that says more. */
  readonly reason: string;
  constructor(code: RolloutErrorCode, message: string, options: ErrorOptions & { readonly reason?: string } = {}) {
    super(message, options);
    this.code = code;
    this.reason = options.reason ?? code;
  }
}

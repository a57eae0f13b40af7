/** What can go wrong in the secrets domain, as one error with a closed set of codes. No message ever quotes a value. */

export type SecretsErrorCode =
  /** Not a secret reference, a path or a marker. */
  | 'bad_reference'
  /** There is no such secret, or it was deleted. */
  | 'not_found'
  /** A secret where none may stand. */
  | 'misplaced'
  /** A value that is too short to be kept out of logs, or too long. */
  | 'bad_value'
  /** The provider can't be reached, or can't read what it holds. */
  | 'unavailable'
  /** What is stored is not what was written: other bytes, or under another key, path or version. */
  | 'not_authentic'
  /** A request to reveal that is not approved, was used, or has expired. */
  | 'not_open'
  /** It takes two people who logged in, and this is not the one. */
  | 'second_person'
  /** This provider does not do that. */
  | 'not_supported'
  /** Others could read or change what the provider keeps. */
  | 'loose_permissions';

export class SecretsError extends Error {
  override readonly name = 'SecretsError';
  readonly code: SecretsErrorCode;
  readonly hint: string | undefined;
  constructor(code: SecretsErrorCode, message: string, options: ErrorOptions & { readonly hint?: string } = {}) {
    super(message, options);
    this.code = code;
    this.hint = options.hint;
  }
}

/** What can go wrong when destinations are managed, as one error with a closed set of codes. */

export type SiemErrorCode =
  /** There is no such destination, test or entry. */
  | 'not_found'
  /** The name is taken. */
  | 'exists'
  /** It was changed since the caller saw it, or by somebody else at the same time. */
  | 'conflict'
  /** What was asked for makes no sense in its present state. */
  | 'not_possible'
  /** There are as many destinations as there may be. */
  | 'too_many'
  /** What is stored can't be read. */
  | 'corrupt';

export class SiemError extends Error {
  override readonly name = 'SiemError';
  readonly code: SiemErrorCode;
  readonly hint: string | undefined;
  constructor(code: SiemErrorCode, message: string, options: ErrorOptions & { readonly hint?: string } = {}) {
    super(message, options);
    this.code = code;
    this.hint = options.hint;
  }
}

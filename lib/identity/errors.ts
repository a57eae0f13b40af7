/** What can go wrong in the identity domain, as one error with a closed set of codes. */

export type IdentityErrorCode =
  /** Outside its format: a request, name, label, token or stored item. */
  | 'malformed'
  /** Not allowed. To an outsider this says no more than that; the reason is in the audit log. */
  | 'refused'
  /** There is no such node or token. */
  | 'not_found'
  /** The node is revoked, which is for ever. */
  | 'revoked'
  /** The token is no longer open. */
  | 'not_open';

export class IdentityError extends Error {
  override readonly name = 'IdentityError';
  readonly code: IdentityErrorCode;
  constructor(code: IdentityErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The errors of this domain. */

export type AccessErrorCode =
  /** A file or directory that others than its owner can reach, or that belongs to somebody else. */
  | 'loose_permissions'
  | 'malformed'
  /** No token file: the server is not running, or runs with another state directory. */
  | 'missing'
  | 'unavailable';

export class AccessError extends Error {
  override readonly name = 'AccessError';
  readonly code: AccessErrorCode;
  constructor(code: AccessErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

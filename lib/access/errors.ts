/** The errors of this domain. */

export type AccessErrorCode =
  /** A file or directory that others than its owner can reach, or that belongs to somebody else. */
  | 'loose_permissions'
  | 'malformed'
  /** No token file: the server is not running, or runs with another state directory. */
  | 'missing'
  | 'unavailable'
  /** A log-in that is not accepted. One text for every cause: who asks must not learn which it was. */
  | 'refused'
  /** Too many log-ins at once, or too many failed ones for this name. */
  | 'throttled'
  | 'not_found'
  | 'exists'
  /** Somebody else changed the same thing at the same time. */
  | 'conflict'
  /** The principal would grant what it does not have. */
  | 'not_permitted';

export class AccessError extends Error {
  override readonly name = 'AccessError';
  readonly code: AccessErrorCode;
  /** Why a log-in was refused, as a closed word for the audit log; never shown to who asked. */
  readonly reason: string | undefined;
  /** When it is worth trying again. */
  readonly retryAfterMs: number | undefined;
  constructor(
    code: AccessErrorCode,
    message: string,
    options: ErrorOptions & { readonly reason?: string; readonly retryAfterMs?: number } = {},
  ) {
    super(message, options);
    this.code = code;
    this.reason = options.reason;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The one refusal of a log-in: `reason` goes to the audit log, the text to whoever asked. */
export function refusedLogin(reason: string, cause?: unknown): AccessError {
  return new AccessError('refused', 'the log-in was not accepted', { reason, cause });
}

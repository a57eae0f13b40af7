/** What ends or refuses something on a session with the gateway. */

export type SessionErrorCode =
  /** The gateway does not accept this node: revoked, unknown, or its certificate or clock is off. It never says why. */
  | 'unauthenticated'
  /** Not reachable, leaving, or not able to serve just now: try again later. */
  | 'unavailable'
  /** Whoever answered is not this fleet's gateway. */
  | 'untrusted_gateway'
  /** No answer in time. */
  | 'timeout'
  /** An authentic request that the gateway does not serve; `reason` says why. */
  | 'refused'
  /** The gateway broke the protocol, or sent what was not asked for. */
  | 'protocol'
  | 'closed';

export class SessionError extends Error {
  override readonly name = 'SessionError';
  readonly code: SessionErrorCode;
  /** With `refused`: the stable reason, as `QUARANTINED`. */
  readonly reason?: string;
  constructor(code: SessionErrorCode, message: string, options: ErrorOptions & { readonly reason?: string } = {}) {
    super(message, options);
    this.code = code;
    if (options.reason !== undefined) this.reason = options.reason;
  }
}

/** Authentic requests that can't be served: the stream goes on, and the agent learns a stable reason. */

export type RefusalCode =
  | 'QUARANTINED'
  | 'PERMISSION_DENIED'
  | 'INVALID_REPORT'
  | 'INVALID_REQUEST'
  /** The node runs another release than the current one. */
  | 'RELEASE_CHANGED'
  | 'UNIMPLEMENTED'
  | 'UNAVAILABLE'
  | 'INTERNAL';

/** Thrown by handlers; the message goes to the node, the cause to the log only. */
export class RequestRefused extends Error {
  override readonly name = 'RequestRefused';
  readonly code: RefusalCode;
  constructor(code: RefusalCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

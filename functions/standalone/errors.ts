/** Why an embedded control plane can't start; each with its remedy. */

export type StandaloneErrorCode =
  /** The state directory can't be made, read or written, or belongs to somebody else. */
  | 'state_unusable'
  /** Another server runs on it. */
  | 'locked'
  | 'bad_config'
  | 'port_taken'
  | 'no_operator_keys'
  /** An operator key, threshold or name that can't be used. */
  | 'bad_fleet'
  /** The descriptor on disk is not the one that the store and the log know. */
  | 'fleet_altered';

export class StandaloneError extends Error {
  override readonly name = 'StandaloneError';
  readonly code: StandaloneErrorCode;
  readonly hint: string;
  constructor(code: StandaloneErrorCode, message: string, options: ErrorOptions & { readonly hint: string }) {
    super(message, options);
    this.code = code;
    this.hint = options.hint;
  }
}

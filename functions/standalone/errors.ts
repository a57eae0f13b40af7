/** Why an embedded control plane can't start; each with its remedy. */
import { StoreError } from '../../lib/store/port.ts';

export type StandaloneErrorCode =
  /** The state directory can't be made, read or written, or belongs to somebody else. */
  | 'state_unusable'
  /** The disk has no room for what has to be durable before the server serves. */
  | 'disk_full'
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

/** What the store or the audit log could not do at the start, in words of the start; anything else as it is. */
export function asStandaloneError(error: unknown): unknown {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof StandaloneError) return error;
    if (!(cause instanceof StoreError)) continue;
    if (cause.code !== 'full' && cause.code !== 'read_only') return error;
    return cause.code === 'full'
      ? new StandaloneError('disk_full', 'the disk of the state directory is full', {
          hint: 'free some space on it, then start again: nothing that was acknowledged is lost',
          cause: error,
        })
      : new StandaloneError('state_unusable', 'the store of the state directory can’t be written', {
          hint: 'give this account read and write permission on it, then start again',
          cause: error,
        });
  }
  return error;
}

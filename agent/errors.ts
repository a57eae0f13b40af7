/** What the agent can fail with as a whole; a resource that fails is a result of the run, not one of these. */

export type AgentErrorCode =
  /** This machine was never joined to a fleet. */
  | 'not_joined'
  /** Somebody else could read or change the state directory. */
  | 'loose_permissions'
  /** A file of the state directory is not what the agent wrote. */
  | 'bad_state'
  /** The state directory can't be written: a full disk, or a right that is missing. What it held, it still holds. */
  | 'state_unwritable'
  /** Another run is under way on this machine. */
  | 'busy'
  /** The held release is past its expiry, so it's no longer applied. */
  | 'expired_release'
  /** A release, or a part of one, that doesn't verify. Never applied. */
  | 'bad_release'
  /** The control plane can't be reached. */
  | 'unreachable'
  /** The control plane refuses this node. */
  | 'refused'
  /** A step of an installation failed; the others stand. */
  | 'not_installed'
  /** A command line or an option that makes no sense. */
  | 'usage';

/** The one error of the agent: what went wrong, and (`hint`) what to do about it. */
export class AgentError extends Error {
  override readonly name = 'AgentError';
  readonly code: AgentErrorCode;
  readonly hint: string | undefined;

  constructor(code: AgentErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

/** The code of a Node system error, as `ENOENT`; undefined for anything else. */
export function systemCode(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return undefined;
}

/** The text of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What a failed write to the state directory means, with its remedy; anything else stays as it is. */
export function fromStateWrite(error: unknown, path: string): unknown {
  switch (systemCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new AgentError(
        'state_unwritable',
        `the disk that holds ${path} is full; nothing that stood there is lost`,
        {
          hint: 'free some space on it, then try again: that is safe',
          cause: error,
        },
      );
    case 'EROFS':
    case 'EACCES':
    case 'EPERM':
      return new AgentError('state_unwritable', `${path} can’t be written (${systemCode(error)})`, {
        hint: 'give the agent’s account write permission on its state directory, then try again: that is safe',
        cause: error,
      });
    default:
      return error;
  }
}

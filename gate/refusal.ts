/** How a loader ends when something does not prove itself: one coded line on standard error, and exit 78. */
import { writeSync } from 'node:fs';
import { ArtifactError, type ArtifactErrorCode } from '../lib/artifacts/errors.ts';

/** EX_CONFIG of sysexits.h: what is installed here can't run. */
export const exitRefused = 78;

/** `surroundings`: options or variables that put code into the process could not be taken away. `bypassed`: a program was started without its
 * loader. `failed`: the gate itself broke. */
export type GateCode = ArtifactErrorCode | 'surroundings' | 'bypassed' | 'failed';

export class GateError extends Error {
  override readonly name = 'GateError';
  readonly code: GateCode;
  constructor(code: GateCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Never returns. */
export function refuse(error: unknown): never {
  // Not process.stderr: a pipe may take it only after the process is gone.
  try {
    writeSync(2, `${refusalLine(error)}\n`);
  } catch {
    // Nobody listens; the exit code says it too.
  }
  process.exit(exitRefused);
}

export function refusalLine(error: unknown): string {
  const known = error instanceof GateError || error instanceof ArtifactError;
  const code: GateCode = known ? error.code : 'failed';
  const said = (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').slice(0, 400);
  return `HOLDFAST_GATE_${code.toUpperCase()}: nothing was started: ${said}; ${remedy(code)}`;
}

function remedy(code: GateCode): string {
  switch (code) {
    case 'expired':
      return 'install a newer release';
    case 'wrong_platform':
      return 'install the release for this platform';
    case 'surroundings':
      return 'start it without them';
    case 'bypassed':
      return 'start it by its command (holdfast, holdfast-agent, npm start)';
    case 'missing':
    case 'malformed':
    case 'altered':
    case 'wrong_key':
    case 'too_few_signers':
    case 'wrong_artifact':
    case 'not_next':
    case 'file_missing':
    case 'file_altered':
    case 'file_extra':
    case 'file_symlink':
    case 'file_irregular':
    case 'file_changed':
    case 'file_unreadable':
    case 'failed':
      return 'find out who changed it, then install the release again (in a checkout: remove the build, which is in the path)';
    default:
      return code satisfies never;
  }
}

/** Why a build was not taken. The reasons go to the control plane and into its audit log, so they never change meaning. */
import type { ManifestErrorCode } from '../../lib/artifacts/errors.ts';

/**
 * - Those about a manifest: it does not prove itself.
 * - `not_one_file`, `not_installed`: this agent can't replace itself, whatever is offered.
 * - `not_offered`: the manifest is good, and is not that of the build that was announced.
 * - `older`: a lower version than one that ever ran here. `same_version`: other bytes of one that did.
 * - `failed_before`: this very build was started here, in this rollout, and did not prove itself.
 * - `too_large`: larger than any agent. `truncated`, `tampered`: the bytes are not those that were signed.
 * - `no_space`, `disk`: they could not be written.
 */
export type UpdateErrorCode =
  | ManifestErrorCode
  | 'not_one_file'
  | 'not_installed'
  | 'not_offered'
  | 'older'
  | 'same_version'
  | 'failed_before'
  | 'too_large'
  | 'truncated'
  | 'tampered'
  | 'no_space'
  | 'disk';

export class UpdateError extends Error {
  override readonly name = 'UpdateError';
  readonly code: UpdateErrorCode;
  constructor(code: UpdateErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** What can go wrong in the policy domain, as one error with a closed set of codes. */

import type { Problem } from './problem.ts';

export type PolicyErrorCode =
  /** Outside its format: YAML, a manifest, a crate, a stored release. */
  | 'malformed'
  /** The policy directory is missing, empty or unreadable. */
  | 'unreadable'
  /** The policy was read, and has errors; `problems` holds them all. */
  | 'invalid_policy'
  /** The trust root, or the release that is already held, is not usable: nothing can be verified against it. */
  | 'bad_trust'
  | 'unsigned'
  | 'too_many_signatures'
  /** A signature that does not verify over these bytes. */
  | 'bad_signature'
  /** A signature made for another purpose than a release. */
  | 'wrong_namespace'
  /** Every signature is by a key outside the trust root. */
  | 'unknown_signer'
  /** Fewer distinct trusted signers than the threshold. */
  | 'too_few_signers'
  | 'wrong_fleet'
  /** A lower number than the release that is held. */
  | 'rollback'
  /** The number of the release that is held, with other bytes. */
  | 'equivocation'
  /** The next number, but not the successor of the release that is held. */
  | 'broken_chain'
  | 'expired'
  /** Created further in the future than clocks may differ. */
  | 'not_yet_valid'
  /** Bytes that are not the ones the digest names. */
  | 'altered_blob'
  /** The release names a blob that was not uploaded. */
  | 'missing_blob'
  /** Resources that depend on each other in a circle. */
  | 'cycle'
  /** Not the number that follows the current release. */
  | 'number_gap'
  /** A rollback whose content is not that of the release it claims to restore. */
  | 'not_a_rollback'
  | 'unknown_release'
  /** A reference to a secret that does not exist. */
  | 'unknown_secret'
  /** The release needs secrets, and the provider can't be asked whether they exist. */
  | 'secrets_unavailable'
  /** No release is published until somebody thaws. */
  | 'frozen'
  | 'not_frozen'
  /** Another release was published at the same time. */
  | 'conflict';

export type PolicyErrorOptions = ErrorOptions & {
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
  /** From 1. */
  readonly column?: number;
  /** What to do about it. */
  readonly hint?: string;
  readonly problems?: readonly Problem[];
};

export class PolicyError extends Error {
  override readonly name = 'PolicyError';
  readonly code: PolicyErrorCode;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  readonly hint?: string;
  readonly problems?: readonly Problem[];
  constructor(code: PolicyErrorCode, message: string, options: PolicyErrorOptions = {}) {
    super(message, options);
    this.code = code;
    if (options.file !== undefined) this.file = options.file;
    if (options.line !== undefined) this.line = options.line;
    if (options.column !== undefined) this.column = options.column;
    if (options.hint !== undefined) this.hint = options.hint;
    if (options.problems !== undefined) this.problems = options.problems;
  }
}

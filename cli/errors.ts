/** What the command fails with: an exit code, what went wrong, and what to do about it. */

/** Documented in `holdfast --help`; scripts branch on them, so they never change meaning. */
export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  refused: 3,
  unreachable: 4,
  verification: 5,
} as const;

export type ExitName = Exclude<keyof typeof exitCodes, 'ok'>;

/** `message` is the cause in one sentence, `hint` the remedy, `details` further lines such as places in files. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exit: ExitName;
  readonly hint: string | undefined;
  readonly details: readonly string[];
  constructor(
    exit: ExitName,
    message: string,
    options: ErrorOptions & { readonly hint?: string | undefined; readonly details?: readonly string[] } = {},
  ) {
    super(message, options);
    this.exit = exit;
    this.hint = options.hint;
    this.details = options.details ?? [];
  }
}

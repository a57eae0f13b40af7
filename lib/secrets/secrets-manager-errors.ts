/**
 * What Secrets Manager refuses, in terms of secrets. Its messages may quote what was sent (a validation error shows the
 * value that it did not like), so neither they nor the errors that carry them leave this file.
 */
import { SecretsError } from './errors.ts';

/** The answer, or the name of a refusal that the caller expects. Throws `SecretsError` `unavailable` for any other. */
export async function requestOf<T>(
  send: () => Promise<T>,
  expected: readonly string[] = [],
): Promise<{ readonly result: T; readonly refused?: never } | { readonly result?: never; readonly refused: string }> {
  try {
    return { result: await send() };
  } catch (error) {
    if (error instanceof SecretsError) throw error;
    const { name, $metadata } = error as {
      name?: unknown;
      $metadata?: { httpStatusCode?: number; requestId?: string };
    };
    const refused = typeof name === 'string' && /^[A-Za-z]{1,80}$/.test(name) ? name : 'unknown error';
    if (expected.includes(refused)) return { refused };
    const request = $metadata?.requestId === undefined ? '' : `, request ${$metadata.requestId}`;
    throw new SecretsError('unavailable', `Secrets Manager did not do it (${refused}${request})`, {
      ...(hints[refused] === undefined ? {} : { hint: hints[refused] }),
    });
  }
}

const hints: { readonly [name: string]: string } = {
  ThrottlingException: 'It is asked too often; try again later.',
  AccessDeniedException: 'The role of this function does not allow it: see docs/aws.md.',
  DecryptionFailure: 'The customer key is disabled, or its policy does not allow this role.',
  EncryptionFailure: 'The customer key is disabled, or its policy does not allow this role.',
  LimitExceededException: 'The account has as many secrets as it may: delete some, or ask AWS for more.',
};

/** What an error of the AWS SDK means for the store, above all whether a write may stand. */
import type { CancellationReason } from '@aws-sdk/client-dynamodb';
import { StoreError } from './port.ts';

/** `refused` has one reason per write. `running`: the first request with this token is still under way. */
export type WriteFailure =
  | { readonly kind: 'refused'; readonly reasons: readonly CancellationReason[] }
  | { readonly kind: 'conflict' | 'unavailable' | 'invalid' | 'running' | 'unknown' };

/** Nothing was written, and it is worth trying again a little later. */
const throttled: ReadonlySet<string> = new Set([
  'ThrottlingException',
  'ThrottlingError',
  'ProvisionedThroughputExceededException',
  'ProvisionedThroughputExceeded',
  'RequestLimitExceeded',
  'LimitExceededException',
]);

/** No connection came about, so nothing was sent. `ECONNRESET` and its like are not here: they come after it, too. */
const notSent: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'CredentialsProviderError',
]);

type SdkError = {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly CancellationReasons?: readonly CancellationReason[];
  readonly Item?: CancellationReason['Item'];
  readonly $metadata?: { readonly httpStatusCode?: number };
};

/** Whatever is not known to have been refused may have been done. */
export function classifyWriteError(error: unknown): WriteFailure {
  const { name, code, message, CancellationReasons, Item } = error as SdkError;
  const named = String(name);
  if (named === 'TransactionCanceledException') return classifyReasons(CancellationReasons ?? []);
  if (named === 'ConditionalCheckFailedException') {
    return { kind: 'refused', reasons: [{ Code: 'ConditionalCheckFailed', ...(Item && { Item }) }] };
  }
  if (named === 'TransactionConflictException') return { kind: 'conflict' };
  if (named === 'TransactionInProgressException') return { kind: 'running' };
  if (throttled.has(named) || notSent.has(named) || notSent.has(String(code))) return { kind: 'unavailable' };
  // The SDK gives its two time-outs one name; with the wording gone, the outcome would count as unknown.
  if (named === 'TimeoutError' && /establish a connection/.test(String(message))) return { kind: 'unavailable' };
  const status = (error as SdkError).$metadata?.httpStatusCode ?? 0;
  if (status >= 400 && status < 500) {
    const refused = named === 'ValidationException' || named === 'ItemCollectionSizeLimitExceededException';
    // Everything else that the service refuses is ours to set up: a table, a permission, a clock.
    return { kind: refused ? 'invalid' : 'unavailable' };
  }
  return { kind: 'unknown' };
}

/**
 * API reference, "TransactionCanceledException": one reason per write, `None` for those that had none. A transaction
 * that met another one is a conflict even if conditions failed as well, since those may not have been judged for all.
 */
function classifyReasons(reasons: readonly CancellationReason[]): WriteFailure {
  const codes = reasons.map(({ Code }) => Code ?? 'None');
  if (codes.includes('ValidationError') || codes.includes('ItemCollectionSizeLimitExceeded'))
    return { kind: 'invalid' };
  if (codes.includes('TransactionConflict')) return { kind: 'conflict' };
  if (codes.some((code) => throttled.has(code))) return { kind: 'unavailable' };
  if (codes.includes('ConditionalCheckFailed')) return { kind: 'refused', reasons };
  // A reason that this program does not know: cancelled all the same, so nothing was written.
  return { kind: 'unavailable' };
}

export function fromReadError(error: unknown, table: string): StoreError {
  if (error instanceof StoreError) return error;
  const code = String((error as SdkError).name) === 'ValidationException' ? 'invalid' : 'unavailable';
  return describe(code, error, table);
}

/** An error with its cause kept. What AWS says is quoted: it names missing permissions and wrong table names. */
export function describe(
  code: 'conflict' | 'unavailable' | 'invalid' | 'unknown_outcome',
  error: unknown,
  table: string,
): StoreError {
  const { name, message } = error as { name?: unknown; message?: unknown };
  const said = `${String(name)}: ${String(message).slice(0, 300)}`;
  const subject = `DynamoDB table ${JSON.stringify(table)}`;
  switch (code) {
    case 'conflict':
      return new StoreError(code, `${subject}: another transaction touched the same item (${said})`, { cause: error });
    case 'unavailable':
      return new StoreError(code, `${subject} could not be reached or is out of capacity (${said})`, { cause: error });
    case 'invalid':
      return new StoreError(code, `${subject} refused the request (${said})`, { cause: error });
    case 'unknown_outcome':
      return new StoreError(code, `${subject} did not say whether the write stands (${said})`, { cause: error });
    default:
      throw new TypeError(`unknown code: ${JSON.stringify(code satisfies never)}`);
  }
}

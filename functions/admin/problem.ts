/** Problem details (RFC 9457): the one place where anything becomes an HTTP error, and where it is decided what a caller learns. */
import type { Logger } from 'pino';
import { z } from 'zod';
import { AccessError } from '../../lib/access/errors.ts';
import { RolloutError } from '../../lib/artifacts/rollout-errors.ts';
import { AuditError } from '../../lib/audit/port.ts';
import { CryptoError } from '../../lib/crypto/errors.ts';
import { IdentityError } from '../../lib/identity/errors.ts';
import { PolicyError } from '../../lib/policy/errors.ts';
import { SecretsError } from '../../lib/secrets/errors.ts';
import { SiemError } from '../../lib/siem/errors.ts';
import { IntegrityError } from '../../lib/siem/sealed-reader.ts';
import { StoreError } from '../../lib/store/port.ts';
import type { View } from './view.ts';

/** The permanent names of what can go wrong; `type` is `urn:holdfast:problem:<name>`. */
export type ProblemName =
  | 'unauthenticated'
  | 'forbidden'
  | 'not-found'
  | 'method-not-allowed'
  | 'invalid-request'
  | 'too-large'
  | 'headers-too-large'
  | 'too-slow'
  | 'unsupported-media-type'
  | 'conflict'
  | 'precondition-failed'
  | 'precondition-required'
  | 'too-many-requests'
  | 'refused'
  | 'unavailable'
  | 'internal';

export const statuses: Record<ProblemName, { readonly status: number; readonly title: string }> = {
  unauthenticated: { status: 401, title: 'Authentication is required' },
  forbidden: { status: 403, title: 'Not permitted' },
  'not-found': { status: 404, title: 'Not found' },
  'method-not-allowed': { status: 405, title: 'Method not allowed' },
  'invalid-request': { status: 400, title: 'The request is not valid' },
  'too-large': { status: 413, title: 'The request is too large' },
  'headers-too-large': { status: 431, title: 'The head of the request is too large' },
  'too-slow': { status: 408, title: 'The request did not come in time' },
  'unsupported-media-type': { status: 415, title: 'The media type is not supported' },
  conflict: { status: 409, title: 'The request conflicts with the present state' },
  'precondition-failed': { status: 412, title: 'It was changed since you saw it' },
  'precondition-required': { status: 428, title: 'The request must say which revision it changes' },
  'too-many-requests': { status: 429, title: 'Too many requests' },
  refused: { status: 422, title: 'Refused' },
  unavailable: { status: 503, title: 'Not available at the moment' },
  internal: { status: 500, title: 'Internal error' },
};

/** As it goes over the wire. */
export const problemDetails = z
  .strictObject({
    type: z.enum(Object.keys(statuses).map((name) => `urn:holdfast:problem:${name as ProblemName}` as const)),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string().optional(),
    reason: z.string().optional().meta({ description: 'The stable code of what refused, where there is one.' }),
  })
  .meta({ id: 'Problem' });
export type ProblemDetails = View<typeof problemDetails>;

/** Thrown by routes. `detail` is shown to the caller, `cause` never. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly problem: ProblemName;
  readonly reason: string | undefined;
  readonly retryAfterMs: number | undefined;
  constructor(
    problem: ProblemName,
    detail: string,
    options?: ErrorOptions & { readonly reason?: string; readonly retryAfterMs?: number | undefined },
  ) {
    // A refusal says where it was made by what it says; a stack trace would be most of its cost in a flood.
    const { stackTraceLimit } = Error;
    if (problem === 'unauthenticated') Error.stackTraceLimit = 0;
    super(detail, options);
    Error.stackTraceLimit = stackTraceLimit;
    this.problem = problem;
    this.reason = options?.reason;
    this.retryAfterMs = options?.retryAfterMs;
  }
}

/** Turns whatever was thrown into a response. What is nobody's fault but ours is logged and shown without detail. */
export function problemResponse(error: unknown, logger: Logger): Response {
  const problem = toProblem(error);
  if (problem.problem === 'internal') logger.error({ err: error }, 'a route failed');
  else if (problem.problem === 'unavailable') logger.warn({ err: error }, 'a route was refused for want of a resource');
  const { status, headers, body } = problemMessage(problem);
  return new Response(body, { status, headers });
}

/** A problem as the parts of an HTTP message. */
export function problemMessage(problem: Problem): {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
} {
  const { status, title } = statuses[problem.problem];
  const details: ProblemDetails = {
    type: `urn:holdfast:problem:${problem.problem}`,
    title,
    status,
    ...(problem.message === '' ? {} : { detail: problem.message }),
    ...(problem.reason === undefined ? {} : { reason: problem.reason }),
  };
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' };
  // RFC 9110 §11.6.1: a 401 names the scheme.
  if (status === 401) headers['www-authenticate'] = 'Bearer realm="holdfast"';
  // RFC 9110 §10.2.3: whole seconds.
  if (problem.retryAfterMs !== undefined) headers['retry-after'] = String(Math.ceil(problem.retryAfterMs / 1000));
  return { status, headers, body: JSON.stringify(details) };
}

/** What stands in the place of an answer when what came is no request (RFC 9112), or more of one than is read. */
export function unreadableRequest(status: 400 | 408 | 431): ReturnType<typeof problemMessage> {
  switch (status) {
    case 400:
      return problemMessage(new Problem('invalid-request', 'this is not a request of HTTP/1.1'));
    case 408:
      return problemMessage(new Problem('too-slow', 'the request was not whole in time'));
    case 431:
      return problemMessage(
        new Problem('headers-too-large', 'a request line and its header fields have 16 KiB at most'),
      );
    default:
      return status satisfies never;
  }
}

export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof StoreError) return fromStore(error);
  if (error instanceof AuditError) return fromAudit(error);
  if (error instanceof IdentityError) return fromIdentity(error);
  // Each refusal of a release is a word of its own, and none tells more than the operator's own policy check would.
  if (error instanceof PolicyError)
    return new Problem('refused', error.hint === undefined ? error.message : `${error.message}. ${error.hint}`, {
      cause: error,
      reason: error.code,
    });
  if (error instanceof RolloutError) return fromRollout(error);
  if (error instanceof SecretsError) return fromSecrets(error);
  if (error instanceof SiemError) return fromSiem(error);
  if (error instanceof IntegrityError)
    return new Problem('unavailable', 'the log is not what was sealed, so it is not shown', {
      cause: error,
      reason: 'integrity',
    });
  if (error instanceof CryptoError) return new Problem('invalid-request', error.message, { reason: error.code });
  if (error instanceof AccessError) return fromAccess(error);
  return new Problem('internal', '', { cause: error });
}

function fromRollout(error: RolloutError): Problem {
  const options = { cause: error, reason: error.reason };
  switch (error.code) {
    case 'unknown_build':
    case 'unknown_ring':
      return new Problem('not-found', error.message, options);
    case 'exists':
    case 'conflict':
      return new Problem('conflict', error.message, options);
    case 'bad_ring':
      return new Problem('invalid-request', error.message, options);
    case 'no_keys':
    case 'refused':
    case 'missing_part':
    case 'too_large':
      return new Problem('refused', error.message, options);
    default:
      return error.code satisfies never;
  }
}

function fromAccess(error: AccessError): Problem {
  const options = { cause: error, retryAfterMs: error.retryAfterMs };
  switch (error.code) {
    case 'malformed':
      return new Problem('invalid-request', error.message, options);
    // The reason is for the audit log alone: who asks must not learn whether it was the name or the proof.
    case 'refused':
      return new Problem('unauthenticated', error.message, options);
    case 'throttled':
      return new Problem('too-many-requests', error.message, options);
    case 'not_found':
      return new Problem('not-found', error.message, options);
    case 'exists':
    case 'conflict':
      return new Problem('conflict', error.message, { ...options, reason: error.code });
    case 'not_permitted':
      return new Problem('forbidden', error.message, { ...options, reason: error.code });
    case 'unavailable':
      return new Problem('unavailable', error.message, options);
    case 'missing':
    case 'loose_permissions':
      return new Problem('internal', '', { cause: error });
    default:
      return error.code satisfies never;
  }
}

function fromIdentity(error: IdentityError): Problem {
  const options = { cause: error, reason: error.code };
  switch (error.code) {
    case 'malformed':
      return new Problem('invalid-request', error.message, options);
    case 'not_found':
      return new Problem('not-found', error.message, options);
    case 'refused':
    case 'revoked':
    case 'not_open':
      return new Problem('refused', error.message, options);
    default:
      return error.code satisfies never;
  }
}

/** No message of this domain quotes a value. */
function fromSecrets(error: SecretsError): Problem {
  const text = error.hint === undefined ? error.message : `${error.message}. ${error.hint}`;
  const options = { cause: error, reason: error.code };
  switch (error.code) {
    case 'not_found':
      return new Problem('not-found', text, options);
    case 'bad_reference':
    case 'bad_value':
    case 'misplaced':
    case 'not_supported':
      return new Problem('invalid-request', text, options);
    case 'not_open':
      return new Problem('conflict', text, options);
    case 'second_person':
      return new Problem('refused', text, options);
    case 'unavailable':
    case 'loose_permissions':
    case 'not_authentic':
      return new Problem('unavailable', text, options);
    default:
      return error.code satisfies never;
  }
}

/** Whoever operates the server can mend these, so they are told apart. */
const cannotWrite = {
  full: 'the disk of the control plane is full, so nothing was done: free some space on it, then try again',
  read_only:
    'the control plane may not write to its own disk, so nothing was done: give it back that right, then try again',
} as const;

function fromSiem(error: SiemError): Problem {
  const text = error.hint === undefined ? error.message : `${error.message}. ${error.hint}`;
  const options = { cause: error, reason: error.code };
  switch (error.code) {
    case 'not_found':
      return new Problem('not-found', text, options);
    case 'exists':
    case 'conflict':
      return new Problem('conflict', text, options);
    case 'not_possible':
    case 'too_many':
      return new Problem('refused', text, options);
    case 'corrupt':
      return new Problem('internal', '', { cause: error });
    default:
      return error.code satisfies never;
  }
}

function fromStore(error: StoreError): Problem {
  switch (error.code) {
    case 'conflict':
      return new Problem('conflict', 'somebody else changed the same thing at the same time; try again', {
        cause: error,
      });
    case 'full':
    case 'read_only':
      return new Problem('unavailable', cannotWrite[error.code], { cause: error, reason: error.code });
    case 'unavailable':
    case 'unknown_outcome':
    case 'closed':
      return new Problem('unavailable', 'the store did not accept the operation', { cause: error, reason: error.code });
    case 'invalid':
    case 'corrupt':
    case 'feed_expired':
      return new Problem('internal', '', { cause: error });
    default:
      return error.code satisfies never;
  }
}

function fromAudit(error: AuditError): Problem {
  switch (error.code) {
    // No operation without its entry: when the log can't take it, the operation did not happen.
    case 'unavailable':
      if (error.cause instanceof StoreError && (error.cause.code === 'full' || error.cause.code === 'read_only'))
        return fromStore(error.cause);
      return new Problem('unavailable', 'the audit log did not accept the entry, so nothing was done', {
        cause: error,
        reason: 'audit_unavailable',
      });
    case 'unsealed':
      return new Problem('unavailable', 'it was done, but the audit log has not signed its entry yet', {
        cause: error,
        reason: 'audit_unsealed',
      });
    case 'missing':
      return new Problem('not-found', error.message, { cause: error });
    case 'invalid':
    case 'malformed':
    case 'not_authentic':
    case 'corrupt':
      return new Problem('internal', '', { cause: error });
    default:
      return error.code satisfies never;
  }
}

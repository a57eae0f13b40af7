/**
 * Errors on this service's wire: problem details (RFC 9457) with stable types. The one place that decides what a caller
 * may learn of an error; causes and stacks are never sent.
 */
import { AuditError } from '../../lib/audit/port.ts';
import { IdentityError } from '../../lib/identity/errors.ts';
import { StoreError } from '../../lib/store/port.ts';

export type Problem = {
  readonly status: 400 | 403 | 404 | 413 | 415 | 429 | 500 | 503;
  readonly type: `urn:holdfast:problem:${string}`;
  readonly title: string;
  readonly detail?: string;
};

export const notFound: Problem = {
  status: 404,
  type: 'urn:holdfast:problem:not-found',
  title: 'There is nothing here.',
};
export const tooLarge: Problem = {
  status: 413,
  type: 'urn:holdfast:problem:too-large',
  title: 'The request is longer than 16 KiB.',
};
export const wrongMediaType: Problem = {
  status: 415,
  type: 'urn:holdfast:problem:media-type',
  title: 'The request must be application/json.',
};
export const tooMany: Problem = {
  status: 429,
  type: 'urn:holdfast:problem:too-many-requests',
  title: 'There were too many requests from this address. Try again in a minute.',
};

export function problemOf(error: unknown): Problem {
  if (error instanceof IdentityError && error.code === 'refused') {
    return { status: 403, type: 'urn:holdfast:problem:refused', title: error.message };
  }
  if (error instanceof IdentityError && error.code === 'malformed') {
    return {
      status: 400,
      type: 'urn:holdfast:problem:malformed',
      title: 'The request is malformed.',
      detail: error.message,
    };
  }
  if (error instanceof AuditError || error instanceof StoreError) {
    return {
      status: 503,
      type: 'urn:holdfast:problem:unavailable',
      title: 'The service can not record the request now, so it does not serve it. Try again: that is safe.',
    };
  }
  return { status: 500, type: 'urn:holdfast:problem:internal', title: 'The service failed. Try again: that is safe.' };
}

export function problemResponse(problem: Problem): Response {
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store' },
  });
}

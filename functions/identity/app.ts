/**
 * The identity service's HTTP: the fleet descriptor, enrollment and renewal. These three routes are all that anybody
 * reaches without a certificate or a session, and each proves itself in its body.
 */
import { getConnInfo } from '@hono/node-server/conninfo';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { Logger } from 'pino';
import { type EnrollAnswer, formatEnrollAnswer } from '../../lib/identity/answer.ts';
import { enroll } from '../../lib/identity/enroll.ts';
import { maxEnvelopeBytes } from '../../lib/identity/envelope.ts';
import type { IssuanceDeps } from '../../lib/identity/issuance.ts';
import { renew } from '../../lib/identity/renew.ts';
import { notFound, problemOf, problemResponse, tooLarge, tooMany, wrongMediaType } from './problem.ts';
import { createRateLimiter, type RateLimit } from './rate-limit.ts';

export type IdentityAppDeps = IssuanceDeps & {
  /** The fleet descriptor's bytes, exactly as pinned. */
  readonly descriptor: Uint8Array;
  readonly logger: Pick<Logger, 'error'>;
  readonly rateLimit?: RateLimit;
  /** Where a request comes from, for the limit on load alone. The peer's address unless told. */
  readonly source?: (context: Context) => string;
};

export function createIdentityApp(deps: IdentityAppDeps): Hono {
  const admits = createRateLimiter(deps.now, deps.rateLimit);
  const source = deps.source ?? peerAddress;
  const app = new Hono();

  app.use('/v1/*', async (c, next) => (admits(source(c)) ? next() : problemResponse(tooMany)));
  app.use('/v1/*', bodyLimit({ maxSize: maxEnvelopeBytes, onError: () => problemResponse(tooLarge) }));

  app.get('/v1/fleet', () => json(deps.descriptor));
  app.post('/v1/enroll', (c) => answer(c, (body) => enroll(deps, body)));
  app.post('/v1/renew', (c) => answer(c, (body) => renew(deps, body)));

  app.notFound(() => problemResponse(notFound));
  app.onError((error) => {
    const problem = problemOf(error);
    if (problem.status >= 500) deps.logger.error({ err: error }, 'A request to the identity service failed');
    return problemResponse(problem);
  });
  return app;
}

async function answer(c: Context, serve: (body: Uint8Array) => Promise<EnrollAnswer>): Promise<Response> {
  if (c.req.header('content-type') !== 'application/json') return problemResponse(wrongMediaType);
  const body = new Uint8Array(await c.req.arrayBuffer());
  return json(formatEnrollAnswer(await serve(body)));
}

function json(bytes: Uint8Array): Response {
  return new Response(new Uint8Array(bytes), {
    headers: {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    },
  });
}

function peerAddress(c: Context): string {
  return getConnInfo(c).remote.address ?? 'unknown';
}

/** The open routes of a log-in: which method, begin, finish, and the way back from an identity provider. */
import { z } from 'zod';
import { isSameOrigin } from '../../../lib/access/csrf.ts';
import { AccessError } from '../../../lib/access/errors.ts';
import { finishLogin, type LoginResult } from '../../../lib/access/login.ts';
import type { Provider } from '../../../lib/access/provider.ts';
import { createRateLimiter, type RateLimit } from '../../../lib/access/rate-limit.ts';
import type { SessionDeps, Transport } from '../../../lib/access/sessions.ts';
import { clearedCookie, formatLoginCookie, formatSessionCookie, readCookies } from '../cookies.ts';
import { type OpenRoute, openRoute } from '../open-route.ts';
import { Problem } from '../problem.ts';
import { count, role, time, type View } from '../view.ts';
import { isoTime } from './page.ts';

export type LoginRouteDeps = SessionDeps & {
  readonly provider: Provider;
  /** Where a request comes from: for the limit on load alone. */
  readonly source: (environment: unknown) => string;
  readonly rateLimit?: RateLimit;
};

/** A log-in costs a slow hash or a call to somebody else's server. */
const defaultRateLimit: RateLimit = { burst: 100, perSecond: 10, maxKeys: 10_000 };

export type LoginFacts = { readonly method: string; readonly [fact: string]: string };

const loginAnswer = z
  .strictObject({
    user: z.string(),
    role,
    expires: time,
    session: z.string().optional(),
  })
  .meta({ id: 'LoggedIn', description: '`session` is for a client that keeps it itself; a browser gets a cookie.' });
/** For a client that keeps the session itself; a browser gets a cookie instead, and no secret in the answer. */
export type LoginAnswer = View<typeof loginAnswer>;

const pendingAnswer = z.strictObject({ pending: z.literal(true), retryAfterMs: count });

const transport = z.enum(['cookie', 'bearer']).default('cookie');

export function loginRoutes(deps: LoginRouteDeps): OpenRoute[] {
  const { provider } = deps;
  const waitFor = createRateLimiter(deps.now, deps.rateLimit ?? defaultRateLimit);
  const requireRate = (environment: unknown) => {
    const retryAfterMs = waitFor(deps.source(environment));
    if (retryAfterMs > 0)
      throw new Problem('too-many-requests', 'too many log-ins from this address; wait a little', { retryAfterMs });
  };

  return [
    openRoute({
      method: 'GET',
      path: '/v1/login',
      answer: factsSchema(provider),
      handler: async () => ({ ...provider.facts, method: provider.method }),
    }),
    openRoute({
      method: 'POST',
      path: '/v1/login/begin',
      schema: { body: z.strictObject({ transport, input: provider.beginSchema }) },
      answer: begunSchema(provider),
      handler: async ({ body, request, environment }) => {
        requireOwnPage(body.transport, request);
        requireRate(environment);
        const { loginId, expiresAt, answer } = await provider.begin(body.input);
        const expires = expiresAt === undefined ? {} : { expires: isoTime(expiresAt) };
        if (loginId === undefined) return { ...answer, ...expires };
        if (body.transport === 'bearer') return { ...answer, ...expires, login: loginId };
        const cookie = formatLoginCookie(loginId, (expiresAt ?? 0) - deps.now());
        return Response.json({ ...answer, ...expires }, { headers: { 'set-cookie': cookie } });
      },
    }),
    openRoute({
      method: 'POST',
      path: '/v1/login/finish',
      schema: {
        body: z.strictObject({ transport, login: z.string().max(100).optional(), input: provider.finishSchema }),
      },
      answer: z.union([loginAnswer, pendingAnswer]),
      handler: async ({ body, request, environment }) => {
        requireOwnPage(body.transport, request);
        requireRate(environment);
        // Each transport has its own place for the id: one that was begun in a browser is finished in that browser.
        const loginId = body.transport === 'bearer' ? body.login : readCookies(request.headers.get('cookie')).login;
        const attempt = { input: body.input, loginId, transport: body.transport };
        return answerLogin(await finishLogin(deps, attempt), body.transport);
      },
    }),
    openRoute({
      method: 'GET',
      path: '/v1/login/callback',
      produces: 'none',
      schema: { query: z.record(z.string(), z.string()) },
      handler: async ({ query, request, environment }) => {
        requireRate(environment);
        return answerCallback(deps, query, request);
      },
    }),
  ];
}

function factsSchema({ method, facts }: Provider) {
  const others = Object.fromEntries(Object.keys(facts).map((name) => [name, z.string()]));
  return z.strictObject({ ...others, method: z.literal(method) });
}

/** `login`: the id of the log-in, where the client keeps it itself. */
function begunSchema({ begunSchemas }: Provider): z.ZodType<object> {
  return z.union(begunSchemas.map((each) => each.extend({ expires: time.optional(), login: z.string().optional() })));
}

/** Back from the identity provider, by a redirect that another site caused: state and cookie tell whether we began it. */
async function answerCallback(
  deps: LoginRouteDeps,
  query: Record<string, string>,
  request: Request,
): Promise<Response> {
  if (deps.provider.method !== 'oidc') throw new Problem('not-found', 'this server does not log in by redirects');
  const input = deps.provider.finishSchema.safeParse(query);
  const loginId = readCookies(request.headers.get('cookie')).login;
  try {
    if (!input.success || 'deviceCode' in query) throw new AccessError('refused', 'the log-in was not accepted');
    const result = await finishLogin(deps, { input: input.data, loginId, transport: 'cookie' });
    const answer = answerLogin(result, 'cookie');
    const headers = answer instanceof Response ? new Headers(answer.headers) : new Headers();
    headers.delete('content-type');
    headers.set('location', '/');
    return new Response(null, { status: 303, headers });
  } catch (error) {
    // A person sees the page say so; a program sees the problem itself.
    const isPerson = request.headers.get('accept')?.includes('text/html') === true;
    if (!isPerson || !(error instanceof AccessError)) throw error;
    const headers = { location: '/#refused', 'set-cookie': clearedCookie('login') };
    return new Response(null, { status: 303, headers });
  }
}

function answerLogin(result: LoginResult, by: Transport): LoginAnswer | View<typeof pendingAnswer> | Response {
  if (result.kind === 'pending') return { pending: true, retryAfterMs: result.retryAfterMs };
  const { user, id, expiresAt, maxAgeMs } = result;
  const answer: LoginAnswer = { user: user.name, role: user.role, expires: isoTime(expiresAt) };
  if (by === 'bearer') return { ...answer, session: id } satisfies LoginAnswer;
  const headers = new Headers();
  headers.append('set-cookie', formatSessionCookie(id, maxAgeMs));
  headers.append('set-cookie', clearedCookie('login'));
  return Response.json(answer, { headers });
}

/** Another site must not log its visitor in as somebody else: a cookie is set for our own page only. */
function requireOwnPage(by: Transport, request: Request): void {
  if (by === 'bearer' ? request.headers.has('cookie') : !isSameOrigin(request.headers, new URL(request.url).origin))
    throw new Problem('forbidden', 'the request did not come from the page of this server', { reason: 'csrf' });
}

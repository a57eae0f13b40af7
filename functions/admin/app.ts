/** The admin API: every route from one table, authentication before anything else, deny by default. */
import { Hono } from 'hono';
import type { Logger } from 'pino';
import { z } from 'zod';
import { chargeBadCredential, type Wait } from './bad-credentials.ts';
import { readBytes, readJson } from './body.ts';
import { createGuard, type Guard, type GuardDeps } from './guard.ts';
import { type IdempotencyDeps, onceOnly } from './idempotency.ts';
import { type OpenRoute, openPaths, openRoute } from './open-route.ts';
import { openApiRoute } from './openapi.ts';
import { Problem, problemResponse } from './problem.ts';
import type { Route } from './route.ts';

type AdminAppDeps = GuardDeps & IdempotencyDeps & { readonly logger: Logger; readonly wait?: Wait };

const securityHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  // RFC 6797 §6.1.
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;

/** Whether the process answers. */
export const livez = openRoute({
  method: 'GET',
  path: '/livez',
  answer: z.strictObject({ status: z.literal('ok') }),
  handler: async () => ({ status: 'ok' as const }),
});

/** Without one nothing was looked up, and a stranger who knocks needs no waiting. */
function triesCredential({ headers, url }: Request): boolean {
  return headers.has('authorization') || headers.has('cookie') || new URL(url).pathname.startsWith('/v1/login');
}

/** Mounts `routes`, and what is open to anybody. Needs no server: `app.fetch(request)` answers. */
export function createAdminApp(deps: AdminAppDeps, routes: readonly Route[], open: readonly OpenRoute[] = []): Hono {
  const guard = createGuard(deps);
  const app = new Hono();
  app.use(async (context, next) => {
    await next();
    // A page brings a policy of its own, stricter than none and reviewed with it.
    for (const [name, value] of Object.entries(securityHeaders))
      if (!context.res.headers.has(name)) context.res.headers.set(name, value);
  });
  app.onError(async (error, context) => {
    const response = problemResponse(error, deps.logger);
    const isBad = response.status === 401 && triesCredential(context.req.raw);
    if (isBad && (await chargeBadCredential(context.env, deps.wait))) response.headers.set('connection', 'close');
    return response;
  });

  const allOpen = [livez, ...open];
  for (const route of allOpen) {
    if (!openPaths.includes(`${route.method} ${route.path}`))
      throw new TypeError(`${route.method} ${route.path} is not on the reviewed list of open routes`);
    app.on(route.method, route.path, (context) => answerOpen(route, context.req.raw, context.req.param(), context.env));
  }
  const all = [...routes, openApiRoute(routes, allOpen)];
  const methodsOf = methodsByPath([...allOpen, ...all]);
  // Paths without parameters come first, with what they do not answer: a pattern must not speak for them.
  for (const hasParams of [false, true]) {
    const isOfKind = ({ path }: Pick<Route, 'path'>) => path.includes(':') === hasParams;
    for (const route of all.filter(isOfKind))
      app.on(route.method, route.path, (context) => answer(deps, guard, route, context.req.raw, context.req.param()));
    for (const [path, methods] of methodsOf)
      if (isOfKind({ path }))
        app.all(path, async (context) => {
          await guard.identify(context.req.raw, 'unknown');
          return methodNotAllowed(methods, deps.logger);
        });
  }

  // Also for paths that do not exist: who has no credential learns nothing about what is here.
  app.all('*', async (context) => {
    await guard.identify(context.req.raw, 'unknown');
    throw new Problem('not-found', 'there is no such route');
  });
  return app;
}

/** RFC 9110 §15.5.6: a path that is there, asked by a method that is not. */
function methodNotAllowed(methods: readonly string[], logger: Logger): Response {
  const allow = methods.join(', ');
  const response = problemResponse(new Problem('method-not-allowed', `this route answers ${allow}`), logger);
  response.headers.set('allow', allow);
  return response;
}

/** HEAD is GET without a body, and goes with it (RFC 9110 §9.3.2). */
function methodsByPath(all: readonly Pick<Route, 'method' | 'path'>[]): ReadonlyMap<string, readonly string[]> {
  const methods = new Map<string, string[]>();
  for (const { path, method } of all)
    methods.set(path, [...(methods.get(path) ?? []), ...(method === 'GET' ? ['GET', 'HEAD'] : [method])]);
  return methods;
}

async function answer(
  deps: AdminAppDeps,
  guard: Guard,
  route: Route,
  request: Request,
  pathParams: Record<string, string>,
): Promise<Response> {
  const { schema, permission } = route;
  const where = `${route.method} ${route.path}`;
  const admitted = await guard.identify(request, where);
  await guard.admit(request, admitted, permission, where);
  const { caller, csrf } = admitted;
  const params = parseWith(schema?.params, pathParams, 'path');
  const query = parseWith(schema?.query, onceEach(new URL(request.url).searchParams), 'query');
  const isRaw = schema?.maxBytes !== undefined;
  const sent = isRaw ? undefined : schema?.body && (await readJson(request));
  const body = isRaw ? await readBytes(request, schema?.maxBytes ?? 0) : parseWith(schema?.body, sent, 'body');
  const revision = readRevision(request, route);
  const lastEventId = route.resumes === true ? request.headers.get('last-event-id') : null;
  const handle = () =>
    route.handler({
      principal: caller.principal,
      caller,
      params,
      query,
      body,
      ...(revision === undefined ? {} : { revision }),
      ...(lastEventId === null ? {} : { lastEventId }),
      ...(csrf === undefined ? {} : { csrf }),
      signal: request.signal,
      stillAllowed: () => guard.isStillAllowed(request, permission),
    });
  const input = { params: pathParams, query: request.url.split('?')[1], body: sent };
  const result =
    route.method === 'GET' || isRaw ? await handle() : await onceOnly(deps, request, { caller, where, input }, handle);
  return result instanceof Response ? result : Response.json(result);
}

async function answerOpen(
  route: OpenRoute,
  request: Request,
  pathParams: Record<string, string>,
  environment: unknown,
): Promise<Response> {
  const { schema } = route;
  const result = await route.handler({
    params: parseWith(schema?.params, pathParams, 'path'),
    query: parseWith(schema?.query, onceEach(new URL(request.url).searchParams), 'query'),
    body: parseWith(schema?.body, schema?.body && (await readJson(request)), 'body'),
    request,
    environment,
  });
  return result instanceof Response ? result : Response.json(result);
}

/** RFC 9110 §13.1.1, one strong tag of ours. */
function readRevision(request: Request, route: Route): number | undefined {
  if (route.guarded === undefined || route.method === 'GET') return undefined;
  const given = request.headers.get('if-match');
  if (given === null) throw new Problem('precondition-required', 'send the ETag that you were shown as "If-Match"');
  const match = /^"([1-9][0-9]{0,9})"$/.exec(given);
  if (match === null) throw new Problem('invalid-request', 'header.if-match: not an ETag of this API');
  return Number(match[1]);
}

/** What a schema makes of attacker-controlled input, or one problem that names the place. No schema: nothing comes through. */
function parseWith(schema: z.ZodType | undefined, input: unknown, part: string): unknown {
  if (schema === undefined) {
    if (part === 'query' && Object.keys(input as object).length > 0)
      throw new Problem('invalid-request', 'this route takes no query parameters');
    return undefined;
  }
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const place = [part, ...(issue?.path ?? [])].map(String).join('.');
  throw new Problem('invalid-request', `${place}: ${issue?.message ?? 'not valid'}`);
}

/** A parameter given twice is refused: which one counts would be a guess. */
function onceEach(parameters: URLSearchParams): Record<string, string> {
  const result: Record<string, string> = Object.create(null);
  for (const [name, value] of parameters) {
    if (name in result) throw new Problem('invalid-request', `query.${name}: given more than once`);
    result[name] = value;
  }
  return { ...result };
}

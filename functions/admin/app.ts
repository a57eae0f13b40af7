/** The admin API: every route from one table, authentication before anything else, deny by default. */
import { Hono } from 'hono';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { grantOf } from '../../lib/access/permissions.ts';
import { type Principal, unauthenticated } from '../../lib/access/principal.ts';
import type { AuditLog } from '../../lib/audit/port.ts';
import { bearerToken } from './bearer.ts';
import { readBytes, readJson } from './body.ts';
import { Problem, problemResponse } from './problem.ts';
import type { Route } from './route.ts';

type AdminAppDeps = {
  /** The principal that a bearer token proves, or none. The source address is not among what it sees. */
  authenticate(token: string): Principal | undefined;
  readonly audit: AuditLog;
  readonly logger: Logger;
};

/** All that is answered without a credential; reviewed, and walked by a test. */
export const openPaths = ['/livez'] as const;

const securityHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  // RFC 6797 §6.1.
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
} as const;

/** Mounts `routes`. Needs no server: `app.fetch(request)` answers. */
export function createAdminApp(deps: AdminAppDeps, routes: readonly Route[]): Hono {
  const app = new Hono();
  app.use(async (context, next) => {
    await next();
    for (const [name, value] of Object.entries(securityHeaders)) context.res.headers.set(name, value);
  });
  app.onError((error) => problemResponse(error, deps.logger));
  app.get(openPaths[0], (context) => context.json({ status: 'ok' }));

  for (const route of routes) {
    app.on(route.method, route.path, async (context) => {
      const where = `${route.method} ${route.path}`;
      const principal = await requirePrincipal(deps, context.req.raw, where);
      await requirePermission(deps, principal, route, where);
      const { schema } = route;
      const result = await route.handler({
        principal,
        params: parseWith(schema?.params, context.req.param(), 'path'),
        query: parseWith(schema?.query, onceEach(new URL(context.req.url).searchParams), 'query'),
        body:
          schema?.maxBytes === undefined
            ? parseWith(schema?.body, schema?.body && (await readJson(context.req.raw)), 'body')
            : await readBytes(context.req.raw, schema.maxBytes),
      });
      return result instanceof Response ? result : context.json(result);
    });
  }

  // Also for paths that do not exist: who has no credential learns nothing about what is here.
  app.all('*', async (context) => {
    await requirePrincipal(deps, context.req.raw, 'unknown');
    throw new Problem('not-found', 'there is no such route');
  });
  return app;
}

async function requirePrincipal(deps: AdminAppDeps, request: Request, where: string): Promise<Principal> {
  const token = bearerToken(request.headers.get('authorization'));
  const principal = token === undefined ? undefined : deps.authenticate(token);
  if (principal !== undefined) return principal;
  await deps.audit.deny({
    type: 'access.refuse',
    actor: unauthenticated,
    object: { kind: 'route', id: where },
    outcome: 'denied',
    detail: { reason: token === undefined ? 'no_credential' : 'bad_credential', route: where },
  });
  throw new Problem('unauthenticated', 'send a valid credential as "Authorization: Bearer …"');
}

async function requirePermission(deps: AdminAppDeps, principal: Principal, route: Route, where: string): Promise<void> {
  if (grantOf(principal, route.permission) !== 'none') return;
  await deps.audit.deny({
    type: 'access.refuse',
    actor: principal,
    object: { kind: 'route', id: where },
    outcome: 'denied',
    detail: { reason: 'not_permitted', route: where },
  });
  throw new Problem('forbidden', `the role ${principal.role} does not have ${route.permission}`);
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

/** The guard: what every request passes before a handler sees it. Credential, forgery, rate, permission, in this order. */
import type { Authenticate } from '../../lib/access/authenticate.ts';
import { type Caller, grantFor } from '../../lib/access/caller.ts';
import { csrfHeader, csrfToken, isCsrfToken, isSameOrigin } from '../../lib/access/csrf.ts';
import type { Permission } from '../../lib/access/permissions.ts';
import { unauthenticated } from '../../lib/access/principal.ts';
import { createRateLimiter, type RateLimit } from '../../lib/access/rate-limit.ts';
import type { AuditLog } from '../../lib/audit/port.ts';
import { bearerToken } from './bearer.ts';
import { readCookies } from './cookies.ts';
import { Problem } from './problem.ts';

export type GuardDeps = {
  readonly authenticate: Authenticate;
  readonly audit: AuditLog;
  readonly now: () => number;
  /** Per principal. */
  readonly rateLimit?: RateLimit;
};

/** Ample for a person and for a script; a program that needs more is a program that is broken. */
const defaultRateLimit: RateLimit = { burst: 1_000, perSecond: 200, maxKeys: 10_000 };

export type Admitted = { readonly caller: Caller; readonly csrf?: string };

export interface Guard {
  /** Who asks. Throws `Problem` 401 with one text for every cause; the cause is in the audit log. */
  identify(request: Request, where: string): Promise<Admitted>;
  /** Whether it may. Throws `Problem` 403 or 429. */
  admit(request: Request, admitted: Admitted, permission: Permission, where: string): Promise<void>;
  /** The same question later: without an entry, and no use of the credential, which may idle out meanwhile. */
  isStillAllowed(request: Request, permission: Permission): Promise<boolean>;
}

export function createGuard(deps: GuardDeps): Guard {
  const { authenticate, audit } = deps;
  const waitFor = createRateLimiter(deps.now, deps.rateLimit ?? defaultRateLimit);

  const refuse = (actor: Parameters<AuditLog['deny']>[0]['actor'], reason: string, where: string) =>
    audit.deny({
      type: 'access.refuse',
      actor,
      object: { kind: 'route', id: where },
      outcome: 'denied',
      detail: { reason, route: where },
    });

  return {
    async identify(request, where) {
      const credentials = credentialsOf(request);
      const result = await authenticate(credentials);
      if ('refused' in result) {
        await refuse(unauthenticated, result.refused, where);
        throw new Problem('unauthenticated', 'log in, or send a valid credential as "Authorization: Bearer …"');
      }
      const { cookie } = credentials;
      return { caller: result.caller, ...(result.caller.isAmbient && cookie ? { csrf: csrfToken(cookie) } : {}) };
    },
    async admit(request, { caller }, permission, where) {
      const { principal } = caller;
      if (caller.isAmbient && !isSafe(request.method) && !isOurPage(request)) {
        await refuse(principal, 'csrf', where);
        throw new Problem('forbidden', 'the request did not come from the page of this server', { reason: 'csrf' });
      }
      const waitMs = waitFor(`${principal.kind}|${principal.id}`);
      if (waitMs > 0) throw new Problem('too-many-requests', 'too many requests; slow down', { retryAfterMs: waitMs });
      if (grantFor(caller, permission) !== 'none') return;
      await refuse(principal, 'not_permitted', where);
      const limit = caller.scope === undefined ? `the role ${principal.role}` : 'this API token';
      throw new Problem('forbidden', `${limit} does not have ${permission}`);
    },
    async isStillAllowed(request, permission) {
      const result = await authenticate(credentialsOf(request), { isUse: false });
      return 'caller' in result && grantFor(result.caller, permission) !== 'none';
    },
  };
}

/** A header that is there counts, even when it is malformed: the cookie must not stand in for a bad bearer credential. */
function credentialsOf(request: Request): { readonly bearer?: string; readonly cookie?: string } {
  const header = request.headers.get('authorization');
  if (header !== null) return { bearer: bearerToken(header) ?? '' };
  const { session } = readCookies(request.headers.get('cookie'));
  return session === undefined ? {} : { cookie: session };
}

/** RFC 9110 §9.2.1. */
function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

function isOurPage(request: Request): boolean {
  const { session } = readCookies(request.headers.get('cookie'));
  return (
    isSameOrigin(request.headers, new URL(request.url).origin) &&
    session !== undefined &&
    isCsrfToken(request.headers.get(csrfHeader), session)
  );
}

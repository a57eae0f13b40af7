/** The routes about the caller's own session: what it may do, and its end. */
import { z } from 'zod';
import { grantFor } from '../../../lib/access/caller.ts';
import { permissions } from '../../../lib/access/permissions.ts';
import { endSession, type SessionDeps } from '../../../lib/access/sessions.ts';
import { clearedCookie } from '../cookies.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { isoTime } from './page.ts';

export type SessionView = {
  readonly user: string;
  readonly role: string;
  readonly via: 'local-admin' | 'session' | 'api-token';
  readonly auth: string;
  /** What the role gives, within the scope of the credential. */
  readonly permissions: readonly string[];
  readonly expires?: string;
  /** What a page sends back with every change, as `X-Holdfast-Csrf`. */
  readonly csrf?: string;
};

export function sessionRoutes(deps: Pick<SessionDeps, 'store' | 'audit'>): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/session',
      permission: 'self.read',
      handler: async ({ caller, principal, csrf }): Promise<SessionView> => ({
        user: principal.id,
        role: principal.role,
        via: caller.via,
        auth: principal.auth,
        permissions: permissions.filter((permission) => grantFor(caller, permission) !== 'none'),
        ...(caller.expiresAt === undefined ? {} : { expires: isoTime(caller.expiresAt) }),
        ...(csrf === undefined ? {} : { csrf }),
      }),
    }),
    route({
      method: 'POST',
      path: '/v1/session/end',
      permission: 'self.read',
      schema: { body: z.strictObject({}) },
      handler: async ({ caller }) => {
        if (caller.via !== 'session')
          throw new Problem('refused', 'only a session can be logged out: revoke an API token instead', {
            reason: 'no_session',
          });
        await endSession(deps, caller);
        return Response.json({ ended: true }, { headers: { 'set-cookie': clearedCookie('session') } });
      },
    }),
  ];
}

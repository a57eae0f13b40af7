/** The routes about the caller's own session: what it may do, and its end. */
import { z } from 'zod';
import { grantFor } from '../../../lib/access/caller.ts';
import { permissions } from '../../../lib/access/permissions.ts';
import { endSession, type SessionDeps } from '../../../lib/access/sessions.ts';
import { clearedCookie } from '../cookies.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { permission, role, time, type View } from '../view.ts';
import { isoTime } from './page.ts';

const sessionView = z
  .strictObject({
    user: z.string(),
    role,
    via: z.enum(['local-admin', 'session', 'api-token']),
    auth: z.string(),
    /** What the role gives, within the scope of the credential. */
    permissions: z.array(permission),
    expires: time.optional(),
    /** What a page sends back with every change, as `X-Holdfast-Csrf`. */
    csrf: z.string().optional(),
  })
  .meta({ id: 'Session' });
export type SessionView = View<typeof sessionView>;

export function sessionRoutes(deps: Pick<SessionDeps, 'store' | 'audit'>): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/session',
      permission: 'self.read',
      answer: sessionView,
      handler: async ({ caller, principal, csrf }): Promise<SessionView> => ({
        user: principal.id,
        role: principal.role,
        via: caller.via,
        auth: principal.auth,
        permissions: permissions.filter((each) => grantFor(caller, each) !== 'none'),
        ...(caller.expiresAt === undefined ? {} : { expires: isoTime(caller.expiresAt) }),
        ...(csrf === undefined ? {} : { csrf }),
      }),
    }),
    route({
      method: 'POST',
      path: '/v1/session/end',
      permission: 'self.read',
      schema: { body: z.strictObject({}) },
      answer: z.strictObject({ ended: z.literal(true) }),
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

/** Authentication of one request: from the credential that it carries to a caller, or to the reason why not. */
import { resolveApiToken } from './api-tokens.ts';
import { type Caller, localAdminCaller } from './caller.ts';
import type { LocalAdmin } from './local-admin.ts';
import { resolveSession, type SessionDeps } from './sessions.ts';

export type Credentials = {
  /** From `Authorization: Bearer`. */
  readonly bearer?: string | undefined;
  /** From the session cookie. */
  readonly cookie?: string | undefined;
};

export type Authentication = { readonly caller: Caller } | { readonly refused: string };
/** `isUse`, unless told otherwise: it is noted as a use of the credential, so that a session does not idle out. */
export type Authenticate = (
  credentials: Credentials,
  options?: { readonly isUse?: boolean },
) => Promise<Authentication>;

/** The source address is not among what it sees. A bearer credential is never ambient, so it wins over a cookie. */
export function createAuthenticate(
  deps: Omit<SessionDeps, 'audit' | 'random'> & { readonly localAdmin?: Pick<LocalAdmin, 'verify'> },
): Authenticate {
  return async ({ bearer, cookie }, { isUse = true } = {}) => {
    if (bearer !== undefined) {
      if (bearer.startsWith('vgot_')) return resolveApiToken(deps, bearer, isUse);
      if (bearer.startsWith('hfs_')) return resolveSession(deps, bearer, 'bearer', isUse);
      return deps.localAdmin?.verify(bearer) ? { caller: localAdminCaller } : { refused: 'bad_credential' };
    }
    return cookie === undefined ? { refused: 'no_credential' } : resolveSession(deps, cookie, 'cookie', isUse);
  };
}

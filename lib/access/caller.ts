/** The caller: a principal, how it proved itself, and what it may do now. Made anew for every request, kept by nobody. */
import { grantOf, type Permission, permissions } from './permissions.ts';
import { localAdmin, type Principal, type Role } from './principal.ts';

export type Caller = {
  readonly principal: Principal;
  readonly via: 'local-admin' | 'session' | 'api-token';
  /** None for local-admin, who is no user. */
  readonly user?: { readonly name: string; readonly uid: string };
  /** A browser sends it by itself, so every mutation needs proof that our own page asked for it. */
  readonly isAmbient: boolean;
  /** An API token's narrower scope. */
  readonly scope?: readonly Permission[];
  /** When the credential ends, Unix milliseconds. */
  readonly expiresAt?: number;
  /** Hex SHA-256 of the session id or API token. */
  readonly credential?: string;
};

export const localAdminCaller: Caller = { principal: localAdmin, via: 'local-admin', isAmbient: false };

/** What the role grants, within the scope of the credential. */
export function grantFor(caller: Pick<Caller, 'principal' | 'scope'>, permission: Permission): 'all' | 'own' | 'none' {
  if (caller.scope !== undefined && !caller.scope.includes(permission)) return 'none';
  return grantOf(caller.principal, permission);
}

/** Nobody can grant what they lack: whether this caller holds all that `role` would give. */
export function mayGrantRole(caller: Pick<Caller, 'principal' | 'scope'>, role: Role): boolean {
  return permissions.every((permission) => {
    const wanted = grantOf({ role }, permission);
    const held = grantFor(caller, permission);
    return wanted === 'none' || held === 'all' || held === wanted;
  });
}

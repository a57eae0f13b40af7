/** Which user an account of an identity provider is: bound by issuer and subject, made on first sight only without rights to change anything. */

import type { Actor } from '../audit/port.ts';
import { sha256Hex } from '../crypto/digest.ts';
import type { Key, Write } from '../store/port.ts';
import { AccessError, refusedLogin } from './errors.ts';
import { parseUserName } from './names.ts';
import type { Role } from './principal.ts';
import { type RoleClaims, roleAtLogin, rolesOf } from './role-claims.ts';
import { changeUser, createUser, getUser, type User, type UserDeps } from './users.ts';

export type OidcUserDeps = UserDeps;

/** Nobody of ours asked for it: the identity provider's claims did. */
const atLogin: Actor = { id: 'system', kind: 'system', auth: 'oidc' };

type Claims = { readonly iss: string; readonly sub: string; readonly [name: string]: unknown };

/** Where an account is bound to a user's name. */
function bindingKey(issuer: string, subject: string): Key {
  return { pk: 'oidc-account', sk: sha256Hex(JSON.stringify([issuer, subject])) };
}

/** Binds an account to a user; fails when it is bound already. */
export function bindAccount(issuer: string, subject: string, user: string): Write {
  return { kind: 'put', item: { ...bindingKey(issuer, subject), user }, when: { kind: 'absent' } };
}

export function unbindAccount(issuer: string, subject: string): Write {
  return { kind: 'delete', key: bindingKey(issuer, subject) };
}

export function createOidcUsers(deps: OidcUserDeps, roles: RoleClaims) {
  return {
    /** The user of these verified claims. Throws `AccessError` `refused`; with no role there is no access. */
    async userOf(claims: Claims): Promise<User> {
      const given = rolesOf(roles, claims);
      const binding = await deps.store.get(bindingKey(claims.iss, claims.sub));
      const bound = binding?.['user'];
      const known = typeof bound === 'string' ? await getUser(deps.store, bound) : undefined;
      const isBound = known?.oidc?.issuer === claims.iss && known.oidc.subject === claims.sub;
      const user = isBound ? known : undefined;
      const role = roleAtLogin(given, user?.role);
      if (role === undefined) throw refusedLogin(given.has('admin') ? 'oidc_no_new_admin' : 'oidc_no_role');
      if (user === undefined) return makeUser(deps, claims, role);
      if (user.state !== 'active') throw refusedLogin('user_disabled');
      return user.role === role ? user : moveUser(deps, user, role);
    },
  };
}

/** A first log-in. The name is for people to read; one that is taken, or is no name, is not used. */
async function makeUser(deps: OidcUserDeps, { iss, sub, ...claims }: Claims, role: Role): Promise<User> {
  const fallback = `oidc-${sha256Hex(JSON.stringify([iss, sub])).slice(0, 16)}`;
  const names = [claims['preferred_username'], claims['email'], fallback].filter((name) => typeof name === 'string');
  for (const name of names) {
    try {
      return await createUser(deps, { name, role, actor: atLogin, oidc: { issuer: iss, subject: sub } }, [
        bindAccount(iss, sub, parseUserName(name)),
      ]);
    } catch (error) {
      if (error instanceof AccessError && (error.code === 'exists' || error.code === 'malformed')) continue;
      throw error;
    }
  }
  throw refusedLogin('oidc_no_name');
}

/** The identity provider moved the person between viewer and compliance, or took admin away: other sessions end. */
function moveUser(deps: OidcUserDeps, user: User, role: Role): Promise<User> {
  return changeUser(deps, user, {
    type: 'user.role',
    actor: atLogin,
    detail: { role, previous: user.role },
    set: { role },
    endsSessions: true,
  });
}

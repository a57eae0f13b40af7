/** From what an identity provider says of a person to a role: by an explicit map, and otherwise no access. */
import type { Role } from './principal.ts';

/** Which values of the claim give which role, as `{ viewer: ['staff'] }`. */
export type RoleClaims = { readonly claim: string; readonly roles: { readonly [R in Role]?: readonly string[] } };

/** Every role that the claims give. A claim that is missing, or neither text nor a list of text, gives none. */
export function rolesOf({ claim, roles }: RoleClaims, claims: { readonly [name: string]: unknown }): ReadonlySet<Role> {
  const value = Object.hasOwn(claims, claim) ? claims[claim] : undefined;
  const held = (Array.isArray(value) ? value : [value]).filter((each) => typeof each === 'string');
  const given = (['admin', 'viewer', 'compliance'] as const).filter((role) =>
    (roles[role] ?? []).some((wanted) => held.includes(wanted)),
  );
  return new Set(given);
}

/**
 * The role of this log-in. A known user keeps its role while the claims still give it; the claims alone move it only
 * between viewer and compliance. Nobody becomes an admin by a claim: an admin was made one here, by an admin.
 */
export function roleAtLogin(given: ReadonlySet<Role>, known: Role | undefined): Role | undefined {
  if (known !== undefined && given.has(known)) return known;
  if (given.has('viewer')) return 'viewer';
  return given.has('compliance') ? 'compliance' : undefined;
}

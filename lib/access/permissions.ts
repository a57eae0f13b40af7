/** Roles and permissions: the whole table, as data. What is not written here is denied. */
import type { Principal, Role } from './principal.ts';

/** `own`: only what belongs to the principal itself. */
type Grant = 'all' | 'own';

const grants = {
  'fleet.read': { admin: 'all', viewer: 'all' },
  'fleet.write': { admin: 'all' },
  'enroll.write': { admin: 'all' },
  'config.read': { admin: 'all', viewer: 'all' },
  'config.publish': { admin: 'all' },
  'config.rollback': { admin: 'all' },
  'config.freeze': { admin: 'all' },
  'secrets.list': { admin: 'all', viewer: 'all' },
  'secrets.write': { admin: 'all' },
  'secrets.rotate': { admin: 'all' },
  /** Where a deployment enables it; it takes two of them. */
  'secrets.reveal': { admin: 'all' },
  'audit.read': { admin: 'all', viewer: 'all' },
  'compliance.read': { admin: 'all', viewer: 'all', compliance: 'all' },
  'compliance.docs.write': { admin: 'all', compliance: 'all' },
  'siem.read': { admin: 'all', viewer: 'all' },
  'siem.write': { admin: 'all' },
  'users.write': { admin: 'all' },
  'tokens.write': { admin: 'all', viewer: 'own', compliance: 'own' },
  'artifacts.write': { admin: 'all' },
  /** Who am I: every authenticated principal may know that. */
  'self.read': { admin: 'own', viewer: 'own', compliance: 'own' },
} as const satisfies Record<string, Partial<Record<Role, Grant>>>;

export type Permission = keyof typeof grants;

export const permissions = Object.freeze(Object.keys(grants)) as readonly Permission[];

/** What the principal's role grants: everything of that kind, only its own, or nothing. */
export function grantOf(principal: Pick<Principal, 'role'>, permission: Permission): Grant | 'none' {
  const row: Partial<Record<Role, Grant>> = grants[permission];
  // Own properties only: a role that is not one of ours must not find something on the prototype.
  return Object.hasOwn(row, principal.role) ? (row[principal.role] ?? 'none') : 'none';
}

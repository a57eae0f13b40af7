/** The principal: whoever a request is authenticated as. What a request says of itself is never part of it. */
import type { Actor } from '../audit/port.ts';

export type Role = 'admin' | 'viewer' | 'compliance';

/** A principal is an audit actor that has a role, so what is authorised and what is recorded are one value. */
export type Principal = Actor & { readonly role: Role };

/** The operator on the server's own host. A reserved name: no user can have it. */
export const localAdmin: Principal = { id: 'local-admin', kind: 'local-admin', role: 'admin', auth: 'local-admin' };

/** Who a refused request is recorded as: nothing that it claimed is believed. */
export const unauthenticated: Actor = { id: 'unauthenticated', kind: 'unauthenticated', auth: 'none' };

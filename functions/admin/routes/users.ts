/** The routes about users: who may log in, in which role, with which password or keys. Never a hash, never a secret. */
import { z } from 'zod';
import {
  type AccountDeps,
  addAccount,
  addKey,
  endSessions,
  removeAccount,
  removeKey,
  setPassword,
  setRole,
  setState,
  unlock,
} from '../../../lib/access/accounts.ts';
import { AccessError } from '../../../lib/access/errors.ts';
import { listUsers, requireUser, type User } from '../../../lib/access/users.ts';
import { Problem } from '../problem.ts';
import { type Route, route, tagged } from '../route.ts';
import { pageSchema, role, time, type View } from '../view.ts';
import { isoTime, type PageOf, pageOf, pageQuery, positionOf } from './page.ts';

const userView = z
  .strictObject({
    name: z.string(),
    role,
    state: z.enum(['active', 'disabled']),
    hasPassword: z.boolean(),
    keys: z.array(z.strictObject({ fingerprint: z.string(), key: z.string(), added: time })),
    account: z.strictObject({ issuer: z.string(), subject: z.string() }).optional(),
    created: time,
    createdBy: z.string(),
    /** For `If-Match`. */
    revision: z.int().min(1),
  })
  .meta({ id: 'User' });
/** A user as the API shows it. */
export type UserView = View<typeof userView>;

// Formats of names, keys and passwords are the domain's to judge; here only the shape.
const params = z.strictObject({ name: z.string().min(1).max(256) });
const key = z.string().min(1).max(8192);
const password = z.string().min(1).max(1024);

export function userRoutes(deps: AccountDeps): Route[] {
  return [...readRoutes(deps), ...editRoutes(deps), ...credentialRoutes(deps)];
}

function readRoutes(deps: AccountDeps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/users',
      permission: 'users.write',
      schema: { query: z.strictObject(pageQuery) },
      answer: pageSchema(userView),
      handler: async ({ query: { limit, cursor } }): Promise<PageOf<UserView>> => {
        const after = positionOf('users', cursor, (text) => text);
        const page = await listUsers(deps.store, { limit, ...(after === undefined ? {} : { after }) });
        return pageOf('users', page.users.map(viewOf), page.next);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/users/:name',
      permission: 'users.write',
      schema: { params },
      answer: userView,
      handler: async (input) => answer(await requireUser(deps.store, input.params.name)),
    }),
  ];
}

function editRoutes(deps: AccountDeps): Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/users',
      permission: 'users.write',
      schema: {
        body: z.strictObject({
          name: z.string().min(1).max(256),
          role,
          subject: z.string().min(1).max(255).optional(),
        }),
      },
      answer: userView,
      handler: async ({ caller, body }) => viewOf(await addAccount(deps, { ...body, caller })),
    }),
    route({
      method: 'PUT',
      path: '/v1/users/:name',
      permission: 'users.write',
      guarded: true,
      schema: {
        params,
        body: z.strictObject({ role: role.optional(), state: z.enum(['active', 'disabled']).optional() }),
      },
      answer: userView,
      handler: async ({ caller, revision, body, ...input }) => {
        const order = { ...input.params, caller };
        let user = await requireUser(deps.store, order.name);
        requireRevision(user, revision);
        // Each step only as the one before left it: nobody comes between.
        if (body.role !== undefined)
          user = await seen(setRole(deps, { ...order, role: body.role, revision: user.revision }));
        if (body.state !== undefined)
          user = await seen(setState(deps, { ...order, state: body.state, revision: user.revision }));
        return answer(user);
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/users/:name',
      permission: 'users.write',
      guarded: true,
      schema: { params },
      answer: userView,
      handler: async ({ caller, revision, ...input }) => {
        const user = await requireUser(deps.store, input.params.name);
        requireRevision(user, revision);
        return viewOf(await seen(removeAccount(deps, { name: user.name, caller, revision })));
      },
    }),
  ];
}

function credentialRoutes(deps: AccountDeps): Route[] {
  const step = <Body>(
    path: string,
    body: z.ZodType<Body>,
    act: (
      order: { readonly name: string; readonly caller: Parameters<typeof unlock>[1]['caller'] },
      body: Body,
    ) => Promise<User>,
  ) =>
    route({
      method: 'POST',
      path: `/v1/users/:name/${path}`,
      permission: 'users.write',
      schema: { params, body },
      answer: userView,
      handler: async (input) => viewOf(await act({ ...input.params, caller: input.caller }, input.body)),
    });
  const nothing = z.strictObject({});
  return [
    step('password', z.strictObject({ password }), (order, body) => setPassword(deps, { ...order, ...body })),
    step('keys', z.strictObject({ key }), (order, body) => addKey(deps, { ...order, line: body.key })),
    step('keys/remove', z.strictObject({ fingerprint: z.string().min(1).max(100) }), (order, body) =>
      removeKey(deps, { ...order, ...body }),
    ),
    step('unlock', nothing, (order) => unlock(deps, order)),
    step('sessions/end', nothing, (order) => endSessions(deps, order)),
  ];
}

function requireRevision(user: User, revision: number | undefined): void {
  if (revision !== user.revision) throw changedMeanwhile();
}

/** A conflict under `If-Match` is a failed precondition. */
async function seen<T>(step: Promise<T>): Promise<T> {
  try {
    return await step;
  } catch (error) {
    if (error instanceof AccessError && error.code === 'conflict') throw changedMeanwhile(error);
    throw error;
  }
}

function changedMeanwhile(cause?: unknown): Problem {
  return new Problem('precondition-failed', 'the user was changed since you saw it: look again', { cause });
}

function answer(user: User): Response {
  return tagged(viewOf(user), user.revision);
}

function viewOf(user: User): UserView {
  return {
    name: user.name,
    role: user.role,
    state: user.state,
    hasPassword: user.hasPassword,
    keys: user.keys.map(({ fingerprint, line, addedAt }) => ({ fingerprint, key: line, added: isoTime(addedAt) })),
    ...(user.oidc === undefined ? {} : { account: user.oidc }),
    created: isoTime(user.createdAt),
    createdBy: user.createdBy,
    revision: user.revision,
  };
}

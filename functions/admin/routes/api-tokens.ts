/** The routes about API tokens: mint, list, revoke; one's own, or everybody's for who may. The token is shown once. */
import { z } from 'zod';
import {
  type ApiToken,
  type ApiTokenDeps,
  apiTokenListing,
  createApiToken,
  findApiToken,
  listApiTokens,
  revokeApiToken,
} from '../../../lib/access/api-tokens.ts';
import { type Caller, grantFor } from '../../../lib/access/caller.ts';
import { parseUserName } from '../../../lib/access/names.ts';
import { permissions } from '../../../lib/access/permissions.ts';
import { requireUser } from '../../../lib/access/users.ts';
import { formatListingPosition, parseListingPosition } from '../../../lib/store/listing.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { pageSchema, permission, shortId, time, type View } from '../view.ts';
import { isoTime, type PageOf, pageOf, pageQuery, positionOf } from './page.ts';

const apiTokenView = z
  .strictObject({
    id: shortId,
    name: z.string(),
    owner: z.string(),
    state: z.enum(['active', 'revoked', 'expired']),
    /** Absent: all that its owner may do. */
    scope: z.array(permission).optional(),
    created: time,
    createdBy: z.string(),
    expires: time.optional(),
    /** Within the hour. */
    used: time.optional(),
    revoked: time.optional(),
  })
  .meta({ id: 'ApiToken', description: 'Never the token, nor its hash.' });
/** An API token as the API shows it: never the token, nor its hash. */
export type ApiTokenView = View<typeof apiTokenView>;

const mintedApiToken = apiTokenView
  .extend({ token: z.string() })
  .meta({ id: 'MintedApiToken', description: '`token` is shown this once.' });
/** The answer to minting; `token` is shown this once. */
export type MintedApiToken = View<typeof mintedApiToken>;

const params = z.strictObject({ id: z.string().regex(/^[0-9a-f]{16}$/, 'a token id has 16 hexadecimal digits') });
const owner = z.string().min(1).max(256);
const newToken = z.strictObject({
  /** What it is for, for people. */
  name: z
    .string()
    .min(1)
    .max(100)
    .refine((name) => !/[\p{Cc}\p{Cf}]/u.test(name), 'must not have control characters'),
  owner: owner.optional(),
  scope: z
    .array(z.enum(permissions as [string, ...string[]]))
    .min(1)
    .max(permissions.length)
    .optional(),
  ttlMs: z.int().optional(),
});

export function apiTokenRoutes(deps: ApiTokenDeps): Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/api-tokens',
      permission: 'tokens.write',
      schema: { body: newToken },
      answer: mintedApiToken,
      handler: async ({ caller, body }) => {
        const named = ownerFor(caller, body.owner);
        if (named === undefined)
          throw new Problem('invalid-request', 'body.owner: local-admin is no user and owns no tokens: name a user');
        const user = await requireUser(deps.store, named);
        const scope = body.scope as NonNullable<ApiToken['scope']> | undefined;
        const { token, record } = await createApiToken(deps, {
          name: body.name,
          owner: user,
          caller,
          scope,
          ttlMs: body.ttlMs,
        });
        return { ...view(record, deps.now()), token };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/api-tokens',
      permission: 'tokens.write',
      schema: { query: z.strictObject({ ...pageQuery, owner: owner.optional() }) },
      answer: pageSchema(apiTokenView),
      handler: async ({ caller, query: { limit, cursor, ...filters } }): Promise<PageOf<ApiTokenView>> => {
        const isAll = grantFor(caller, 'tokens.write') === 'all';
        const of = isAll && filters.owner === undefined ? undefined : ownerFor(caller, filters.owner);
        const list = of === undefined ? 'api-tokens' : `api-tokens of ${of}`;
        const position = positionOf(list, cursor, (text) => parseListingPosition(apiTokenListing(of), text));
        const { tokens, next } = await listApiTokens(deps.store, { owner: of, limit, position });
        const items = tokens.map((token) => view(token, deps.now()));
        return pageOf(list, items, next && formatListingPosition(next));
      },
    }),
    route({
      method: 'POST',
      path: '/v1/api-tokens/:id/revoke',
      permission: 'tokens.write',
      schema: { params, body: z.strictObject({}) },
      answer: apiTokenView,
      handler: async ({ caller, ...input }) => {
        const token = await findApiToken(deps.store, input.params.id);
        // Somebody else's token is one that is not there, for who may see only their own.
        if (grantFor(caller, 'tokens.write') !== 'all' && token.owner !== caller.user?.name)
          throw new Problem('not-found', `no API token has the id ${token.id}`);
        return view(await revokeApiToken(deps, token, caller), deps.now());
      },
    }),
  ];
}

/** Whose tokens are meant: one's own unless named, and another's only for who may. */
function ownerFor(caller: Caller, named: string | undefined): string | undefined {
  if (named === undefined) return caller.user?.name;
  const name = parseUserName(named);
  if (grantFor(caller, 'tokens.write') !== 'all' && name !== caller.user?.name)
    throw new Problem('forbidden', 'you can see and make only your own API tokens', { reason: 'not_own' });
  return name;
}

function view(token: ApiToken, now: number): ApiTokenView {
  const isExpired = token.expiresAt !== undefined && token.expiresAt <= now;
  return {
    id: token.id,
    name: token.name,
    owner: token.owner,
    state: token.state === 'active' && isExpired ? 'expired' : token.state,
    ...(token.scope === undefined ? {} : { scope: token.scope }),
    created: isoTime(token.createdAt),
    createdBy: token.createdBy,
    ...(token.expiresAt === undefined ? {} : { expires: isoTime(token.expiresAt) }),
    ...(token.usedAt === undefined ? {} : { used: isoTime(token.usedAt) }),
    ...(token.revokedAt === undefined ? {} : { revoked: isoTime(token.revokedAt) }),
  };
}

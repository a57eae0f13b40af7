/** The routes about enrollment tokens: mint, list, cancel. The token itself is in the answer to the minting, and nowhere else. */
import { z } from 'zod';
import type { AuditLog } from '../../../lib/audit/port.ts';
import {
  cancelEnrollmentToken,
  createEnrollmentToken,
  type EnrollmentToken,
  listEnrollmentTokens,
  tokenListing,
} from '../../../lib/identity/tokens.ts';
import { formatListingPosition, parseListingPosition } from '../../../lib/store/listing.ts';
import type { Store } from '../../../lib/store/port.ts';
import { type Route, route } from '../route.ts';
import { labels, pageSchema, shortId, time, uuid, type View } from '../view.ts';
import { isoTime, type PageOf, pageOf, pageQuery, positionOf } from './page.ts';

type TokenRouteDeps = {
  readonly store: Store;
  readonly audit: AuditLog;
  readonly now: () => number;
  readonly pin: Uint8Array;
};

const tokenView = z
  .strictObject({
    id: shortId,
    state: z.enum(['open', 'used', 'cancelled', 'expired']),
    labels,
    hostname: z.string().optional(),
    fingerprint: z.string().optional(),
    created: time,
    createdBy: z.string(),
    expires: time,
    usedBy: uuid.optional(),
    used: time.optional(),
  })
  .meta({ id: 'EnrollmentToken', description: 'Never its secret, nor the hash of that.' });
/** A token as the API shows it: never its secret, nor the hash of that. */
export type TokenView = View<typeof tokenView>;

const mintedToken = z
  .strictObject({ token: z.string(), id: shortId, expires: time })
  .meta({ id: 'MintedEnrollmentToken', description: '`token` is shown this once.' });
/** The answer to minting; `token` is shown this once. */
export type MintedToken = View<typeof mintedToken>;

const tokenParams = z.strictObject({ id: z.string().regex(/^[0-9a-f]{16}$/, 'a token id has 16 hexadecimal digits') });

// Formats of names, labels and lifetimes are the domain's to judge; here only the shape.
const tokenBody = z.strictObject({
  labels: z.record(z.string(), z.string()).optional(),
  hostname: z.string().optional(),
  fingerprint: z.string().optional(),
  ttlMs: z.int().optional(),
});

export function tokenRoutes(deps: TokenRouteDeps): Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/tokens',
      permission: 'enroll.write',
      schema: { body: tokenBody },
      answer: mintedToken,
      handler: async ({ principal, body }) => {
        const { hostname, fingerprint, ttlMs } = body;
        const minted = await createEnrollmentToken(deps, {
          actor: principal,
          ...(body.labels === undefined ? {} : { labels: body.labels }),
          ...(hostname === undefined ? {} : { hostname }),
          ...(fingerprint === undefined ? {} : { fingerprint }),
          ...(ttlMs === undefined ? {} : { ttlMs }),
        });
        return { ...minted, expires: isoTime(minted.expires) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/tokens',
      permission: 'fleet.read',
      schema: { query: z.strictObject(pageQuery) },
      answer: pageSchema(tokenView),
      handler: async ({ query: { limit, cursor } }): Promise<PageOf<TokenView>> => {
        const position = positionOf('tokens', cursor, (text) => parseListingPosition(tokenListing, text));
        const { tokens, next } = await listEnrollmentTokens(deps.store, { limit, position });
        const items = tokens.map((token) => viewOf(token, deps.now()));
        return pageOf('tokens', items, next && formatListingPosition(next));
      },
    }),
    route({
      method: 'POST',
      path: '/v1/tokens/:id/cancel',
      permission: 'enroll.write',
      schema: { params: tokenParams },
      answer: tokenView,
      handler: async ({ principal, params }) =>
        viewOf(await cancelEnrollmentToken(deps, { id: params.id, actor: principal }), deps.now()),
    }),
  ];
}

function viewOf(token: EnrollmentToken, now: number): TokenView {
  return {
    id: token.id,
    state: token.state === 'open' && token.expires <= now ? 'expired' : token.state,
    labels: token.labels,
    ...(token.hostname === undefined ? {} : { hostname: token.hostname }),
    ...(token.fingerprint === undefined ? {} : { fingerprint: token.fingerprint }),
    created: isoTime(token.createdAt),
    createdBy: token.createdBy,
    expires: isoTime(token.expires),
    ...(token.usedBy === undefined ? {} : { usedBy: token.usedBy }),
    ...(token.usedAt === undefined ? {} : { used: isoTime(token.usedAt) }),
  };
}

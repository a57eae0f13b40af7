/** The routes about policy releases: upload what they consist of, publish what operators signed, read the history. */
import { z } from 'zod';
import type { AuditLog } from '../../../lib/audit/port.ts';
import { sha256Hex } from '../../../lib/crypto/digest.ts';
import { fromBase64url, toBase64url } from '../../../lib/crypto/encoding.ts';
import { currentFreeze, type Freeze, freeze, thaw } from '../../../lib/policy/freeze.ts';
import { currentRelease, getRelease, listReleases, type StoredRelease } from '../../../lib/policy/history.ts';
import { type PublishDeps, publishRelease } from '../../../lib/policy/publish.ts';
import type { PolicyTrust } from '../../../lib/policy/verify.ts';
import type { SecretsProvider } from '../../../lib/secrets/provider.ts';
import { type BlobStore, maxBlobBytes, parseBlobDigest } from '../../../lib/store/blobs.ts';
import type { Store } from '../../../lib/store/port.ts';
import { Problem } from '../problem.ts';
import { bytesRoute, type Route, route } from '../route.ts';
import { base64url, count, pageSchema, releaseRef, sha256, time, type View } from '../view.ts';
import { isoTime, type PageOf, pageOf, pageQuery, positionOf } from './page.ts';

type ReleaseRouteDeps = {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly audit: AuditLog;
  readonly now: () => number;
  readonly trust: PolicyTrust;
  readonly secrets?: Pick<SecretsProvider, 'existing'>;
};

const releaseLine = releaseRef
  .extend({
    created: time,
    expires: time,
    published: time,
    /** How many there are of each. */
    crates: count,
    signatures: count,
  })
  .meta({ id: 'ReleaseLine', description: 'A line of the history.' });
/** A line of the history. */
export type ReleaseLine = View<typeof releaseLine>;

const releaseView = releaseRef
  .extend({ published: time, manifest: base64url, signatures: z.array(z.string()) })
  .meta({ id: 'Release', description: 'The signed bytes, base64url, and the armored signatures.' });
/** A whole release: the signed bytes, base64url, and the armored signatures. */
export type ReleaseView = View<typeof releaseView>;

const publishedView = releaseRef
  .extend({
    /** Fingerprints of the operators whose signatures counted. */
    signers: z.array(z.string()),
    /** This very release was current already. */
    repeated: z.boolean(),
  })
  .meta({ id: 'PublishedRelease', description: '`signers`: fingerprints of the keys whose signatures counted.' });
export type PublishedView = View<typeof publishedView>;

const freezeView = z
  .discriminatedUnion('frozen', [
    z.strictObject({ frozen: z.literal(false) }),
    z.strictObject({ frozen: z.literal(true), reason: z.string(), by: z.string(), since: time }),
  ])
  .meta({ id: 'Freeze', description: 'Whether publishing is frozen, and if so, why.' });
/** Whether publishing is frozen, and if so, why. */
export type FreezeView = View<typeof freezeView>;

const blobView = z.strictObject({ sha256, bytes: count });

const blobParams = z.strictObject({
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 digest in lower-case hexadecimal'),
});
const releaseNumber = z
  .string()
  .regex(/^[1-9][0-9]{0,9}$/, 'must be the number of a release')
  .transform(Number);
const releaseParams = z.strictObject({ number: releaseNumber });
const signed = {
  /** Base64url; judged by the policy domain. */
  manifest: z.string().min(1),
  signatures: z.array(z.string()),
};

export function releaseRoutes(deps: ReleaseRouteDeps): Route[] {
  return [...blobRoutes(deps), ...publishRoutes(deps), ...freezeRoutes(deps), ...historyRoutes(deps)];
}

function blobRoutes({ blobs }: ReleaseRouteDeps): Route[] {
  return [
    bytesRoute({
      method: 'PUT',
      path: '/v1/blobs/:sha256',
      permission: 'config.publish',
      schema: { params: blobParams, maxBytes: maxBlobBytes },
      answer: blobView,
      handler: async ({ params, body }) => {
        if (sha256Hex(body) !== params.sha256)
          throw new Problem('invalid-request', 'the bytes are not those that the digest names');
        await blobs.put(body);
        return { sha256: params.sha256, bytes: body.length };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/blobs/:sha256',
      permission: 'config.read',
      produces: 'application/octet-stream',
      schema: { params: blobParams },
      handler: async ({ params }) => {
        const bytes = await blobs.get(parseBlobDigest(params.sha256));
        if (bytes === undefined) throw new Problem('not-found', `there is no blob ${params.sha256}`);
        return new Response(new Uint8Array(bytes), { headers: { 'content-type': 'application/octet-stream' } });
      },
    }),
  ];
}

function publishRoutes(deps: PublishDeps): Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/releases',
      permission: 'config.publish',
      schema: { body: z.strictObject(signed) },
      answer: publishedView,
      handler: ({ principal, body }): Promise<PublishedView> =>
        publishRelease(deps, {
          manifest: fromBase64url(body.manifest),
          signatures: body.signatures,
          actor: principal,
        }),
    }),
    // A right of its own, so a route of its own.
    route({
      method: 'POST',
      path: '/v1/releases/rollback',
      permission: 'config.rollback',
      schema: { body: z.strictObject({ ...signed, to: z.int().min(1) }) },
      answer: publishedView,
      handler: ({ principal, body }): Promise<PublishedView> =>
        publishRelease(deps, {
          manifest: fromBase64url(body.manifest),
          signatures: body.signatures,
          actor: principal,
          rollbackTo: body.to,
        }),
    }),
  ];
}

function freezeRoutes(deps: ReleaseRouteDeps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/releases/freeze',
      permission: 'config.read',
      answer: freezeView,
      handler: async (): Promise<FreezeView> => freezeViewOf(await currentFreeze(deps.store)),
    }),
    route({
      method: 'POST',
      path: '/v1/releases/freeze',
      permission: 'config.freeze',
      schema: { body: z.strictObject({ reason: z.string().trim().min(1).max(200) }) },
      answer: freezeView,
      handler: async ({ principal, body }): Promise<FreezeView> =>
        freezeViewOf(await freeze(deps, principal, body.reason)),
    }),
    route({
      method: 'POST',
      path: '/v1/releases/thaw',
      permission: 'config.freeze',
      schema: { body: z.strictObject({}) },
      answer: freezeView,
      handler: async ({ principal }): Promise<FreezeView> => {
        await thaw(deps, principal);
        return freezeViewOf(undefined);
      },
    }),
  ];
}

function freezeViewOf(found: Freeze | undefined): FreezeView {
  return found === undefined
    ? { frozen: false }
    : { frozen: true, reason: found.reason, by: found.by, since: isoTime(found.since) };
}

function historyRoutes({ store }: ReleaseRouteDeps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/releases',
      permission: 'config.read',
      schema: {
        query: z.strictObject(pageQuery),
      },
      answer: pageSchema(releaseLine),
      handler: async ({ query: { limit, cursor } }): Promise<PageOf<ReleaseLine>> => {
        const before = positionOf('releases', cursor, (text) => releaseNumber.safeParse(text).data);
        const { releases, next } = await listReleases(store, { limit, ...(before === undefined ? {} : { before }) });
        const items = releases.map(({ created, expires, publishedAt, ...rest }) => ({
          ...rest,
          created: isoTime(created),
          expires: isoTime(expires),
          published: isoTime(publishedAt),
        }));
        return pageOf('releases', items, next?.toString());
      },
    }),
    route({
      method: 'GET',
      path: '/v1/releases/current',
      permission: 'config.read',
      answer: releaseView,
      handler: async () => {
        const current = await currentRelease(store);
        if (current === undefined) throw new Problem('not-found', 'no release was published yet');
        return releaseViewOf(await getRelease(store, current.number));
      },
    }),
    route({
      method: 'GET',
      path: '/v1/releases/:number',
      permission: 'config.read',
      schema: { params: releaseParams },
      answer: releaseView,
      handler: async ({ params }) => releaseViewOf(await getRelease(store, params.number)),
    }),
  ];
}

function releaseViewOf(release: StoredRelease | undefined): ReleaseView {
  if (release === undefined) throw new Problem('not-found', 'there is no release of that number');
  return {
    number: release.number,
    digest: release.digest,
    published: isoTime(release.publishedAt),
    manifest: toBase64url(release.manifest),
    signatures: release.signatures,
  };
}

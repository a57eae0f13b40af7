/** The routes about builds of the agent: trust keys, upload, publish, and roll out ring by ring. */
import { z } from 'zod';
import {
  type BuildDeps,
  compareBuilds,
  getBuild,
  listBuilds,
  type PublishedBuild,
  partBytes,
  publishBuild,
} from '../../../lib/artifacts/builds.ts';
import { failedOf, type Progress, readProgress } from '../../../lib/artifacts/outcomes.ts';
import { type Ring, readRings } from '../../../lib/artifacts/rings.ts';
import { haltRing, pauseRing, resumeRing, rolloutBuild } from '../../../lib/artifacts/rollout.ts';
import { trustKeys } from '../../../lib/artifacts/trusted-keys.ts';
import { parseVersion } from '../../../lib/artifacts/version.ts';
import { sha256Hex } from '../../../lib/crypto/digest.ts';
import { fromBase64url, toBase64url } from '../../../lib/crypto/encoding.ts';
import { parseLabels } from '../../../lib/identity/names.ts';
import type { BlobStore } from '../../../lib/store/blobs.ts';
import { Problem } from '../problem.ts';
import { bytesRoute, type Route, route } from '../route.ts';
import { base64url, count, labels, pageSchema, sha256, time, type View } from '../view.ts';
import { isoTime, type PageOf, pageOf, pageQuery, positionOf } from './page.ts';

type ArtifactRouteDeps = BuildDeps & { readonly blobs: BlobStore };

const buildView = z
  .strictObject({ version: z.string(), platform: z.string(), sha256, size: count, published: time, expires: time })
  .meta({ id: 'Build', description: 'A published build of the agent.' });
/** A published build. */
export type BuildView = View<typeof buildView>;

const wholeBuildView = buildView
  .extend({ manifest: base64url, parts: z.array(sha256) })
  .meta({ id: 'WholeBuild', description: 'With its signed manifest, and what it is cut into.' });

const ringView = z
  .strictObject({
    ring: z.string(),
    state: z.enum(['rolling out', 'paused', 'halted', 'idle']),
    /** Why it is halted; empty otherwise. */
    reason: z.string(),
    version: z.string(),
    rollout: count,
    labels,
    percent: count,
    pin: z.enum(['none', 'n-1']),
    maxFailedPercent: count,
    nodes: count,
    updated: count,
    /** Refused, rolled back, or silent. */
    failed: count,
    /** Of those that failed: took the build, and were not heard of for an hour. */
    silent: count,
    /** Nodes whose agent can't replace itself. */
    notPossible: count,
  })
  .meta({ id: 'Ring', description: 'A ring, and how far its rollout is.' });
/** A ring, and how far its rollout is. */
export type RingView = View<typeof ringView>;

const digest = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 digest in lower-case hexadecimal');
const ringParams = z.strictObject({ ring: z.string().max(64) });

export function artifactRoutes(deps: ArtifactRouteDeps): Route[] {
  return [...buildRoutes(deps), ...ringRoutes(deps)];
}

function buildRoutes(deps: ArtifactRouteDeps): Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/artifacts/keys',
      permission: 'artifacts.write',
      schema: {
        body: z.strictObject({
          list: z
            .string()
            .min(1)
            .max(64 * 1024),
        }),
      },
      answer: z.strictObject({ number: z.int().min(1), threshold: z.int().min(1), keys: z.array(z.string()) }),
      handler: async ({ principal, body }) => {
        const { number, threshold, keys } = await trustKeys(deps, { list: body.list, actor: principal });
        return { number, threshold, keys };
      },
    }),
    bytesRoute({
      method: 'PUT',
      path: '/v1/artifacts/parts/:sha256',
      permission: 'artifacts.write',
      schema: { params: z.strictObject({ sha256: digest }), maxBytes: partBytes },
      answer: z.strictObject({ sha256, bytes: count }),
      handler: async ({ params, body }) => {
        if (sha256Hex(body) !== params.sha256)
          throw new Problem('invalid-request', 'the bytes are not those that the digest names');
        await deps.blobs.put(body);
        return { sha256: params.sha256, bytes: body.length };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/artifacts',
      permission: 'artifacts.write',
      schema: { body: z.strictObject({ manifest: z.string().min(1), parts: z.array(digest).min(1).max(1024) }) },
      answer: buildView,
      handler: async ({ principal, body }) =>
        viewOf(
          await publishBuild(deps, {
            manifest: fromBase64url(body.manifest),
            parts: body.parts,
            actor: principal,
          }),
        ),
    }),
    route({
      method: 'GET',
      path: '/v1/artifacts',
      permission: 'fleet.read',
      schema: { query: z.strictObject(pageQuery) },
      answer: pageSchema(buildView),
      handler: async ({ query: { limit, cursor } }): Promise<PageOf<BuildView>> => {
        const last = positionOf('artifacts', cursor, parseBuildPosition);
        const rest = (await listBuilds(deps.store)).filter(
          (each) => last === undefined || compareBuilds(each, last) > 0,
        );
        const items = rest.slice(0, limit).map(viewOf);
        return pageOf('artifacts', items, rest.length > limit ? positionAt(items.at(-1)) : undefined);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/artifacts/:version/:platform',
      permission: 'fleet.read',
      schema: { params: z.strictObject({ version: z.string().max(64), platform: z.string().max(64) }) },
      answer: wholeBuildView,
      handler: async ({ params }) => {
        const build = await getBuild(deps.store, params.version, params.platform);
        if (build === undefined) throw new Problem('not-found', 'there is no such build');
        return { ...viewOf(build), manifest: toBase64url(build.manifest), parts: build.parts };
      },
    }),
  ];
}

function ringRoutes(deps: ArtifactRouteDeps): Route[] {
  const view = async (ring: Ring) => ringViewOf(ring, await readProgress(deps.store, ring.name, ring.rollout));
  return [
    route({
      method: 'GET',
      path: '/v1/rings',
      permission: 'fleet.read',
      answer: pageSchema(ringView),
      handler: async (): Promise<PageOf<RingView>> => {
        const { rings } = await readRings(deps.store);
        return { items: await Promise.all(rings.map(view)) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/rings/:ring/rollout',
      permission: 'artifacts.write',
      schema: {
        params: ringParams,
        body: z.strictObject({
          version: z.string().min(1).max(64),
          labels: labels.optional(),
          percent: z.int().min(1).max(100).optional(),
          maxFailedPercent: z.int().min(1).max(100).optional(),
        }),
      },
      answer: ringView,
      handler: async ({ principal, params, body }) => {
        const { version, percent, maxFailedPercent } = body;
        const ring = await rolloutBuild(deps, {
          ring: params.ring,
          version,
          actor: principal,
          ...(body.labels === undefined ? {} : { labels: parseLabels(body.labels) }),
          ...(percent === undefined ? {} : { percent }),
          ...(maxFailedPercent === undefined ? {} : { maxFailedPercent }),
        });
        return view(ring);
      },
    }),
    route({
      method: 'POST',
      path: '/v1/rings/:ring/halt',
      permission: 'artifacts.write',
      schema: { params: ringParams, body: z.strictObject({ reason: z.string().min(1).max(200).optional() }) },
      answer: ringView,
      handler: async ({ principal, params, body }) =>
        view(await haltRing(deps, { ring: params.ring, reason: body.reason ?? 'by an operator', actor: principal })),
    }),
    route({
      method: 'POST',
      path: '/v1/rings/:ring/pause',
      permission: 'artifacts.write',
      schema: { params: ringParams, body: z.strictObject({}) },
      answer: ringView,
      handler: async ({ principal, params }) => view(await pauseRing(deps, { ring: params.ring, actor: principal })),
    }),
    route({
      method: 'POST',
      path: '/v1/rings/:ring/resume',
      permission: 'artifacts.write',
      schema: { params: ringParams, body: z.strictObject({}) },
      answer: ringView,
      handler: async ({ principal, params }) => view(await resumeRing(deps, { ring: params.ring, actor: principal })),
    }),
  ];
}

const positionAt = (build: BuildView | undefined) => build && `${build.version} ${build.platform}`;

function parseBuildPosition(text: string): Pick<PublishedBuild, 'version' | 'platform'> | undefined {
  const [version = '', platform] = text.split(' ');
  try {
    return platform === undefined ? undefined : { version: parseVersion(version), platform };
  } catch (_malformed) {
    return undefined;
  }
}

function viewOf({ version, platform, size, publishedAt, notAfter, ...build }: PublishedBuild): BuildView {
  return { version, platform, sha256: build.sha256, size, published: isoTime(publishedAt), expires: isoTime(notAfter) };
}

function ringViewOf(ring: Ring, progress: Progress): RingView {
  const { name, halted, version, rollout, percent, pin, maxFailedPercent, nodes } = ring;
  return {
    ring: name,
    state: stateOf(ring),
    reason: halted,
    ...{ version, rollout, labels: ring.labels, percent, pin, maxFailedPercent, nodes },
    updated: progress.confirmed,
    failed: failedOf(progress),
    silent: progress.silent,
    notPossible: progress.not_possible,
  };
}

function stateOf({ halted, isPaused, version }: Ring): RingView['state'] {
  if (halted !== '') return 'halted';
  if (isPaused) return 'paused';
  return version === '' ? 'idle' : 'rolling out';
}

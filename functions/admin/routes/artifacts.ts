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
import { isoTime, type PageOf, pageOf, pageQuery, positionOf } from './page.ts';

type ArtifactRouteDeps = BuildDeps & { readonly blobs: BlobStore };

/** A published build; the signed manifest is base64url. */
export type BuildView = {
  readonly version: string;
  readonly platform: string;
  readonly sha256: string;
  readonly size: number;
  readonly published: string;
  readonly expires: string;
};

/** A ring, and how far its rollout is. */
export type RingView = {
  readonly ring: string;
  readonly state: 'rolling out' | 'paused' | 'halted' | 'idle';
  /** Why it is halted; empty otherwise. */
  readonly reason: string;
  readonly version: string;
  readonly rollout: number;
  readonly labels: { readonly [name: string]: string };
  readonly percent: number;
  readonly pin: 'none' | 'n-1';
  readonly maxFailedPercent: number;
  readonly nodes: number;
  readonly updated: number;
  /** Refused, rolled back, or silent. */
  readonly failed: number;
  /** Of those that failed: took the build, and were not heard of for an hour. */
  readonly silent: number;
  /** Nodes whose agent can't replace itself. */
  readonly notPossible: number;
};

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
      handler: async ({ principal, body }) =>
        buildView(
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
      handler: async ({ query: { limit, cursor } }): Promise<PageOf<BuildView>> => {
        const last = positionOf('artifacts', cursor, parseBuildPosition);
        const rest = (await listBuilds(deps.store)).filter(
          (each) => last === undefined || compareBuilds(each, last) > 0,
        );
        const items = rest.slice(0, limit).map(buildView);
        return pageOf('artifacts', items, rest.length > limit ? positionAt(items.at(-1)) : undefined);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/artifacts/:version/:platform',
      permission: 'fleet.read',
      schema: { params: z.strictObject({ version: z.string().max(64), platform: z.string().max(64) }) },
      handler: async ({ params }) => {
        const build = await getBuild(deps.store, params.version, params.platform);
        if (build === undefined) throw new Problem('not-found', 'there is no such build');
        return { ...buildView(build), manifest: toBase64url(build.manifest), parts: build.parts };
      },
    }),
  ];
}

function ringRoutes(deps: ArtifactRouteDeps): Route[] {
  const view = async (ring: Ring) => ringView(ring, await readProgress(deps.store, ring.name, ring.rollout));
  return [
    route({
      method: 'GET',
      path: '/v1/rings',
      permission: 'fleet.read',
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
          labels: z.record(z.string(), z.string()).optional(),
          percent: z.int().min(1).max(100).optional(),
          maxFailedPercent: z.int().min(1).max(100).optional(),
        }),
      },
      handler: async ({ principal, params, body }) => {
        const { version, labels, percent, maxFailedPercent } = body;
        const ring = await rolloutBuild(deps, {
          ring: params.ring,
          version,
          actor: principal,
          ...(labels === undefined ? {} : { labels: parseLabels(labels) }),
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
      handler: async ({ principal, params, body }) =>
        view(await haltRing(deps, { ring: params.ring, reason: body.reason ?? 'by an operator', actor: principal })),
    }),
    route({
      method: 'POST',
      path: '/v1/rings/:ring/pause',
      permission: 'artifacts.write',
      schema: { params: ringParams, body: z.strictObject({}) },
      handler: async ({ principal, params }) => view(await pauseRing(deps, { ring: params.ring, actor: principal })),
    }),
    route({
      method: 'POST',
      path: '/v1/rings/:ring/resume',
      permission: 'artifacts.write',
      schema: { params: ringParams, body: z.strictObject({}) },
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

function buildView({ version, platform, sha256, size, publishedAt, notAfter }: PublishedBuild): BuildView {
  return { version, platform, sha256, size, published: isoTime(publishedAt), expires: isoTime(notAfter) };
}

function ringView(ring: Ring, progress: Progress): RingView {
  const { name, halted, version, rollout, labels, percent, pin, maxFailedPercent, nodes } = ring;
  return {
    ring: name,
    state: stateOf(ring),
    reason: halted,
    ...{ version, rollout, labels, percent, pin, maxFailedPercent, nodes },
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

/**
 * Published builds of the agent. The control plane judges an upload as a node would, so that what no node takes is never
 * offered; it can't make a build, because it holds no artifact key.
 */
import { createHash } from 'node:crypto';
import type { Actor, AuditLog } from '../audit/port.ts';
import { type BlobDigest, type BlobStore, parseBlobDigest } from '../store/blobs.ts';
import { everyItem } from '../store/every-item.ts';
import type { Item, Key, Store, Write } from '../store/port.ts';
import { ArtifactError } from './errors.ts';
import { type ArtifactManifest, artifactSize, parseManifest } from './manifest.ts';
import { type Ring, readRings, ringsKey } from './rings.ts';
import { RolloutError } from './rollout-errors.ts';
import { openSigned } from './signed.ts';
import { trustedKeys } from './trusted-keys.ts';
import { verifyManifest } from './verify.ts';
import { compareVersions, type Version } from './version.ts';

/** A program is cut into parts of this size, so that neither end holds it whole. */
export const partBytes = 4 * 1024 * 1024;
export const maxAgentBytes = 256 * 1024 * 1024;
const maxParts = maxAgentBytes / partBytes;

export type PublishedBuild = {
  readonly version: Version;
  readonly platform: string;
  readonly sha256: string;
  readonly size: number;
  /** Milliseconds. */
  readonly notAfter: number;
  readonly publishedAt: number;
  /** The signed note. */
  readonly manifest: Uint8Array;
  readonly parts: readonly string[];
};

export type BuildDeps = {
  readonly store: Store;
  readonly blobs: Pick<BlobStore, 'get'>;
  readonly audit: AuditLog;
  readonly now: () => number;
};

export type PublishBuild = {
  /** Attacker-controlled, as are the parts. */
  readonly manifest: Uint8Array;
  readonly parts: readonly string[];
  readonly actor: Actor;
};

const partition = 'artifact';
const prefix = 'agent#';

export function buildKey(version: string, platform: string): Key {
  return { pk: partition, sk: `${prefix}${version}#${platform}` };
}

/** Newest version first. */
export async function listBuilds(store: Pick<Store, 'query'>): Promise<readonly PublishedBuild[]> {
  return (await Array.fromAsync(everyItem(store, { pk: partition, prefix }), parseBuild)).sort(compareBuilds);
}

/** Newest version first, then by platform. */
export function compareBuilds(
  a: Pick<PublishedBuild, 'version' | 'platform'>,
  b: Pick<PublishedBuild, 'version' | 'platform'>,
): number {
  return compareVersions(b.version, a.version) || (a.platform < b.platform ? -1 : Number(a.platform > b.platform));
}

export async function buildsOf(store: Pick<Store, 'query'>, version: string): Promise<readonly PublishedBuild[]> {
  return Array.fromAsync(everyItem(store, { pk: partition, prefix: `${prefix}${version}#` }), parseBuild);
}

export async function getBuild(store: Pick<Store, 'get'>, version: string, platform: string) {
  const item = await store.get(buildKey(version, platform));
  return item && parseBuild(item);
}

/** Publishes a build whose parts were uploaded. Refusals are audited. Publishing the same again changes nothing. Throws `RolloutError`. */
export async function publishBuild(deps: BuildDeps, request: PublishBuild): Promise<PublishedBuild> {
  try {
    return await publish(deps, request);
  } catch (error) {
    if (error instanceof RolloutError && error.code !== 'conflict') {
      // What the manifest says of itself is not recorded: nobody vouches for it.
      const object = { kind: 'artifact', id: 'unpublished' };
      const detail = { reason: error.reason };
      await deps.audit.deny({ type: 'artifact.refuse', actor: request.actor, object, outcome: 'denied', detail });
    }
    throw error;
  }
}

async function publish(deps: BuildDeps, { manifest: note, parts, actor }: PublishBuild): Promise<PublishedBuild> {
  const { store, audit, now } = deps;
  const publishedAt = now();
  const manifest = await judge(store, note, publishedAt);
  const { version, platform, notAfter, files } = manifest;
  const [file] = files;
  if (file === undefined) throw new TypeError('a manifest has a file');
  const { sha256 } = file;
  const size = artifactSize(manifest);
  const build = { version, platform, sha256, size, notAfter, publishedAt, manifest: note, parts };
  const before = await buildsOf(store, version);
  const same = before.find((each) => each.platform === platform);
  if (same?.sha256 === sha256) return same;
  if (same !== undefined) throw new RolloutError('exists', `${version} is published for ${platform}, with other bytes`);
  await assertWhole(deps, build);
  const writes: Write[] = [
    { kind: 'put', item: { ...buildKey(version, platform), ...build }, when: { kind: 'absent' } },
  ];
  writes.push(...(await pinnedWrites(store, build)));
  const event = {
    type: 'artifact.publish',
    actor,
    object: { kind: 'artifact', id: `${version}/${platform}` },
    outcome: 'success',
    detail: { sha256, size },
  } as const;
  const outcome = await audit.append(event, writes);
  if (!outcome.ok) throw new RolloutError('conflict', 'somebody published or rolled out in the meantime; try again');
  return build;
}

async function judge(store: Store, note: Uint8Array, now: number): Promise<ArtifactManifest> {
  const keys = await trustedKeys(store);
  if (keys === undefined) throw new RolloutError('no_keys', 'no artifact keys are trusted here yet');
  try {
    // Which platform it is for, only its own signed text says: read after the signature was.
    const { platform } = parseManifest(openSigned(note, keys).text);
    const manifest = verifyManifest(note, keys, { kind: 'agent', name: 'holdfast-agent', platform }, now);
    if (manifest.platform === 'any' || manifest.files.length !== 1 || manifest.files[0]?.path !== 'holdfast-agent') {
      throw new ArtifactError('wrong_artifact', 'an agent is the one file holdfast-agent, for one platform');
    }
    if (artifactSize(manifest) > maxAgentBytes) throw new RolloutError('too_large', 'it is larger than any agent');
    return manifest;
  } catch (cause) {
    if (!(cause instanceof ArtifactError)) throw cause;
    throw new RolloutError('refused', cause.message, { cause, reason: cause.code });
  }
}

/** Every part is here, and together they are what was signed. */
async function assertWhole(deps: BuildDeps, build: Pick<PublishedBuild, 'sha256' | 'size' | 'parts'>): Promise<void> {
  const { parts, size, sha256 } = build;
  if (parts.length > maxParts) throw new RolloutError('too_large', `over ${maxParts} parts`);
  const hash = createHash('sha256');
  let length = 0;
  for (const digest of parts) {
    const part = await deps.blobs.get(parseBlobDigest(digest) as BlobDigest);
    if (part === undefined) throw new RolloutError('missing_part', `the part ${digest} was not uploaded`);
    length += part.length;
    if (length > size) break;
    hash.update(part);
  }
  if (length !== size || hash.digest('hex') !== sha256) {
    throw new RolloutError('refused', 'the parts are not the program that was signed', { reason: 'file_altered' });
  }
}

/** Rings that stay one version behind move on with each version that is new. */
async function pinnedWrites(store: Store, build: PublishedBuild): Promise<readonly Write[]> {
  const { revision, rings } = await readRings(store);
  if (!rings.some(({ pin }) => pin === 'n-1')) return [];
  const builds = [...(await listBuilds(store)), build];
  const version = previousVersion(builds);
  if (version === undefined) return [];
  const moved = rings.map((ring) =>
    ring.pin === 'n-1' && ring.version !== version ? given(ring, version, builds) : ring,
  );
  if (moved.every((ring, index) => ring === rings[index])) return [];
  return [
    {
      kind: 'put',
      item: { ...ringsKey, revision: revision + 1, rings: moved },
      when: { kind: 'equals', name: 'revision', value: revision },
    },
  ];
}

/** The ring with this version as its next rollout. */
export function given(ring: Ring, version: string, builds: readonly PublishedBuild[]): Ring {
  const programs = builds.filter((each) => each.version === version).map((each) => [each.platform, each.sha256]);
  return { ...ring, version, builds: Object.fromEntries(programs), rollout: ring.rollout + 1 };
}

/** The newest published version but one. */
export function previousVersion(builds: readonly PublishedBuild[]): Version | undefined {
  const versions = [...new Set(builds.map(({ version }) => version))].sort((a, b) => compareVersions(b, a));
  return versions[1];
}

function parseBuild(item: Item): PublishedBuild {
  const { pk, sk, ...build } = item;
  return build as unknown as PublishedBuild;
}

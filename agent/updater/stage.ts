/**
 * Taking a new build: judged by its signed manifest before a byte of it is fetched, written to the slot that is not in
 * use, measured, and only then put on trial. Until the last step the agent that runs is the agent that would start.
 */
import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { ArtifactError, isManifestErrorCode } from '../../lib/artifacts/errors.ts';
import type { ArtifactManifest } from '../../lib/artifacts/manifest.ts';
import { verifyManifest } from '../../lib/artifacts/verify.ts';
import { compareVersions } from '../../lib/artifacts/version.ts';
import { systemCode } from '../errors.ts';
import { type UpdateDisk, writeWhole } from './disk.ts';
import { UpdateError, type UpdateErrorCode } from './errors.ts';
import { agentFile, floorOf, type Installation, knownState } from './installed.ts';
import { artifact, type Layout, type Slot } from './layout.ts';
import { writeUpdateState } from './state.ts';

/** No agent is larger; checked before anything is fetched. */
export const maxBuildBytes = 256 * 1024 * 1024;

/** What the control plane says that this node should run. Believed in nothing but as a wish. */
export type WantedBuild = {
  readonly rollout: number;
  readonly version: string;
  /** SHA-256 of the program, hexadecimal. */
  readonly sha256: string;
};

export type BuildSource = {
  /** The signed manifest, and the SHA-256 of each part that the program was cut into. */
  describe(): Promise<{ readonly manifest: Uint8Array; readonly parts: readonly string[] }>;
  /** One part. It was checked against its own digest, which proves nothing about the whole. */
  part(sha256: string): Promise<Uint8Array>;
};

/** When this returns, the next start tries the build. Throws `UpdateError`; what the source throws is passed on. */
export async function stageBuild(
  installation: Installation,
  wanted: WantedBuild,
  source: BuildSource,
  now: number,
): Promise<void> {
  const { disk, layout } = installation;
  const state = await knownState(installation);
  if (state.failed.some(({ sha256, rollout }) => sha256 === wanted.sha256 && rollout === wanted.rollout)) {
    throw new UpdateError('failed_before', `${wanted.version} was tried here and did not prove itself`);
  }
  const { manifest: note, parts } = await source.describe();
  const manifest = await judge(installation, wanted, note, now);
  const { sha256, size } = agentFile(manifest);
  const slot: Slot = state.active === 'a' ? 'b' : 'a';
  await onDisk(async () => {
    await empty(disk, layout, slot);
    await writeProgram(disk, layout, slot, { sha256, size }, parts, source);
    await writeWhole(disk, layout.manifest(slot), note, 0o644);
  });
  const trial = { slot, version: manifest.version, sha256, rollout: wanted.rollout, boots: 0 };
  await onDisk(() => writeUpdateState(disk, layout, { ...state, trial }));
}

/** Every reason to refuse a build that can be known before it is fetched. */
async function judge(
  installation: Installation,
  wanted: WantedBuild,
  note: Uint8Array,
  now: number,
): Promise<ArtifactManifest> {
  const { keys, platform } = installation;
  try {
    const given = note.length === 0 ? undefined : note;
    const manifest = verifyManifest(given, keys, { ...artifact, platform }, now);
    const { sha256, size } = agentFile(manifest);
    if (sha256 !== wanted.sha256 || manifest.version !== wanted.version) {
      throw new UpdateError(
        'not_offered',
        `the manifest is that of ${manifest.version}, and not of what was announced`,
      );
    }
    const floor = await floorOf(installation);
    const order = compareVersions(manifest.version, floor.version);
    if (order < 0) {
      throw new UpdateError('older', `${manifest.version} is older than ${floor.version}, which has run here`);
    }
    // The program that runs does not know its own digest; of the same version it takes nothing.
    if (order === 0 && floor.sha256 !== sha256) {
      throw new UpdateError('same_version', `these are other bytes of ${floor.version}, which has run here`);
    }
    if (size > maxBuildBytes) throw new UpdateError('too_large', `${size} bytes are no agent`);
    return manifest;
  } catch (cause) {
    if (cause instanceof ArtifactError) throw new UpdateError(refusalOf(cause), cause.message, { cause });
    throw cause;
  }
}

/** The manifest goes first: a slot without one is empty, whatever else is in it. */
async function empty(disk: UpdateDisk, layout: Layout, slot: Slot): Promise<void> {
  const folder = dirname(layout.program(slot));
  await disk.makeDirectory(folder);
  await disk.remove(layout.manifest(slot));
  await disk.remove(layout.program(slot));
  await disk.remove(draftOf(layout, slot));
  await disk.syncDirectory(folder);
  await disk.syncDirectory(dirname(folder));
  await disk.syncDirectory(layout.root);
}

async function writeProgram(
  disk: UpdateDisk,
  layout: Layout,
  slot: Slot,
  expected: { readonly sha256: string; readonly size: number },
  parts: readonly string[],
  source: BuildSource,
): Promise<void> {
  const draft = draftOf(layout, slot);
  const hash = createHash('sha256');
  let size = 0;
  const file = await disk.create(draft, 0o755);
  try {
    for (const digest of parts) {
      const part = await source.part(digest);
      size += part.length;
      // Before it is written: a source that never ends must not fill the disk.
      if (size > expected.size)
        throw new UpdateError('tampered', `more than the ${expected.size} bytes that were signed`);
      hash.update(part);
      await file.append(part);
    }
    if (size < expected.size) {
      throw new UpdateError('truncated', `${size} of the ${expected.size} bytes that were signed`);
    }
    if (hash.digest('hex') !== expected.sha256) {
      throw new UpdateError('tampered', 'the program does not have the SHA-256 that was signed');
    }
    await file.sync();
    await file.close();
  } catch (error) {
    await file.close().catch(() => undefined);
    await disk.remove(draft).catch(() => undefined);
    throw error;
  }
  await disk.rename(draft, layout.program(slot));
  await disk.syncDirectory(dirname(draft));
}

function draftOf(layout: Layout, slot: Slot): string {
  return `${layout.program(slot)}.new`;
}

async function onDisk(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (cause) {
    const code = systemCode(cause);
    // Refusals and the source's own errors have codes too; the system's are in capitals.
    if (code === undefined || !/^E[A-Z0-9]+$/.test(code)) throw cause;
    if (code === 'ENOSPC' || code === 'EDQUOT') throw new UpdateError('no_space', 'there is no room for it', { cause });
    throw new UpdateError('disk', `it could not be written: ${code}`, { cause });
  }
}

/** Errors about files can't be: none was looked at yet. */
function refusalOf({ code }: ArtifactError): UpdateErrorCode {
  return isManifestErrorCode(code) ? code : 'malformed';
}

/**
 * update.json: what the launcher and the updater know from one start to the next. A convenience for all but the trial:
 * without the file nothing older is ever taken, because the floor is then found again from the signed manifests.
 */
import { z } from 'zod';
import { compareVersions, parseVersion, type Version } from '../../lib/artifacts/version.ts';
import type { UpdateDisk } from './disk.ts';
import { writeWhole } from './disk.ts';
import type { Layout } from './layout.ts';

const version = z.string().transform((text) => parseVersion(text));
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const build = z.strictObject({ version, sha256 });
const slot = z.enum(['a', 'b']);

const schema = z.strictObject({
  v: z.literal(1),
  /** Where the build is that has proved itself last. */
  active: z.enum(['own', 'a', 'b']),
  /** The highest version that was ever started here. */
  floor: build.optional(),
  /** A new build that has yet to prove itself, and how often it was started. */
  trial: z.strictObject({ slot, version, sha256, rollout: z.int(), boots: z.int() }).optional(),
  /** Builds that did not prove themselves, newest first. */
  failed: z.array(z.strictObject({ sha256, rollout: z.int() })).max(16),
  /** How the last update ended; removed when the control plane knows. */
  outcome: z
    .strictObject({
      rollout: z.int(),
      version,
      result: z.enum(['confirmed', 'rolled_back']),
      reason: z.string().max(64),
      /** What ran before and, after `rolled_back`, runs again. */
      from: version,
    })
    .optional(),
});

export type UpdateState = z.infer<typeof schema>;
export type Build = { readonly version: Version; readonly sha256: string };

export const freshState: UpdateState = { v: 1, active: 'own', failed: [] };

const maxFailed = 16;

/** Undefined when there is none, or none that can be read. */
export async function readUpdateState(disk: UpdateDisk, layout: Layout): Promise<UpdateState | undefined> {
  const bytes = await disk.read(layout.stateFile);
  if (bytes === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch {
    return undefined;
  }
}

export async function writeUpdateState(disk: UpdateDisk, layout: Layout, state: UpdateState): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify(schema.parse(state), undefined, 2)}\n`);
  await writeWhole(disk, layout.stateFile, bytes, 0o600);
}

/** The higher of the two; the first when they are the same version. */
export function higher(a: Build | undefined, b: Build | undefined): Build | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return compareVersions(a.version, b.version) >= 0 ? a : b;
}

export function withFailed(state: UpdateState, sha256: string, rollout: number): UpdateState['failed'] {
  const others = state.failed.filter((each) => each.sha256 !== sha256);
  return [{ sha256, rollout }, ...others].slice(0, maxFailed);
}

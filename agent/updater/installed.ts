/** The builds that lie in the layout, each against its signed manifest. */
import { ArtifactError, type ArtifactErrorCode } from '../../lib/artifacts/errors.ts';
import type { ArtifactKeys } from '../../lib/artifacts/keys.ts';
import type { ArtifactManifest } from '../../lib/artifacts/manifest.ts';
import { verifyManifest } from '../../lib/artifacts/verify.ts';
import type { Version } from '../../lib/artifacts/version.ts';
import type { UpdateDisk } from './disk.ts';
import { artifact, type BuildPlace, fileName, type Layout, type Slot } from './layout.ts';
import { type Build, freshState, higher, readUpdateState, type UpdateState } from './state.ts';

export type Installation = {
  readonly disk: UpdateDisk;
  readonly layout: Layout;
  /** Compiled into this very program. */
  readonly keys: ArtifactKeys;
  readonly platform: string;
  readonly version: Version;
};

/** The one file of an agent's manifest. Throws `ArtifactError`. */
export function agentFile(manifest: ArtifactManifest): ArtifactManifest['files'][number] {
  const [file, ...more] = manifest.files;
  if (file === undefined || file.path !== fileName || more.length > 0) {
    throw new ArtifactError('wrong_artifact', `an agent is the one file ${fileName}`);
  }
  return file;
}

/**
 * The build in a slot, verified to its last byte. A manifest's last day ends installing it, not running it: a fleet
 * must not stop because nobody released anything for a year.
 */
export async function verifySlot(
  { disk, layout, keys, platform }: Installation,
  slot: Slot,
): Promise<Build | { readonly invalid: ArtifactErrorCode }> {
  try {
    const note = await disk.read(layout.manifest(slot));
    const manifest = verifyManifest(note, keys, { ...artifact, platform }, 0);
    const { size, sha256 } = agentFile(manifest);
    const found = await disk.measure(layout.program(slot));
    if (found === undefined) return { invalid: 'file_missing' };
    if (found.size !== size || found.sha256 !== sha256) return { invalid: 'file_altered' };
    return { version: manifest.version, sha256 };
  } catch (error) {
    if (error instanceof ArtifactError) return { invalid: error.code };
    return { invalid: 'file_unreadable' };
  }
}

/**
 * The state as it is written down or, where that was lost, as the signed builds show it: the newest good one is put on
 * trial anew, so that a loss neither runs what never proved itself unwatched nor goes back behind it for good.
 */
export async function knownState(installation: Installation): Promise<UpdateState> {
  const { disk, layout } = installation;
  const written = await readUpdateState(disk, layout);
  if (written !== undefined) return written;
  const found = await Promise.all(
    (['a', 'b'] as const).map(async (slot) => ({ slot, build: await verifySlot(installation, slot) })),
  );
  const good = found.flatMap(({ slot, build }) => ('invalid' in build ? [] : [{ slot, ...build }]));
  const newest = good.find((each) => good.every((other) => higher(each, other) === each));
  if (newest === undefined) return freshState;
  const active: BuildPlace = good.find((each) => each !== newest)?.slot ?? 'own';
  return { ...freshState, active, floor: pick(newest), trial: { ...newest, rollout: 0, boots: 0 } };
}

/** What nothing older than may ever be taken: this program itself, whatever was run, and what lies here signed. */
export async function floorOf(installation: Installation): Promise<Build> {
  const { disk, layout, version } = installation;
  const own = { version, sha256: '' };
  const state = await readUpdateState(disk, layout);
  let floor = higher(state?.floor, own) ?? own;
  if (state === undefined) {
    for (const slot of ['a', 'b'] as const) {
      const build = await verifySlot(installation, slot);
      if (!('invalid' in build)) floor = higher(build, floor) ?? floor;
    }
  }
  return floor;
}

function pick({ version, sha256 }: Build): Build {
  return { version, sha256 };
}

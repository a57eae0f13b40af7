/**
 * The launcher: what the service manager starts, and the part of an installed agent that no update replaces. It starts
 * the build that has proved itself, or tries the new one; and it goes back when the new one crashes, hangs or can't
 * check in, however early. What it starts was verified to the last byte by keys that are compiled into the launcher.
 */
import type { Logger } from 'pino';
import { compareVersions } from '../../lib/artifacts/version.ts';
import { type Installation, knownState, verifySlot } from './installed.ts';
import type { BuildPlace, Slot } from './layout.ts';
import { freshState, higher, type UpdateState, withFailed, writeUpdateState } from './state.ts';

/** Starts of a build on trial, those included that a reboot or a kill of the launcher cut off. */
export const maxBoots = 3;

/** How a build on trial came out. `stopped`: the launcher itself was asked to end, which says nothing about the build. */
export type TrialEnd = 'healthy' | 'exited' | 'deadline' | 'stopped';

export type Launch = {
  /** Starts the program, and resolves when it proved itself, ended, or its deadline passed; nothing of it is left then. */
  tryBuild(slot: Slot): Promise<TrialEnd>;
};

/** Which build is to run from now on, unwatched; or nothing, because the launcher was asked to end. */
export async function launch(
  installation: Installation,
  { tryBuild }: Launch,
  logger: Pick<Logger, 'info' | 'warn' | 'error'>,
): Promise<BuildPlace | 'stopped'> {
  const { disk, layout } = installation;
  const write = (state: UpdateState) => writeUpdateState(disk, layout, state);
  for (;;) {
    const state = await knownState(installation);
    const { trial } = state;
    if (trial === undefined) {
      const next = await afterTrial(installation, state, logger);
      if (typeof next === 'string') return next;
      await write(next);
      continue;
    }
    const build = await verifySlot(installation, trial.slot);
    if ('invalid' in build || build.sha256 !== trial.sha256) {
      const reason = 'invalid' in build ? build.invalid : 'file_altered';
      await write(await rolledBack(installation, state, reason, logger));
      continue;
    }
    if (trial.boots >= maxBoots) {
      await write(await rolledBack(installation, state, 'exited', logger));
      continue;
    }
    const floor = higher(build, state.floor) ?? build;
    const started: UpdateState = { ...state, floor, trial: { ...trial, boots: trial.boots + 1 } };
    // Before it runs: a build that takes the machine down with it is counted all the same.
    await write(started);
    logger.info({ version: trial.version, slot: trial.slot, boot: trial.boots + 1 }, 'A new build is tried.');
    const end = await tryBuild(trial.slot);
    switch (end) {
      case 'healthy':
        await write(await confirmed(installation, started));
        logger.info({ version: trial.version, slot: trial.slot }, 'The new build proved itself.');
        continue;
      case 'exited':
        continue;
      case 'deadline':
        await write(await rolledBack(installation, started, 'deadline', logger));
        continue;
      case 'stopped':
        await write({ ...started, trial: { ...trial } });
        return 'stopped';
      default:
        end satisfies never;
    }
  }
}

/**
 * The build that proved itself. If it is damaged, the installed one takes its place, and what is in the other slot is
 * tried before that, watched: it may be the build before, and it may be one that never ran.
 */
async function afterTrial(
  installation: Installation,
  state: UpdateState,
  logger: Pick<Logger, 'error'>,
): Promise<BuildPlace | UpdateState> {
  const { active } = state;
  if (active === 'own') return 'own';
  const build = await verifySlot(installation, active);
  // A package brought something newer than the last self-update.
  if (!('invalid' in build) && compareVersions(installation.version, build.version) > 0) return 'own';
  if (!('invalid' in build)) return active;
  logger.error({ slot: active, reason: build.invalid }, 'A build is not what was signed, and is not started.');
  const slot: Slot = active === 'a' ? 'b' : 'a';
  const other = await verifySlot(installation, slot);
  const isWorthTrying = !('invalid' in other) && !state.failed.some(({ sha256 }) => sha256 === other.sha256);
  return { ...state, active: 'own', ...(isWorthTrying ? { trial: { slot, ...other, rollout: 0, boots: 0 } } : {}) };
}

async function confirmed(installation: Installation, state: UpdateState): Promise<UpdateState> {
  const { trial, ...rest } = state;
  if (trial === undefined) return state;
  const { rollout, version, slot } = trial;
  const from = await versionAt(installation, state.active);
  return { ...rest, active: slot, outcome: { rollout, version, result: 'confirmed', reason: '', from } };
}

async function rolledBack(
  installation: Installation,
  state: UpdateState,
  reason: string,
  logger: Pick<Logger, 'warn'>,
): Promise<UpdateState> {
  const { trial, ...rest } = state;
  if (trial === undefined) return state;
  const { rollout, version, sha256 } = trial;
  logger.warn({ version, reason }, 'The new build did not prove itself; the one before it goes on.');
  const from = await versionAt(installation, state.active);
  const failed = withFailed(state, sha256, rollout);
  return { ...freshState, ...rest, failed, outcome: { rollout, version, result: 'rolled_back', reason, from } };
}

async function versionAt(installation: Installation, place: BuildPlace) {
  if (place === 'own') return installation.version;
  const build = await verifySlot(installation, place);
  return 'invalid' in build ? installation.version : build.version;
}

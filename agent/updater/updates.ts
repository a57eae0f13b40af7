/**
 * Self-update as the daemon sees it: say that this build proved itself, tell the control plane how the last update
 * ended, and take the build that it wants of this node. None of it stands in the way of a run.
 */
import type { Logger } from 'pino';
import type { Session } from '../session.ts';
import { UpdateError, type UpdateErrorCode } from './errors.ts';
import { type Installation, knownState } from './installed.ts';
import { stageBuild, type WantedBuild } from './stage.ts';
import { writeUpdateState } from './state.ts';

/** A build that was refused is looked at again after this long: a full disk may have room by then. */
const refusedRetryMs = 60 * 60_000;

export interface Updates {
  /** This process has checked in, run its policy, and reported. */
  proved(): void;
  /** Whether a new build waits for the next start; the daemon ends then. Throws `SessionError`. */
  pursue(session: UpdateSession, wanted: WantedBuild | undefined): Promise<boolean>;
}

export type UpdateSession = Pick<Session, 'fetchBuild' | 'reportUpdate' | 'download'>;

export type UpdateResult = 'confirmed' | 'rolled_back' | 'refused' | 'not_possible';

export type UpdateDeps = {
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  readonly now: () => number;
  readonly installation: Installation;
  /** Tells the launcher; undefined when this build is not on trial. */
  readonly tellHealthy?: () => void;
};

export function createUpdates({ logger, now, installation, tellHealthy }: UpdateDeps): Updates {
  const refusals = createRefusals(now);
  let isProved = false;

  return {
    proved() {
      if (isProved) return;
      isProved = true;
      tellHealthy?.();
    },
    async pursue(session, wanted) {
      // While on trial the state is the launcher's alone, and there is nothing to take yet.
      if (tellHealthy !== undefined) return false;
      await reportOutcome(installation, session);
      if (wanted === undefined || refusals.isWaiting(wanted)) return false;
      try {
        logger.info({ version: wanted.version }, 'A new build of the agent is wanted; it is fetched.');
        await stageBuild(installation, wanted, sourceOf(session, wanted), now());
        logger.info({ version: wanted.version }, 'The new build verified, and is tried now.');
        return true;
      } catch (error) {
        if (!(error instanceof UpdateError)) throw error;
        logger.warn({ code: error.code, reason: error.message }, 'A build of the agent was refused.');
        refusals.add(wanted);
        // The launcher's report of it says more, and was sent already.
        if (error.code !== 'failed_before') {
          await report(session, wanted, 'refused', error.code, installation.version);
        }
        return false;
      }
    },
  };
}

/** For an agent that can't replace itself: what is asked of it is answered with the reason. */
export function refuseUpdates(
  code: UpdateErrorCode & ('not_one_file' | 'not_installed'),
  deps: { readonly logger: Pick<Logger, 'warn'>; readonly now: () => number; readonly version: string },
): Updates {
  const refusals = createRefusals(deps.now);
  const why = {
    not_one_file: 'This agent runs from a checkout, so it does not update itself: update the checkout.',
    not_installed: 'This agent was not started by its launcher, so it does not update itself: holdfast-agent install.',
  } as const;
  return {
    proved: () => undefined,
    async pursue(session, wanted) {
      if (wanted !== undefined && !refusals.isWaiting(wanted)) {
        deps.logger.warn({ version: wanted.version }, why[code]);
        refusals.add(wanted);
        await report(session, wanted, 'not_possible', code, deps.version);
      }
      return false;
    },
  };
}

async function reportOutcome(installation: Installation, session: UpdateSession): Promise<void> {
  const { disk, layout } = installation;
  const { outcome, ...rest } = await knownState(installation);
  if (outcome === undefined) return;
  await report(session, outcome, outcome.result, outcome.reason, outcome.from);
  await writeUpdateState(disk, layout, rest);
}

async function report(
  session: UpdateSession,
  about: Pick<WantedBuild, 'rollout' | 'version'>,
  result: UpdateResult,
  reason: string,
  from: string,
): Promise<void> {
  // Rollout 0 is none of the control plane's: the launcher tried what it found here.
  if (about.rollout === 0) return;
  await session.reportUpdate({ rollout: about.rollout, version: about.version, result, reason, from });
}

function sourceOf(session: UpdateSession, { sha256 }: WantedBuild) {
  return {
    describe: () => session.fetchBuild(sha256),
    part: (digest: string) => session.download(digest),
  };
}

function createRefusals(now: () => number) {
  const until = new Map<string, number>();
  const key = ({ rollout, sha256 }: WantedBuild) => `${rollout} ${sha256}`;
  return {
    isWaiting: (wanted: WantedBuild) => (until.get(key(wanted)) ?? 0) > now(),
    add(wanted: WantedBuild) {
      // One at a time is wanted; what was before is of no interest.
      until.clear();
      until.set(key(wanted), now() + refusedRetryMs);
    },
  };
}

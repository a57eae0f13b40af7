/**
 * What the agent does with its control plane, step by step: check in, adopt a new release, send reports. The control
 * plane is not trusted: what it sends is followed only once it verified against the pinned fleet, and otherwise the
 * held release goes on and the refusal is reported.
 */
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Logger } from 'pino';
import { fromHex } from '../lib/crypto/encoding.ts';
import type { ProcessWatch } from '../lib/hardening/watch.ts';
import { PolicyError } from '../lib/policy/errors.ts';
import { type RunReport, RunReportSchema } from '../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { describeError } from './converge.ts';
import { AgentError } from './errors.ts';
import type { FactsSource } from './facts-source.ts';
import type { HeldRelease } from './held-release.ts';
import type { LogWitness } from './log-witness.ts';
import type { ReportQueue } from './queue.ts';
import type { OfferedBuild, Session } from './session.ts';
import { SessionError } from './session-error.ts';

export type ControlPlaneDeps = {
  readonly held: HeldRelease;
  readonly queue: ReportQueue;
  readonly agentVersion: string;
  readonly logger: Logger;
  readonly facts: FactsSource;
  now(): number;
  runId(): string;
  /** Follows the audit log at check-ins. */
  readonly log?: LogWitness;
  /** Looks at this process at check-ins. */
  readonly watch?: ProcessWatch;
  /** The epoch at which this process last had its secrets, and what it does with a newer one. */
  readonly secrets?: { epoch(): number; announce(epoch: number): void };
};

export type CheckedIn = {
  readonly nextCheckInMs: number;
  readonly quarantined: boolean;
  /** `none`: what is held is current. `refused`: what was offered doesn't verify, and was reported. */
  readonly release: 'none' | 'adopted' | 'refused';
  /** Some secret of the fleet has changed since this process had its own. */
  readonly secretsChanged: boolean;
  /** The build that this node should run, when it is not the one that runs. */
  readonly build?: OfferedBuild;
};

/** Checks in and adopts the current release when it is another one. Throws `SessionError`. */
export async function checkIn(deps: ControlPlaneDeps, session: Session): Promise<CheckedIn> {
  const held = await heldReference(deps);
  const facts = await deps.facts.latest();
  const answer = await session.checkIn({
    agentVersion: deps.agentVersion,
    factsDigest: facts.digest,
    secretsEpoch: deps.secrets?.epoch() ?? 0,
    ...(held === undefined ? {} : { release: held }),
  });
  await deps.log?.follow(session);
  await reportFindings(deps, session);
  const { nextCheckInMs, quarantined, secretsEpoch, build } = answer;
  if (answer.factsWanted) {
    await reportFacts(deps, session, facts.bytes);
  }
  const secretsChanged = secretsEpoch !== undefined && !quarantined;
  if (secretsChanged) {
    deps.secrets?.announce(secretsEpoch);
  }
  const said = { nextCheckInMs, quarantined, secretsChanged, ...(build === undefined ? {} : { build }) };
  if (answer.release === undefined || quarantined) {
    return { ...said, release: 'none' };
  }
  return { ...said, release: await adopt(deps, session) };
}

/** The policy goes on whoever is in this process; that somebody is there is told. */
async function reportFindings({ watch, logger }: ControlPlaneDeps, session: Session): Promise<void> {
  const findings = watch?.look().slice(0, 16) ?? [];
  if (findings.length === 0) {
    return;
  }
  logger.warn({ findings }, 'Somebody else is in this process, or was at its start.');
  try {
    await session.reportFindings(findings);
    watch?.told(findings);
  } catch (error) {
    if (!(error instanceof SessionError && error.code === 'refused')) {
      throw error;
    }
    logger.warn({ reason: error.reason }, 'The control plane did not take the findings of this node.');
  }
}

/** Nothing depends on facts being known over there, so a refusal is only told. */
async function reportFacts(deps: ControlPlaneDeps, session: Session, facts: Uint8Array): Promise<void> {
  try {
    await session.reportFacts(facts);
  } catch (error) {
    if (!(error instanceof SessionError && error.code === 'refused')) {
      throw error;
    }
    deps.logger.warn({ reason: error.reason }, 'The control plane did not take the facts of this node.');
  }
}

/** Sends the reports that wait. Throws `SessionError`. */
export async function sendReports(deps: ControlPlaneDeps, session: Session): Promise<number> {
  return deps.queue.flush(async (report) => {
    try {
      await session.reportRun(report);
      return 'taken';
    } catch (error) {
      if (error instanceof SessionError && error.code === 'refused' && error.reason === 'INVALID_REPORT') {
        deps.logger.error({ runId: report.runId, err: error }, 'The control plane refuses a report for good.');
        return 'refused';
      }
      throw error;
    }
  });
}

/** A release that is held but can't be read any more is asked for again; the floor still guards against older ones. */
async function heldReference(deps: ControlPlaneDeps): Promise<{ number: number; digest: string } | undefined> {
  try {
    const release = await deps.held.load(deps.now());
    return release === undefined ? undefined : { number: release.manifest.number, digest: release.digest };
  } catch (error) {
    if (error instanceof PolicyError && error.code === 'expired') {
      return deps.held.floor();
    }
    deps.logger.warn({ reason: describeError(error) }, 'The held release is not usable.');
    return undefined;
  }
}

async function adopt(deps: ControlPlaneDeps, session: Session): Promise<'none' | 'adopted' | 'refused'> {
  const fetched = await session.fetchRelease();
  if (fetched === undefined) {
    return 'none';
  }
  try {
    const release = await deps.held.adopt(fetched, {
      now: deps.now(),
      download: (sha256) => session.download(sha256),
    });
    deps.logger.info({ release: release.manifest.number, digest: release.digest }, 'A new release is held.');
    return 'adopted';
  } catch (error) {
    // A session that broke is no fault of the release.
    if (error instanceof SessionError && error.code !== 'refused' && error.code !== 'protocol') {
      throw error;
    }
    if (error instanceof AgentError && error.code === 'busy') {
      deps.logger.info('Another run is under way, so the new release waits for the next check-in.');
      return 'none';
    }
    deps.logger.error({ reason: describeError(error) }, 'A release was refused, and the held one stays.');
    await deps.queue.add(await refusalReport(deps, error));
    return 'refused';
  }
}

/** The control plane learns which check failed; it is audited there, and shows that somebody offered a bad release. */
async function refusalReport(deps: ControlPlaneDeps, error: unknown): Promise<RunReport> {
  const held = await deps.held.floor().catch(() => undefined);
  return create(RunReportSchema, {
    runId: deps.runId(),
    started: timestampFromMs(deps.now()),
    releaseNumber: held?.number ?? 0,
    releaseDigest: held === undefined ? new Uint8Array() : fromHex(held.digest),
    error: `a release was refused: ${describeError(error)}`,
  });
}

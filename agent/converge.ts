/**
 * Converging: the held release, verified anew, becomes this node's resources, the engine runs them, and a report says
 * what came of it. Whatever stops the run before its first resource is in the report too, and nothing is changed then.
 */
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { fromHex } from '../lib/crypto/encoding.ts';
import { PolicyError } from '../lib/policy/errors.ts';
import type { Release } from '../lib/policy/verify.ts';
import {
  type RunReport,
  RunReportSchema,
  ResultKind as WireResult,
} from '../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { type EngineDeps, type ResourceOutcome, type ResultKind, runResources } from './engine.ts';
import { messageOf } from './errors.ts';
import type { HeldRelease } from './held-release.ts';
import { prepareResources, type ResourceDeps } from './resources.ts';
import { type NodeSecrets, openResourceSecrets } from './secrets-of-run.ts';

export type ConvergeDeps = Omit<EngineDeps, 'blob'> &
  Omit<ResourceDeps, 'blob'> & {
    readonly held: HeldRelease;
    /** A new UUID: reporting one run twice must be seen as one run. */
    runId(): string;
    /** Where secrets come from; without it, what needs one fails. */
    readonly secrets?: NodeSecrets;
  };

export type ConvergeOptions = {
  readonly dryRun: boolean;
  /** Takes only what depends on a secret that has changed since it was applied, and what that notifies. */
  readonly secretsOnly?: boolean;
  readonly stop?: AbortSignal;
  readonly onOutcome?: (outcome: ResourceOutcome) => void;
};

export type Run = { readonly report: RunReport; readonly outcomes: readonly ResourceOutcome[]; readonly error: string };

/**
 * So that a report fits into one request, whatever the run found. Results stay, reasons go: first those of what went
 * well, since a failure without its reason helps nobody.
 */
const maxReasonBytes = 128 * 1024;

/** One run. Never throws for what a release or a machine can bring about: that is what the report is for. */
export async function converge(deps: ConvergeDeps, options: ConvergeOptions): Promise<Run> {
  const started = deps.now();
  let release: Release | undefined;
  let outcomes: readonly ResourceOutcome[] = [];
  let error = '';
  try {
    release = await deps.held.load(started);
    if (release !== undefined) {
      const { resources, blob } = await prepareResources(release, {
        ...deps,
        blob: (sha256) => deps.held.blob(sha256),
      });
      const secrets = openResourceSecrets(deps, release.digest, resources);
      try {
        outcomes = await runResources(
          { ...deps, ...secrets.hooks, blob: async (sha256) => secrets.blob(sha256) ?? blob(sha256) },
          resources,
          { ...options, ...(options.secretsOnly === true ? { only: await secrets.changed() } : {}) },
        );
        secrets.settle();
      } catch (cause) {
        error = secrets.hooks.redact(describeError(cause));
      } finally {
        secrets.close();
      }
    }
  } catch (cause) {
    error = describeError(cause);
  }
  const floor = release ?? (await deps.held.floor().catch(() => undefined));
  const reference =
    floor === undefined
      ? undefined
      : 'manifest' in floor
        ? { number: floor.manifest.number, digest: floor.digest }
        : floor;
  const report = create(RunReportSchema, {
    runId: deps.runId(),
    started: timestampFromMs(started),
    durationMs: Math.max(0, Math.round(deps.now() - started)),
    releaseNumber: reference?.number ?? 0,
    releaseDigest: reference === undefined ? new Uint8Array() : fromHex(reference.digest),
    dryRun: options.dryRun,
    results: withinBudget(outcomes).map(({ resource, result, reason, durationMs }) => ({
      resource,
      result: wireResult(result),
      reason,
      durationMs,
    })),
    error,
  });
  return { report, outcomes, error };
}

/** What went wrong with a release or a run, with its stable code where it has one. */
export function describeError(error: unknown): string {
  return error instanceof PolicyError ? `${error.code}: ${error.message}` : messageOf(error);
}

function withinBudget(outcomes: readonly ResourceOutcome[]): readonly ResourceOutcome[] {
  let left = maxReasonBytes;
  const kept = new Set<ResourceOutcome>();
  const isTrouble = ({ result }: ResourceOutcome) => result === 'failed' || result === 'blocked';
  for (const outcome of [...outcomes.filter(isTrouble), ...outcomes.filter((one) => !isTrouble(one))]) {
    left -= Buffer.byteLength(outcome.reason);
    if (left < 0) {
      break;
    }
    kept.add(outcome);
  }
  return outcomes.map((outcome) => (kept.has(outcome) ? outcome : { ...outcome, reason: '' }));
}

function wireResult(result: ResultKind): WireResult {
  switch (result) {
    case 'unchanged':
      return WireResult.UNCHANGED;
    case 'created':
      return WireResult.CREATED;
    case 'updated':
      return WireResult.UPDATED;
    case 'removed':
      return WireResult.REMOVED;
    case 'skipped':
      return WireResult.SKIPPED;
    case 'blocked':
      return WireResult.BLOCKED;
    case 'failed':
      return WireResult.FAILED;
    default:
      return result satisfies never;
  }
}

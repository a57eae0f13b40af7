/** Reports of runs, as nodes send them: parsed, bounded, and cleaned before anything of them is stored. */
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { toHex } from '../../lib/crypto/encoding.ts';
import type { ReleaseRef } from '../../lib/identity/nodes.ts';
import { type ResourceResult, ResultKind, type RunReport } from '../../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { RequestRefused } from './refusals.ts';
import { cleanText } from './text.ts';

export const maxResults = 5_000;
/** All texts of one stored run together, well below the store's limit for an item. */
export const maxRunTextBytes = 200 * 1024;

export type ResultName = 'unchanged' | 'created' | 'updated' | 'removed' | 'skipped' | 'blocked' | 'failed';

export type RunResult = {
  /** crate/type/name. */
  readonly resource: string;
  readonly result: ResultName;
  readonly reason: string;
  readonly durationMs: number;
};

export type Run = {
  readonly runId: string;
  readonly startedAt: number;
  readonly durationMs: number;
  /** None when the node held no release. */
  readonly release?: ReleaseRef;
  readonly dryRun: boolean;
  readonly counts: { readonly [Name in ResultName]: number };
  /** Those that matter first when not all fit: what changed or failed is kept before what was in order. */
  readonly results: readonly RunResult[];
  /** Results beyond what is kept; they are counted in `counts`. */
  readonly omitted: number;
  readonly droppedRuns: number;
  readonly error: string;
};

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const dayMs = 24 * 60 * 60 * 1000;
const earliest = Date.UTC(2020, 0, 1);

/** Throws `RequestRefused` `INVALID_REPORT`. A node's clock may be wrong, but not wildly. */
export function parseRunReport(report: RunReport | undefined, now: number): Run {
  if (!report) throw invalid('The report is missing.');
  if (!uuidPattern.test(report.runId)) throw invalid('The run id is not a UUID.');
  const startedAt = report.started ? timestampMs(report.started) : Number.NaN;
  if (!(startedAt >= earliest && startedAt <= now + dayMs))
    throw invalid('The start of the run is not a possible time.');
  if (report.results.length > maxResults) throw invalid(`A run has at most ${maxResults} results.`);
  if (report.releaseNumber > 0 && report.releaseDigest.length !== 32) throw invalid('The digest is not of SHA-256.');
  const counts = { unchanged: 0, created: 0, updated: 0, removed: 0, skipped: 0, blocked: 0, failed: 0 };
  const parsed = report.results.map(parseResult);
  for (const { result } of parsed) counts[result] += 1;
  const results = keepWhatFits(parsed);
  return {
    runId: report.runId,
    startedAt: Math.floor(startedAt),
    durationMs: report.durationMs,
    ...(report.releaseNumber > 0
      ? { release: { number: report.releaseNumber, digest: toHex(report.releaseDigest) } }
      : {}),
    dryRun: report.dryRun,
    counts,
    results,
    omitted: parsed.length - results.length,
    droppedRuns: report.droppedRuns,
    error: cleanText(report.error, 500),
  };
}

function parseResult({ resource, result, reason, durationMs }: ResourceResult): RunResult {
  const name = resultName(result);
  if (!name) throw invalid('A result is of no known kind.');
  return { resource: cleanText(resource, 512), result: name, reason: cleanText(reason, 500), durationMs };
}

function keepWhatFits(results: readonly RunResult[]): readonly RunResult[] {
  const kept = new Set<RunResult>();
  let bytes = 0;
  const inOrder = (result: RunResult) => result.result === 'unchanged' || result.result === 'skipped';
  for (const result of [...results.filter((r) => !inOrder(r)), ...results.filter(inOrder)]) {
    bytes += Buffer.byteLength(result.resource) + Buffer.byteLength(result.reason) + 64;
    if (bytes > maxRunTextBytes) break;
    kept.add(result);
  }
  return results.filter((result) => kept.has(result));
}

function resultName(kind: ResultKind): ResultName | undefined {
  switch (kind) {
    case ResultKind.UNCHANGED:
      return 'unchanged';
    case ResultKind.CREATED:
      return 'created';
    case ResultKind.UPDATED:
      return 'updated';
    case ResultKind.REMOVED:
      return 'removed';
    case ResultKind.SKIPPED:
      return 'skipped';
    case ResultKind.BLOCKED:
      return 'blocked';
    case ResultKind.FAILED:
      return 'failed';
    default:
      return undefined;
  }
}

function invalid(message: string): RequestRefused {
  return new RequestRefused('INVALID_REPORT', message);
}

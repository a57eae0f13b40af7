/** What a node says of its update: attacker-controlled, so closed words and bounded text only. */
import type { UpdateOutcome, UpdateResult } from '../../lib/artifacts/outcomes.ts';
import { parseVersion } from '../../lib/artifacts/version.ts';
import { type ReportUpdate, UpdateResult as WireResult } from '../../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { RequestRefused } from './refusals.ts';

const results: { readonly [wire: number]: UpdateResult } = {
  [WireResult.CONFIRMED]: 'confirmed',
  [WireResult.ROLLED_BACK]: 'rolled_back',
  [WireResult.REFUSED]: 'refused',
  [WireResult.NOT_POSSIBLE]: 'not_possible',
};

/** Throws `RequestRefused`. */
export function parseUpdateReport({ rollout, version, result: wire, reason, from }: ReportUpdate): UpdateOutcome {
  const result = results[wire];
  if (rollout < 1 || result === undefined || !/^[a-z0-9_]{0,64}$/.test(reason)) throw invalid();
  try {
    return { rollout, version: parseVersion(version), result, reason, from: parseVersion(from) };
  } catch {
    throw invalid();
  }
}

function invalid(): RequestRefused {
  return new RequestRefused('INVALID_REPORT', 'The report of an update is malformed.');
}

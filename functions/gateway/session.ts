/** The session: an agent checks in, fetches the release, and reports its runs. */

import type { UpdateOutcome } from '../../lib/artifacts/outcomes.ts';
import { wantedBuild } from '../../lib/artifacts/rings.ts';
import { fromHex, toHex } from '../../lib/crypto/encoding.ts';
import type { Finding } from '../../lib/hardening/finding.ts';
import type { DirectoryNode, NodeDirectory } from '../../lib/identity/directory.ts';
import type { ReleaseRef } from '../../lib/identity/nodes.ts';
import type {
  CheckIn,
  ReportUpdate,
  Request,
  ResolveSecrets,
} from '../../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { type AnswerInit, decodeRequest, encodeAnswer, withCounter } from '../../lib/wire/messages.ts';
import type { CurrentRelease } from './current-release.ts';
import type { FactsStore } from './facts.ts';
import { parseFindings } from './findings.ts';
import type { GatewayLimits } from './limits.ts';
import type { LogFollowing } from './log-following.ts';
import type { Pacing } from './pacing.ts';
import { RequestRefused } from './refusals.ts';
import { parseRunReport } from './run-report.ts';
import type { RunStore } from './runs.ts';
import type { ResolveSecretsHandler } from './secrets.ts';
import type { SeenLog } from './seen.ts';
import type { Reply, StreamHandler, VerifiedRequest } from './stream.ts';
import { cleanText } from './text.ts';
import { parseUpdateReport } from './update-report.ts';
import type { WantedBuilds } from './wanted-builds.ts';

export type SessionDeps = {
  readonly directory: Pick<NodeDirectory, 'release' | 'secretsEpoch' | 'rings'>;
  readonly currentRelease: CurrentRelease;
  readonly pacing: Pacing;
  readonly seen: SeenLog;
  readonly runs: RunStore;
  readonly facts: FactsStore;
  readonly log: LogFollowing;
  readonly builds: WantedBuilds;
  /** Durable, and counted, when it returns. */
  readonly recordUpdate: (node: DirectoryNode, outcome: UpdateOutcome) => Promise<void>;
  readonly recordFindings: (node: DirectoryNode, findings: readonly Finding[]) => Promise<void>;
  readonly resolveSecrets: ResolveSecretsHandler;
  readonly now: () => number;
  readonly limits: Pick<GatewayLimits, 'maxBodyBytes' | 'maxInFlight'>;
};

export function sessionHandler(deps: SessionDeps): StreamHandler<Request> {
  return {
    maxBodyBytes: deps.limits.maxBodyBytes,
    maxInFlight: deps.limits.maxInFlight,
    encodeChallenge: (challenge) => encodeAnswer({ answer: { case: 'challenge', value: challenge } }),
    encodeRefusal: (counter, refusal) => encodeAnswer({ counter, answer: { case: 'refusal', value: refusal } }),
    decode: decodeRequest,
    handle(verified, reply) {
      const { request } = verified.request;
      switch (request.case) {
        case 'checkIn':
          return checkIn(deps, verified, request.value, reply);
        case 'fetchRelease':
          return fetchRelease(deps, verified, reply);
        case 'reportRun':
          return reportRun(deps, verified, request.value.report, reply);
        case 'reportFacts':
          return reportFacts(deps, verified, request.value.facts, reply);
        case 'followLog':
          return followLog(deps, verified, Number(request.value.size), reply);
        case 'resolveSecrets':
          return resolveSecrets(deps, verified, request.value, reply);
        case 'fetchBuild':
          return fetchBuild(deps, verified, toHex(request.value.sha256), reply);
        case 'reportFindings':
          return reportFindings(deps, verified, request.value.findings, reply);
        case 'reportUpdate':
          return reportUpdate(deps, verified, request.value, reply);
        case undefined:
          throw new RequestRefused('UNIMPLEMENTED', 'This gateway does not know the request.');
        default:
          request satisfies never;
      }
    },
  };
}

/** The hot path: nothing is read from the store, and, when nothing changed, nothing is encoded but a counter. */
function checkIn(deps: SessionDeps, verified: VerifiedRequest<Request>, held: CheckIn, reply: Reply): undefined {
  const { node, counter } = verified;
  deps.seen.note(node, holding(held));
  const current = deps.directory.release();
  const quarantined = node.state === 'quarantined';
  const secretsEpoch = quarantined ? 0 : deps.directory.secretsEpoch();
  const isCurrent = current === undefined || holds(held, current);
  const factsWanted = held.factsDigest.length === 32 && toHex(held.factsDigest) !== node.factsDigest;
  const build = quarantined ? undefined : wantedBuild(deps.directory.rings().rings, node, held.agentVersion);
  if (!quarantined && isCurrent && held.secretsEpoch === secretsEpoch && !factsWanted && build === undefined) {
    reply.send(withCounter(counter, deps.pacing.unchanged()));
    return;
  }
  const nextCheckInMs = deps.pacing.nextCheckInMs();
  answer(reply, counter, {
    case: 'checkIn',
    value: {
      nextCheckInMs,
      quarantined,
      secretsEpoch,
      factsWanted,
      ...(quarantined || isCurrent ? {} : { release: wireRef(current) }),
      ...(build === undefined ? {} : { build: wireBuild(build) }),
    },
  });
}

/** Whoever is a node may follow the log, quarantined or not: the more remember it, the better. */
async function followLog(deps: SessionDeps, { counter }: VerifiedRequest<Request>, size: number, reply: Reply) {
  const { checkpoint, proof } = await deps.log.since(size);
  answer(reply, counter, { case: 'followLog', value: { checkpoint, proof: [...proof] } });
}

async function fetchRelease(deps: SessionDeps, { node, counter }: VerifiedRequest<Request>, reply: Reply) {
  refuseQuarantined(node);
  const release = await deps.currentRelease.get();
  const value = release ? { manifest: release.manifestBytes, signatures: [...release.signatures] } : {};
  answer(reply, counter, { case: 'fetchRelease', value });
}

async function reportRun(
  deps: SessionDeps,
  { node, counter }: VerifiedRequest<Request>,
  report: Parameters<typeof parseRunReport>[0],
  reply: Reply,
) {
  await deps.runs.record(node.uuid, parseRunReport(report, deps.now()));
  answer(reply, counter, { case: 'reportRun', value: {} });
}

/** Also while quarantined: what a machine is like is of interest then most of all. */
async function reportFacts(
  deps: SessionDeps,
  { node, counter }: VerifiedRequest<Request>,
  facts: Uint8Array,
  reply: Reply,
) {
  await deps.facts.record(node, facts);
  answer(reply, counter, { case: 'reportFacts', value: {} });
}

async function fetchBuild(
  deps: SessionDeps,
  { node, counter }: VerifiedRequest<Request>,
  sha256: string,
  reply: Reply,
) {
  refuseQuarantined(node);
  const build = await deps.builds.get(node, sha256);
  if (!build) throw new RequestRefused('PERMISSION_DENIED', 'The build is not the one that this node should run.');
  const value = { manifest: build.manifest, parts: build.parts.map(fromHex) };
  answer(reply, counter, { case: 'fetchBuild', value });
}

async function reportUpdate(
  deps: SessionDeps,
  { node, counter }: VerifiedRequest<Request>,
  report: ReportUpdate,
  reply: Reply,
) {
  await deps.recordUpdate(node, parseUpdateReport(report));
  answer(reply, counter, { case: 'reportUpdate', value: {} });
}

async function reportFindings(
  deps: SessionDeps,
  { node, counter }: VerifiedRequest<Request>,
  findings: readonly unknown[],
  reply: Reply,
) {
  await deps.recordFindings(node, parseFindings(findings));
  answer(reply, counter, { case: 'reportFindings', value: {} });
}

async function resolveSecrets(
  deps: SessionDeps,
  verified: VerifiedRequest<Request>,
  asked: ResolveSecrets,
  reply: Reply,
) {
  refuseQuarantined(verified.node);
  const value = await deps.resolveSecrets(verified, asked);
  answer(reply, verified.counter, { case: 'resolveSecrets', value });
}

/** Quarantined nodes get no policy, by whatever method. */
export function refuseQuarantined(node: DirectoryNode): void {
  if (node.state !== 'active') throw new RequestRefused('QUARANTINED', 'The node is quarantined.');
}

/** A release on the wire. */
export function wireRef({ number, digest }: ReleaseRef): { number: number; digest: Uint8Array } {
  return { number, digest: fromHex(digest) };
}

function wireBuild({ ring: { rollout, version }, sha256 }: NonNullable<ReturnType<typeof wantedBuild>>) {
  return { rollout, version, sha256: fromHex(sha256) };
}

function answer(reply: Reply, counter: number, value: NonNullable<AnswerInit['answer']>): void {
  reply.send(encodeAnswer({ counter, answer: value }));
}

/** Number and digest: the same number with other bytes is another release. */
function holds(held: CheckIn, current: ReleaseRef): boolean {
  return held.releaseNumber === current.number && toHex(held.releaseDigest) === current.digest;
}

/** What the node says that it holds: shown to operators, never decided by. */
function holding(held: CheckIn) {
  const agentVersion = cleanText(held.agentVersion, 64);
  if (held.releaseNumber === 0 || held.releaseDigest.length !== 32) return { agentVersion };
  return { agentVersion, release: { number: held.releaseNumber, digest: toHex(held.releaseDigest) } };
}

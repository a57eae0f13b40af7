/**
 * The agent's session with its gateway: one held stream on which it checks in, fetches the release, and reports runs,
 * and on which the gateway pushes. The gateway relays; what it relays is verified by whoever uses it.
 */
import { sha256 } from '../lib/crypto/digest.ts';
import { fromHex, toHex } from '../lib/crypto/encoding.ts';
import type { HpkeMessage } from '../lib/crypto/hpke.ts';
import type { Finding } from '../lib/hardening/finding.ts';
import {
  type Answer,
  type Push,
  UpdateResult as WireUpdateResult,
} from '../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import { decodeAnswer, encodeRequest, type RequestInit } from '../lib/wire/messages.ts';
import { downloadBlob } from './download.ts';
import { openChannel, type SessionTls } from './session-channel.ts';
import { SessionError } from './session-error.ts';
import { requestLimits, type SessionLimits } from './session-limits.ts';
import { type NodeIdentity, openSignedStream } from './signed-stream.ts';

/** A release by number and SHA-256 of its manifest, hexadecimal. */
export type HeldRelease = { readonly number: number; readonly digest: string };

export type CheckedIn = {
  readonly nextCheckInMs: number;
  /** The current release, when it is not the one held. */
  readonly release?: HeldRelease;
  readonly quarantined: boolean;
  /** The control plane knows other facts than these, or none. */
  readonly factsWanted: boolean;
  /** When it is not the one that the agent resolved at. */
  readonly secretsEpoch?: number;
  /** The build that this node should run, when it is not the one that runs. */
  readonly build?: OfferedBuild;
};

export type OfferedBuild = {
  readonly rollout: number;
  readonly version: string;
  /** Hexadecimal. */
  readonly sha256: string;
};

export type UpdateReport = {
  readonly rollout: number;
  readonly version: string;
  readonly result: keyof typeof updateResults;
  readonly reason: string;
  readonly from: string;
};

const updateResults = {
  confirmed: WireUpdateResult.CONFIRMED,
  rolled_back: WireUpdateResult.ROLLED_BACK,
  refused: WireUpdateResult.REFUSED,
  not_possible: WireUpdateResult.NOT_POSSIBLE,
} as const;

/** Each as the gateway sent it: opening it is what proves it. */
export type ResolvedSecrets = {
  readonly epoch: number;
  readonly secrets: readonly (
    | { readonly path: string; readonly sealed: HpkeMessage & { readonly version: number } }
    | { readonly path: string; readonly reason: string }
  )[];
};

export type FetchedRelease = { readonly manifest: Uint8Array; readonly signatures: readonly string[] };

export type FollowedLog = { readonly checkpoint: Uint8Array; readonly proof: readonly Uint8Array[] };

export type SessionPush =
  | { readonly kind: 'release'; readonly release: HeldRelease }
  /** Check in now, and converge then when `run`. */
  | { readonly kind: 'wake'; readonly run: boolean; readonly dryRun?: true }
  /** Finish, then open a new session after the delay. */
  | { readonly kind: 'drain'; readonly reconnectAfterMs: number };

export type RunReportInit = NonNullable<
  Extract<NonNullable<RequestInit['request']>, { case: 'reportRun' }>['value']['report']
>;

export type SessionOptions = {
  /** `host:port` */
  readonly gateway: string;
  readonly fleet: string;
  readonly identity: NodeIdentity;
  readonly tls: SessionTls;
  readonly onPush?: (push: SessionPush) => void;
  readonly limits?: Partial<SessionLimits>;
};

export interface Session {
  checkIn(held: {
    readonly release?: HeldRelease;
    readonly agentVersion: string;
    readonly secretsEpoch?: number;
    /** SHA-256 of the node's facts. */
    readonly factsDigest?: Uint8Array;
  }): Promise<CheckedIn>;
  /** Sealed to this node's key, for the release of that digest. Rejects when any of them is not this node's to have. */
  resolveSecrets(asked: {
    readonly releaseDigest: string;
    readonly paths: readonly string[];
  }): Promise<ResolvedSecrets>;
  /** `undefined` when nothing was published yet. Not verified: that is the caller's part. */
  fetchRelease(): Promise<FetchedRelease | undefined>;
  reportRun(report: RunReportInit): Promise<void>;
  /** The newest checkpoint of the audit log, and the proof from `size`. Not verified: that is the caller's part. */
  followLog(size: number): Promise<FollowedLog | undefined>;
  reportFacts(facts: Uint8Array): Promise<void>;
  /** What a wanted build is made of, the SHA-256 of its parts hexadecimal. Not verified: that is the caller's part. */
  fetchBuild(sha256: string): Promise<{ readonly manifest: Uint8Array; readonly parts: readonly string[] }>;
  reportUpdate(report: UpdateReport): Promise<void>;
  reportFindings(findings: readonly Finding[]): Promise<void>;
  /** The blob with this SHA-256 (hexadecimal), checked against it. */
  download(digest: string, options?: { readonly maxBytes?: number }): Promise<Uint8Array>;
  onPush(listener: (push: SessionPush) => void): () => void;
  /** Resolves with what ended the session. */
  readonly ended: Promise<SessionError>;
  close(): void;
}

type Waiting = { settle(answer: Answer): void; fail(error: SessionError): void };

/** Resolves once the gateway's challenge is there. Rejects with `SessionError`. */
export async function openSession(options: SessionOptions): Promise<Session> {
  const limits = { ...requestLimits, ...options.limits };
  const { identity, tls } = options;
  const channel = openChannel(options.gateway, options.fleet, tls);
  const certificateDigest = sha256(tls.certDer);
  const waiting = new Map<number, Waiting>();
  const listeners = new Set<(push: SessionPush) => void>(options.onPush ? [options.onPush] : []);
  const { promise: ended, resolve: resolveEnded } = Promise.withResolvers<SessionError>();
  let lastDownload: Promise<unknown> = Promise.resolve();

  const stream = await openSignedStream({
    channel,
    method: 'session',
    identity,
    certificateDigest,
    challengeTimeoutMs: limits.challengeTimeoutMs,
    decodeChallenge: (message) => {
      const answer = decodeAnswer(message);
      return answer?.counter === 0 && answer.answer.case === 'challenge' ? answer.answer.value : undefined;
    },
    receive,
    ended(error) {
      for (const request of waiting.values()) request.fail(error);
      waiting.clear();
      channel.client.close();
      resolveEnded(error);
    },
  });

  return {
    async checkIn({ release, agentVersion, secretsEpoch: epoch = 0, factsDigest = new Uint8Array() }) {
      const held = release ? { releaseNumber: release.number, releaseDigest: fromHex(release.digest) } : {};
      const value = { agentVersion, secretsEpoch: epoch, factsDigest, ...held };
      const answer = await ask({ request: { case: 'checkIn', value } });
      if (answer.case !== 'checkIn') throw breach('an answer of another kind');
      const { nextCheckInMs, quarantined, release: current, secretsEpoch, factsWanted, build } = answer.value;
      return {
        factsWanted,
        nextCheckInMs,
        quarantined,
        ...(current ? { release: parseRelease(current) } : {}),
        ...(build ? { build: { rollout: build.rollout, version: build.version, sha256: toHex(build.sha256) } } : {}),
        ...(secretsEpoch === 0 || secretsEpoch === epoch ? {} : { secretsEpoch }),
      };
    },
    async resolveSecrets({ releaseDigest, paths }) {
      const value = { releaseDigest: fromHex(releaseDigest), paths: [...paths] };
      const answer = await ask({ request: { case: 'resolveSecrets', value } });
      if (answer.case !== 'resolveSecrets') throw breach('an answer of another kind');
      const secrets = answer.value.secrets.map(({ path, result }) =>
        result.case === 'sealed' ? { path, sealed: result.value } : { path, reason: result.value ?? '' },
      );
      return { epoch: answer.value.epoch, secrets };
    },
    async fetchRelease() {
      const answer = await ask({ request: { case: 'fetchRelease', value: {} } });
      if (answer.case !== 'fetchRelease') throw breach('an answer of another kind');
      const { manifest, signatures } = answer.value;
      return manifest.length === 0 ? undefined : { manifest, signatures };
    },
    async reportRun(report) {
      const answer = await ask({ request: { case: 'reportRun', value: { report } } });
      if (answer.case !== 'reportRun') throw breach('an answer of another kind');
    },
    async reportFacts(facts) {
      const answer = await ask({ request: { case: 'reportFacts', value: { facts } } });
      if (answer.case !== 'reportFacts') throw breach('an answer of another kind');
    },
    async fetchBuild(digest) {
      const answer = await ask({ request: { case: 'fetchBuild', value: { sha256: fromHex(digest) } } });
      if (answer.case !== 'fetchBuild') throw breach('an answer of another kind');
      return { manifest: answer.value.manifest, parts: answer.value.parts.map(toHex) };
    },
    async reportUpdate({ result, ...report }) {
      const value = { ...report, result: updateResults[result] };
      const answer = await ask({ request: { case: 'reportUpdate', value } });
      if (answer.case !== 'reportUpdate') throw breach('an answer of another kind');
    },
    async reportFindings(findings) {
      const value = { findings: findings.map(({ kind, what }) => ({ kind, what })) };
      const answer = await ask({ request: { case: 'reportFindings', value } });
      if (answer.case !== 'reportFindings') throw breach('an answer of another kind');
    },
    async followLog(size) {
      const answer = await ask({ request: { case: 'followLog', value: { size: BigInt(size) } } });
      if (answer.case !== 'followLog') throw breach('an answer of another kind');
      const { checkpoint, proof } = answer.value;
      return checkpoint.length === 0 ? undefined : { checkpoint, proof };
    },
    download(digest, { maxBytes = limits.maxBlobBytes } = {}) {
      // One at a time: the gateway allows few streams, and a disk takes no more.
      const next = lastDownload.then(() =>
        downloadBlob({ channel, identity, certificateDigest, digest, maxBytes, limits }),
      );
      lastDownload = next.catch(() => undefined);
      return next;
    },
    onPush(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    ended,
    close: () => stream.end(new SessionError('closed', 'the session was closed')),
  };

  async function ask(request: RequestInit): Promise<Answer['answer']> {
    const counter = stream.send(encodeRequest(request));
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    waiting.set(counter, { settle: resolve, fail: reject });
    const timer = setTimeout(
      () => stream.end(new SessionError('timeout', 'the gateway did not answer in time')),
      limits.requestTimeoutMs,
    );
    try {
      const { answer } = await promise;
      if (answer.case === 'refusal') {
        throw new SessionError('refused', answer.value.message, { reason: answer.value.reason });
      }
      return answer;
    } finally {
      clearTimeout(timer);
    }
  }

  /** `message` is the gateway's: answers belong to exactly one request that was sent, and pushes to none. */
  function receive(message: Uint8Array): void {
    const answer = decodeAnswer(message);
    if (answer?.counter === 0 && answer.answer.case === 'push') {
      const push = parsePush(answer.answer.value);
      if (push) for (const listener of listeners) listener(push);
      return;
    }
    const request = answer && waiting.get(answer.counter);
    if (!request) {
      breach('an answer to nothing that was asked');
      return;
    }
    waiting.delete(answer.counter);
    request.settle(answer);
  }

  /** Ends the session: a gateway that breaks the protocol once is not listened to again. */
  function breach(what: string): SessionError {
    const error = new SessionError('protocol', `the gateway sent ${what}`);
    stream.end(error);
    return error;
  }

  function parsePush({ push }: Push): SessionPush | undefined {
    switch (push.case) {
      case 'release':
        return { kind: 'release', release: parseRelease(push.value) };
      case 'wake':
        return { kind: 'wake', run: push.value.run, ...(push.value.dryRun ? { dryRun: true } : {}) };
      case 'drain':
        return { kind: 'drain', reconnectAfterMs: Math.min(push.value.reconnectAfterMs, limits.maxReconnectDelayMs) };
      case undefined:
        // A push of a later version: nothing that is known here depends on it.
        return undefined;
      default:
        return push satisfies never;
    }
  }

  function parseRelease({ number, digest }: { number: number; digest: Uint8Array }): HeldRelease {
    if (digest.length !== 32 || number < 1) throw breach('a malformed release');
    return { number, digest: toHex(digest) };
  }
}

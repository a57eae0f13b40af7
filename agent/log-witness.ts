/**
 * This node as a witness of the audit log: it remembers the newest checkpoint that it saw and takes a newer one only with
 * the proof that it goes on from there. Whoever rewrites the log would have to fool every node. What does not follow is
 * kept as evidence, both sides of it, and raised; the remembered checkpoint stays.
 */
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Logger } from 'pino';
import { type Checkpoint, openCheckpoint } from '../lib/audit/checkpoint.ts';
import { AuditError } from '../lib/audit/port.ts';
import { verifyConsistency } from '../lib/audit/tree.ts';
import { sha256Hex } from '../lib/crypto/digest.ts';
import { toBase64, utf8 } from '../lib/crypto/encoding.ts';
import { CryptoError } from '../lib/crypto/errors.ts';
import { parseVerifierKey } from '../lib/crypto/note.ts';
import type { FleetDescriptor } from '../lib/identity/descriptor.ts';
import { type RunReport, RunReportSchema } from '../lib/wire/gen/holdfast/agent/v1/gateway_pb.ts';
import type { FollowedLog, Session } from './session.ts';
import { SessionError } from './session-error.ts';
import { type StateDirectory, stateFiles } from './state.ts';

export type LogWitnessDeps = {
  readonly state: StateDirectory;
  /** Origin and key of the log, as pinned when the node joined. */
  readonly log: FleetDescriptor['log'];
  readonly logger: Logger;
  readonly now: () => number;
  readonly runId: () => string;
  /** Where an alarm goes besides the log of this machine. */
  readonly report: (report: RunReport) => Promise<unknown>;
};

/** `alarm`: what was offered does not go on from what is remembered. `later`: not due, or the gateway can't say. */
export type Followed = 'same' | 'advanced' | 'alarm' | 'later';

export type LogWitness = {
  /** Follows the log when that is due. Throws `SessionError` when the session broke. */
  follow(session: Pick<Session, 'followLog'>): Promise<Followed>;
};

/** Between two proofs over one session: often enough to bound what a rewrite can hide, seldom enough to cost nothing. */
const followIntervalMs = 10 * 60_000;
const evidenceFolder = 'evidence';

type Held = { readonly note: Uint8Array; readonly checkpoint: Checkpoint };

export function createLogWitness(deps: LogWitnessDeps): LogWitness {
  const { state, log, logger, now } = deps;
  const verifiers = [parseVerifierKey(log.key)];
  const open = (note: Uint8Array) => openCheckpoint(note, { origin: log.origin, verifiers });
  let last: { readonly session: object; readonly at: number } | undefined;

  async function follow(session: Pick<Session, 'followLog'>): Promise<Followed> {
    if (last?.session === session && now() - last.at < followIntervalMs) return 'later';
    const held = await readHeld();
    let offered: FollowedLog | undefined;
    try {
      offered = await session.followLog(held?.checkpoint.size ?? 0);
    } catch (error) {
      if (!(error instanceof SessionError && error.code === 'refused')) throw error;
      logger.warn({ reason: error.reason }, 'The gateway does not let this node follow the audit log.');
      return 'later';
    }
    last = { session, at: now() };
    const problem = judge(held, offered);
    if (problem !== undefined) {
      await alarm(problem, held, offered);
      return 'alarm';
    }
    if (offered === undefined || (held !== undefined && open(offered.checkpoint).size === held.checkpoint.size)) {
      return 'same';
    }
    await state.write(stateFiles.checkpoint, offered.checkpoint);
    return 'advanced';
  }

  /** Everything in `offered` is attacker-controlled. */
  function judge(held: Held | undefined, offered: FollowedLog | undefined): string | undefined {
    if (offered === undefined) return held === undefined ? undefined : 'rollback: the log is said to be empty';
    try {
      const checkpoint = open(offered.checkpoint);
      if (held === undefined) return undefined;
      const { size } = held.checkpoint;
      if (checkpoint.size < size) return `rollback: the log ends at ${checkpoint.size}, and ${size} were signed`;
      verifyConsistency(held.checkpoint, checkpoint, offered.proof);
      return undefined;
    } catch (error) {
      if (!(error instanceof AuditError || error instanceof CryptoError)) throw error;
      return `fork: ${error.message}`;
    }
  }

  /** What can't be opened was damaged on this machine: it is set aside as evidence, and the next one is remembered. */
  async function readHeld(): Promise<Held | undefined> {
    const note = await state.read(stateFiles.checkpoint);
    if (note === undefined) return undefined;
    try {
      return { note, checkpoint: open(note) };
    } catch (error) {
      if (!(error instanceof AuditError || error instanceof CryptoError)) throw error;
      await alarm(`the remembered checkpoint is damaged: ${error.message}`, { note }, undefined);
      await state.remove(stateFiles.checkpoint);
      return undefined;
    }
  }

  async function alarm(problem: string, held: Pick<Held, 'note'> | undefined, offered: FollowedLog | undefined) {
    const notes = {
      ...(held && { held: toBase64(held.note) }),
      ...(offered && { offered: toBase64(offered.checkpoint), proof: offered.proof.map(toBase64) }),
    };
    const name = `${evidenceFolder}/${sha256Hex(JSON.stringify(notes)).slice(0, 16)}.json`;
    await state.folder(evidenceFolder);
    // Told once: the same evidence again is nothing new.
    if ((await state.read(name)) !== undefined) return;
    const evidence = { v: 1, at: new Date(now()).toISOString(), problem, ...notes };
    await state.write(name, utf8(`${JSON.stringify(evidence, undefined, 2)}\n`));
    logger.error({ problem, evidence: name }, 'The audit log does not go on from what this node saw of it.');
    await deps.report(
      create(RunReportSchema, {
        runId: deps.runId(),
        started: timestampFromMs(now()),
        error: `the audit log does not go on from what this node saw: ${problem}`,
      }),
    );
  }

  return { follow };
}

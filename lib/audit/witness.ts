/**
 * A witness: cosigns a log's checkpoint only if it follows from every one that it cosigned before (C2SP tlog-witness).
 * Invariant: the newest cosigned checkpoint of a log is durable before its cosignature leaves, and only ever grows.
 */
import { equalBytes } from '../crypto/encoding.ts';
import { formatNote, type NoteSigner, type NoteVerifier, openNote, parseNote } from '../crypto/note.ts';
import { parseAddCheckpoint } from './add-checkpoint.ts';
import { type Checkpoint, openCheckpoint, parseCheckpoint } from './checkpoint.ts';
import { cosign } from './cosignature.ts';
import { AuditError } from './port.ts';
import { emptyRoot, verifyConsistency } from './tree.ts';

/** Where a witness remembers, for each log, the newest note that it cosigned. */
export interface WitnessState {
  read(origin: string): Promise<string | undefined>;
  /** When it returns, the note is durable. Calls come one after the other. */
  write(origin: string, note: string): Promise<void>;
}

export type WitnessDeps = {
  /** A schema-less URL that identifies the witness. */
  readonly name: string;
  readonly signer: NoteSigner;
  /** The keys of the logs that are witnessed; their names are the origins. */
  readonly logs: readonly NoteVerifier[];
  readonly state: WitnessState;
  readonly now: () => number;
  /** Told of a signed checkpoint that does not follow from what was cosigned: evidence against the log. */
  readonly onMisbehaviour?: (evidence: { readonly held: string; readonly offered: string }) => void;
};

export type WitnessAnswer = {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422;
  readonly type: string;
  readonly body: string;
};

export type Witness = {
  /** Answers one attacker-controlled request body. */
  addCheckpoint(body: string): Promise<WitnessAnswer>;
};

export function createWitness(deps: WitnessDeps): Witness {
  let underWay: Promise<unknown> = Promise.resolve();

  /** One at a time: to compare with what was cosigned and to replace it is one step. */
  function addCheckpoint(body: string): Promise<WitnessAnswer> {
    const answer = underWay.then(() => decide(deps, body));
    underWay = answer.catch(() => undefined);
    return answer;
  }

  return { addCheckpoint };
}

async function decide(deps: WitnessDeps, body: string): Promise<WitnessAnswer> {
  let request: ReturnType<typeof parseAddCheckpoint>;
  let claimed: Checkpoint;
  try {
    request = parseAddCheckpoint(body);
    claimed = parseCheckpoint(parseNote(request.checkpoint).text);
  } catch {
    return refuse(400, 'malformed');
  }
  const { origin } = claimed;
  if (!deps.logs.some(({ name }) => name === origin)) return refuse(404, 'unknown log');
  let offered: Checkpoint;
  try {
    offered = openCheckpoint(request.checkpoint, { origin, verifiers: deps.logs });
  } catch {
    return refuse(403, 'not signed by the log');
  }
  const note = await deps.state.read(origin);
  // The memory is the witness's own, and verified all the same: one that was tampered with must not be followed.
  const held =
    note === undefined ? { origin, size: 0, root: emptyRoot } : openCheckpoint(note, { origin, verifiers: deps.logs });
  if (request.old > offered.size) return refuse(400, 'the old size is above the new one');
  if (request.old !== held.size) return { status: 409, type: 'text/x.tlog.size', body: `${held.size}\n` };
  if (held.size === offered.size && !equalBytes(held.root, offered.root)) {
    deps.onMisbehaviour?.({ held: note ?? '', offered: request.checkpoint });
    return { status: 409, type: 'text/x.tlog.size', body: `${held.size}\n` };
  }
  try {
    verifyConsistency(held, offered, request.proof);
  } catch (cause) {
    if (!(cause instanceof AuditError)) throw cause;
    // The signature is the log's own; that it can't be proven is not yet a fork, but worth keeping.
    deps.onMisbehaviour?.({ held: note ?? '', offered: request.checkpoint });
    return refuse(422, 'the consistency proof does not verify');
  }
  const { text } = openNote(request.checkpoint, deps.logs);
  const signature = await cosign(text, { ...deps, seconds: Math.floor(deps.now() / 1000) });
  await deps.state.write(origin, request.checkpoint);
  const [, lines = ''] = formatNote({ text, signatures: [signature] }).split(`${text}\n`);
  return { status: 200, type: 'text/plain; charset=utf-8', body: lines };
}

function refuse(status: 400 | 403 | 404 | 422, reason: string): WitnessAnswer {
  return { status, type: 'text/plain; charset=utf-8', body: `${reason}\n` };
}

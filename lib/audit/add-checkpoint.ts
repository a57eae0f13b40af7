/** The request by which a log asks a witness to cosign its newest checkpoint (C2SP tlog-witness, "add-checkpoint"). */
import { fromBase64, toBase64 } from '../crypto/encoding.ts';
import { CryptoError } from '../crypto/errors.ts';
import { maxCheckpointBytes } from './checkpoint.ts';
import { AuditError } from './port.ts';
import { hashBytes } from './tree.ts';

export type AddCheckpoint = {
  /** Size of the newest checkpoint that the witness is known to have cosigned. */
  readonly old: number;
  /** From `old` to the checkpoint's size. */
  readonly proof: readonly Uint8Array[];
  /** The signed note, verbatim. */
  readonly checkpoint: string;
};

const maxHashes = 63;
/** An old size line, 63 hashes, an empty line and a checkpoint. */
export const maxAddCheckpointBytes = maxCheckpointBytes + 4096;

export function formatAddCheckpoint({ old, proof, checkpoint }: AddCheckpoint): string {
  return `old ${old}\n${proof.map((hash) => `${toBase64(hash)}\n`).join('')}\n${checkpoint}`;
}

/** Parses an attacker-controlled request. Throws `AuditError` `malformed`. */
export function parseAddCheckpoint(text: string): AddCheckpoint {
  if (text.length > maxAddCheckpointBytes) throw malformed('the request is too long');
  const end = text.indexOf('\n\n');
  const [first = '', ...lines] = text.slice(0, Math.max(end, 0)).split('\n');
  const [, old = ''] = /^old (0|[1-9][0-9]{0,15})$/.exec(first) ?? [];
  if (old === '' || !Number.isSafeInteger(Number(old))) throw malformed('the first line is not an old size');
  if (lines.length > maxHashes) throw malformed(`there are over ${maxHashes} hashes`);
  return { old: Number(old), proof: lines.map(parseHash), checkpoint: text.slice(end + 2) };
}

function parseHash(line: string): Uint8Array {
  try {
    const hash = fromBase64(line);
    if (hash.length === hashBytes) return hash;
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
  }
  throw malformed('a line of the consistency proof is not a hash in base64');
}

function malformed(message: string): AuditError {
  return new AuditError('malformed', message);
}

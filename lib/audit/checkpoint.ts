/** A checkpoint: origin, size and root of the log as a signed note (C2SP tlog-checkpoint). */
import { fromBase64, toBase64 } from '../crypto/encoding.ts';
import { CryptoError } from '../crypto/errors.ts';
import { type NoteVerifier, openNote } from '../crypto/note.ts';
import { AuditError } from './port.ts';
import { hashBytes } from './tree.ts';

export type Checkpoint = { readonly origin: string; readonly size: number; readonly root: Uint8Array };

/** Far above any real one; read before the signature is checked, so attacker-controlled. */
export const maxCheckpointBytes = 64 * 1024;

/** The text that is signed; its last line ends in a newline. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

/** Parses a signed text; lines after the third are extensions and are allowed. Throws `AuditError` `malformed`. */
export function parseCheckpoint(text: string): Checkpoint {
  const lines = text.split('\n');
  const [origin = '', size = '', root = ''] = lines;
  if (lines.length < 4 || lines.at(-1) !== '' || lines.slice(0, -1).includes('')) {
    throw new AuditError('malformed', 'a checkpoint has an origin, a size and a root, each on a line');
  }
  // C2SP tlog-checkpoint: decimal without leading zeros.
  if (!/^(0|[1-9][0-9]{0,15})$/.test(size) || !Number.isSafeInteger(Number(size))) {
    throw new AuditError('malformed', 'the size of a checkpoint is not a decimal number');
  }
  return { origin, size: Number(size), root: rootHash(root) };
}

/**
 * Opens an attacker-controlled note: signed by one of `verifiers`, which must have the origin as its name, and for
 * that origin. Throws `AuditError` `not_authentic` or `malformed`.
 */
export function openCheckpoint(
  note: string | Uint8Array,
  { origin, verifiers }: { readonly origin: string; readonly verifiers: readonly NoteVerifier[] },
): Checkpoint {
  if (note.length > maxCheckpointBytes) throw new AuditError('malformed', 'the checkpoint is too long');
  let text: string;
  try {
    ({ text } = openNote(
      note,
      verifiers.filter((verifier) => verifier.name === origin),
    ));
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    const code = cause.code === 'malformed' ? 'malformed' : 'not_authentic';
    throw new AuditError(code, `the checkpoint is not signed by the key of ${origin}: ${cause.message}`, { cause });
  }
  const checkpoint = parseCheckpoint(text);
  if (checkpoint.origin !== origin) {
    throw new AuditError('not_authentic', `the checkpoint is of another log: ${JSON.stringify(checkpoint.origin)}`);
  }
  return checkpoint;
}

function rootHash(text: string): Uint8Array {
  try {
    const root = fromBase64(text);
    if (root.length === hashBytes) return root;
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
  }
  throw new AuditError('malformed', 'the root of a checkpoint is not a SHA-256 hash in base64');
}

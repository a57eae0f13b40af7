/**
 * Who may sign artifacts: a list of Ed25519 keys and a threshold, and how a list gives way to the next one.
 *
 *     holdfast-artifact-keys/v1
 *     number 2
 *     threshold 2
 *     key release-a+5d3c1f00+AQ…
 *     key release-b+91aa0c77+AQ…
 *
 * The first list is compiled into what verifies with it. Each later list is a signed note, signed by the threshold of
 * the list before it (so that a thief of fewer keys can't replace them) and by its own threshold (so that nobody hands
 * over to keys that nobody holds); it takes effect only as number n + 1 after n.
 *
 * Use: `parseKeys`/`formatKeys` here; `followKeys` in rotation.ts to walk a chain of rotations.
 */
import { CryptoError } from '../crypto/errors.ts';
import { type NoteVerifier, parseVerifierKey } from '../crypto/note.ts';
import { ArtifactError } from './errors.ts';

export interface ArtifactKeys {
  /** 1 for the first list, one more at each rotation. */
  readonly number: number;
  /** At least 1, at most as many as there are keys. */
  readonly threshold: number;
  /** As in `formatVerifierKey`: `name+hash+base64`. No key twice, whatever its name. */
  readonly keys: readonly string[];
}

const firstLine = 'holdfast-artifact-keys/v1';
const maxKeys = 16;

/** Reads a key list. Throws `ArtifactError` `malformed`, also for a threshold that nobody or anybody could meet. */
export function parseKeys(text: string): ArtifactKeys {
  if (text.length > 8192) throw malformed('is too long');
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.shift() !== firstLine) throw malformed(`is not "${firstLine}" and its lines`);
  const [number = '', threshold = '', ...keys] = lines;
  const list = {
    number: count(number, 'number '),
    threshold: count(threshold, 'threshold '),
    keys: keys.map((line) => {
      if (!line.startsWith('key ')) throw malformed('has a line that is no key');
      return line.slice('key '.length);
    }),
  };
  keyVerifiers(list);
  return list;
}

/** The text that is signed. Throws `ArtifactError` `malformed` for what `parseKeys` would not read. */
export function formatKeys(list: ArtifactKeys): string {
  keyVerifiers(list);
  const keys = list.keys.map((key) => `key ${key}\n`);
  return `${firstLine}\nnumber ${list.number}\nthreshold ${list.threshold}\n${keys.join('')}`;
}

/** The verifiers of a list, after checking all of it. */
export function keyVerifiers({ number, threshold, keys }: ArtifactKeys): readonly NoteVerifier[] {
  if (!Number.isSafeInteger(number) || number < 1) throw malformed('has no number');
  if (!Number.isSafeInteger(threshold) || threshold < 1) throw malformed('has a threshold below 1');
  if (threshold > keys.length) throw malformed(`has ${keys.length} keys for a threshold of ${threshold}`);
  if (keys.length > maxKeys) throw malformed(`has over ${maxKeys} keys`);
  // One key under two names would count as two signers.
  const bare = keys.map((key) => key.slice(key.indexOf('+', key.indexOf('+') + 1)));
  if (new Set(bare).size !== keys.length) throw malformed('has one key twice');
  return keys.map(parseKey);
}

function count(line: string, prefix: string): number {
  const digits = line.startsWith(prefix) ? line.slice(prefix.length) : '';
  if (!/^[1-9][0-9]{0,8}$/.test(digits)) throw malformed(`has no line "${prefix}…" with a number from 1`);
  return Number(digits);
}

function parseKey(text: string): NoteVerifier {
  try {
    return parseVerifierKey(text);
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw new ArtifactError('malformed', `the key list has a bad key: ${cause.message}`, { cause });
  }
}

function malformed(problem: string): ArtifactError {
  return new ArtifactError('malformed', `the key list ${problem}`);
}

/** How one list of artifact keys gives way to the next, as keys.ts says. */
import { ArtifactError } from './errors.ts';
import { type ArtifactKeys, parseKeys } from './keys.ts';
import { openSigned } from './signed.ts';

/**
 * Walks from a trusted list along attacker-controlled rotations, oldest first; those up to the trusted number are
 * skipped, so a whole history may be given. Throws `ArtifactError` `not_next` for a gap, and as `openSigned` does.
 */
export function followKeys(trusted: ArtifactKeys, rotations: readonly (string | Uint8Array)[]): ArtifactKeys {
  let current = trusted;
  for (const note of rotations) {
    const number = claimedNumber(note);
    if (number <= current.number) continue;
    if (number !== current.number + 1) {
      throw new ArtifactError('not_next', `the key list ${number} does not follow number ${current.number}`);
    }
    const next = parseKeys(openSigned(note, current).text);
    openSigned(note, next);
    current = next;
  }
  return current;
}

/** What a note says of itself, before its signatures were looked at. */
function claimedNumber(note: string | Uint8Array): number {
  const whole = typeof note === 'string' ? note : Buffer.from(note).toString('utf8');
  return parseKeys(whole.slice(0, whole.lastIndexOf('\n\n') + 1)).number;
}

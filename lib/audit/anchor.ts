/**
 * Anchors: checkpoints kept where whoever can write the database can't. An anchor is append-only, and the oldest note
 * that it holds for a size counts, so that even its writer can't replace what was anchored.
 */

import { parseNote } from '../crypto/note.ts';
import { parseCheckpoint } from './checkpoint.ts';

export interface Anchor {
  /** For messages: where it keeps them. */
  readonly name: string;
  /**
   * Keeps a signed checkpoint. When it returns, one of that size is durable: this one, or an earlier one with the same
   * root. Throws `AuditError` `corrupt` when the anchor holds another root of that size, `unavailable` when it can't be
   * reached.
   */
  keep(note: string): Promise<void>;
  /** Every kept checkpoint, smallest first; of one size the oldest. Attacker-controlled: the caller verifies. */
  list(): AsyncIterable<string>;
}

/** The size that a note claims; names it in an anchor, where sizes sort as numbers do. */
export function anchorKey(note: string): string {
  const { size } = parseCheckpoint(parseNote(note).text);
  return String(size).padStart(16, '0');
}

/** True when two notes say the same of the same log; their signatures may differ. */
export function isSameCheckpoint(a: string, b: string): boolean {
  return parseNote(a).text === parseNote(b).text;
}

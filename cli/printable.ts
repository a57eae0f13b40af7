/** Text from outside, made safe for a terminal: it can't move the cursor, colour, ring, or turn the reading direction. */

/**
 * Controls (C0, DEL, C1), line and paragraph separators, and what is invisible or reorders text: zero-width
 * characters, bidirectional embeddings and isolates (Unicode 16, UAX #9 §2), variation and tag characters.
 */
const unsafe =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\u{e0000}-\u{e0fff}]|\p{Surrogate}/gu;

/** Everything that could act on a terminal or deceive a reader, shown as an escape. */
export function printable(text: string): string {
  return text.replace(unsafe, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
    return `\\u{${code.toString(16)}}`;
  });
}

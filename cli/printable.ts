/** Text from outside, made safe for a terminal: it can't move the cursor, colour, ring, or turn the reading direction. */

/**
 * Unicode's general categories (Unicode 16, section 4.5): controls, format characters (bidirectional overrides,
 * zero-width and tag characters), line and paragraph separators, lone surrogates.
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Everything that could act on a terminal or deceive a reader, shown as an escape. */
export function printable(text: string): string {
  return text.replace(unsafe, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
    return `\\u{${code.toString(16)}}`;
  });
}

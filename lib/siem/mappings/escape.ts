/**
 * One escaping function for each text format, and one for JSON. What they share: no control character comes out, neither
 * C0 nor C1, nor DEL, nor a line or paragraph separator, so that no value, whoever chose it, can end its record or begin
 * another one.
 */

/** Everything that some program takes for the end of a line, or that steers a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for.
const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;
const replacement = '\ufffd';

/** Whether a text comes through unchanged where control characters do not. */
export function isPlain(text: string): boolean {
  return text.search(controls) < 0;
}

/** JSON in one line. What JSON itself leaves as it is but a receiver may not, is escaped; parsed, it is the same. */
export function safeJson(value: unknown): string {
  const text = JSON.stringify(value);
  return text.replaceAll(controls, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** A field of a CEF header (CEF implementation standard, "Character encoding"). */
export function cefHeader(text: string): string {
  return text.replaceAll(controls, replacement).replaceAll(/[\\|]/g, '\\$&');
}

/** A value of a CEF extension: line ends are written as `\n` and `\r`, other control characters are replaced. */
export function cefValue(text: string): string {
  return text
    .replaceAll(/[\\=]/g, '\\$&')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll(controls, replacement);
}

/** A field of a LEEF header, which knows no escape: what would end it is replaced. */
export function leefHeader(text: string): string {
  return text.replaceAll(controls, replacement).replaceAll('|', '/');
}

/**
 * A value of a LEEF attribute, with `^` between attributes. The format has no escape, so a reader ends a value at any `^`:
 * it is written as its code. For the rest, the escape of CEF is what readers of both take.
 */
export function leefValue(text: string): string {
  return text
    .replaceAll(/[\\=|]/g, '\\$&')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('^', '\\x5e')
    .replaceAll(controls, replacement);
}

/** PARAM-VALUE of RFC 5424 §6.3.3: `"`, `\` and `]` are escaped. */
export function sdParam(text: string): string {
  return text.replaceAll(controls, replacement).replaceAll(/["\\\]]/g, '\\$&');
}

/** A header field of RFC 5424 §6: PRINTUSASCII, of at most so many characters; `-` when nothing is left. */
export function syslogWord(text: string, max: number): string {
  const word = text.replaceAll(/[^\x21-\x7e]/g, '?').slice(0, max);
  return word === '' ? '-' : word;
}

/** Text from nodes, made fit to be stored and shown: whatever else it is, it is not able to steer a terminal. */

/** Control and format characters (line breaks, escapes, bidirectional overrides) and lone surrogates; cut at `max` characters. */
export function cleanText(text: string, max: number): string {
  if (text.length <= max && /^[\x20-\x7e]*$/.test(text)) return text;
  const cut = text.slice(0, max * 2).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
  return cut.slice(0, max).toWellFormed();
}

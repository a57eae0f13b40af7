/** Texts that somebody might choose as a name in order to end a record, begin another one, or break what reads it. */
import fc from 'fast-check';

/** As a lenient reader of UTF-8, or one of Latin-1, would hand on bytes that hide a newline (RFC 3629 §10). */
const overlong = [
  [0xc0, 0x8a],
  [0xe0, 0x80, 0x8a],
  [0xf0, 0x80, 0x80, 0x8a],
  [0xc0, 0xbc],
].flatMap((bytes) => [Buffer.from(bytes).toString('utf8'), Buffer.from(bytes).toString('latin1')]);

const pieces = [
  ...['\n', '\r', '\r\n', '\t', '\v', '\f', '\0', '\x1b[2J', '\x7f', '\x85', '\x9b', '\u2028', '\u2029'],
  ...['|', '=', '\\', '\\\\', '"', "'", '[', ']', '^', '{"', '}', ' ', '\u00a0', ','],
  ...['\\n', '\\x5e', '\\u000a', '\n\n', ' suser=root', '^usrName=root', '" id="0', '] <14>1 '],
  ...['CEF:0|', 'LEEF:2.0|', '<14>1 ', '40 <13>1 - - - - - - ', '{"create":{}}'],
  ...['\ufeff', '\ufffe', '\ufffd', '\u200b', '\u202e', '\u0301', 'é', '🙂', '𝟙', 'a'],
  ...overlong,
];

/** Not empty, at most 60 UTF-16 units, and well-formed: the log takes no other. */
export const hostileText: fc.Arbitrary<string> = fc
  .array(fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...pieces) }, fc.string({ unit: 'binary', maxLength: 5 })), {
    minLength: 1,
    maxLength: 12,
  })
  .map((parts) => parts.join('').slice(0, 60).toWellFormed())
  .filter((text) => text !== '');

/** Any text that a program can hold, lone surrogates too, which the log refuses. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  hostileText,
  fc.string({ unit: 'binary' }),
  fc
    .array(fc.oneof(hostileText, fc.constantFrom('\ud800', '\udbff', '\udc00', '\udfff', '\udc00\ud800')), {
      maxLength: 6,
    })
    .map((parts) => parts.join('')),
);

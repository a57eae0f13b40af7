/**
 * The forms in which a value may turn up in text: as it is, and as tools, shells, languages and diffs write it. All of
 * them as Latin-1 text, one character a byte, so that binary values and any encoding of the text around them fit.
 */

/** Each form once. Forms of fewer than four characters are left out: they would be found everywhere. */
export function formsOf(value: Uint8Array): readonly string[] {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const raw = bytes.toString('latin1');
  const text = bytes.toString('utf8');
  const hex = bytes.toString('hex');
  const base64 = alignments(bytes);
  const escaped = [...escapes(bytes), ...textForms(text)];
  const forms = [
    raw,
    ...base64,
    ...base64.map((form) => form.replaceAll('+', '-').replaceAll('/', '_')),
    hex,
    hex.toUpperCase(),
    ...urlForms(bytes),
    ...escaped,
    // What a decoder makes of bytes that are no text.
    ...(latin1(text) === raw ? [] : [latin1(text), ...urlForms(Buffer.from(text, 'utf8'))]),
    bytes.toString('utf16le'),
    Buffer.from(text, 'utf16le').toString('latin1'),
    ...[raw, base64[0] ?? '', hex].map((form) => [...form].reverse().join('')),
  ];
  return [...new Set(forms)].filter((form) => form.length >= 4 && !/[^\0-\xff]/.test(form));
}

/**
 * Base64 of the value at each place it may have in a longer text: only the characters that its own bits decide, since
 * those at the ends also hold bits of its neighbours (RFC 4648 §4).
 */
function alignments(bytes: Buffer): readonly string[] {
  return [0, 1, 2].map((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const first = Math.ceil((before * 8) / 6);
    const last = Math.floor(((before + bytes.length) * 8) / 6);
    return encoded.slice(first, last);
  });
}

/** RFC 3986 §2.1 as libraries do it, as the strictest one would, and as forms do (spaces as plus signs). */
function urlForms(bytes: Buffer): readonly string[] {
  const encode = (keep: RegExp, digits: (hex: string) => string) =>
    [...bytes.toString('latin1')]
      .map((char) => (keep.test(char) ? char : `%${digits(char.charCodeAt(0).toString(16).padStart(2, '0'))}`))
      .join('');
  const upper = (hex: string) => hex.toUpperCase();
  const same = (hex: string) => hex;
  const kept = [/[A-Za-z0-9_.~-]/, /[A-Za-z0-9_.!~*'()-]/, /[A-Za-z0-9_.*-]/, /[A-Za-z0-9_.~/-]/, /[^\s\S]/];
  return kept.flatMap((keep) => {
    const forms = [encode(keep, upper), encode(keep, same)];
    return [...forms, ...forms.map((form) => form.replaceAll('%20', '+'))];
  });
}

/** As C, Python, shells' `$'…'` and `ls -b` show bytes. */
function escapes(bytes: Buffer): readonly string[] {
  const named: { readonly [char: string]: string } = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };
  const show = (number: (byte: number) => string, quote: string) =>
    [...bytes.toString('latin1')]
      .map((char) => {
        const code = char.charCodeAt(0);
        if (char === quote) return `\\${char}`;
        return named[char] ?? (code >= 0x20 && code < 0x7f ? char : number(code));
      })
      .join('');
  const hexadecimal = (byte: number) => `\\x${byte.toString(16).padStart(2, '0')}`;
  const octal = (byte: number) => `\\${byte.toString(8).padStart(3, '0')}`;
  const all = [...bytes].map(hexadecimal).join('');
  return [show(hexadecimal, "'"), show(hexadecimal, '"'), show(octal, "'"), show(octal, '"'), all];
}

/** JSON, with and without non-ASCII escaped and with slashes escaped; shell quoting; HTML and XML; Ruby and YAML strings. */
function textForms(text: string): readonly string[] {
  const json = JSON.stringify(text).slice(1, -1);
  const ascii = json.replace(/[\u0080-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const html = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
  return [
    json,
    ascii,
    json.replaceAll('/', '\\/'),
    // JSON inside JSON, as in a log of a log.
    JSON.stringify(json).slice(1, -1),
    // POSIX shell: 'it'\''s', 'it'"'"'s', it\'s, and inside double quotes.
    text.replaceAll("'", "'\\''"),
    text.replaceAll("'", `'"'"'`),
    text.replaceAll("'", "''"),
    text.replace(/[^A-Za-z0-9_@%+=:,./\n-]/g, (char) => `\\${char}`),
    text.replace(/[\\"$`]/g, (char) => `\\${char}`),
    text.replace(/[.*+?^${}()|[\]\\/]/g, (char) => `\\${char}`),
    html,
    html.replaceAll("'", '&#39;'),
    html.replaceAll("'", '&#x27;'),
  ].map(latin1);
}

function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

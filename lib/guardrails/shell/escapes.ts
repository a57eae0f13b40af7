/** Backslash escapes as `$'…'`, `printf` and `echo -e` read them. */

const simple: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  e: '\x1b',
  E: '\x1b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** Decodes all escapes; what is none stays as it is. */
export function decodeEscapes(text: string): string {
  return text.replace(
    /\\(x[0-9a-fA-F]{1,2}|[xu]\{[0-9a-fA-F]{1,8}\}|u[0-9a-fA-F]{1,4}|U[0-9a-fA-F]{1,8}|0?[0-7]{1,3}|c.|[\s\S])/g,
    (whole, code: string) => {
      if (/^[xuU]\{?[0-9a-fA-F]/.test(code)) return fromCodePoint(Number.parseInt(code.replace(/[xuU{}]/g, ''), 16));
      if (/^[0-7]/.test(code)) return fromCodePoint(Number.parseInt(code, 8) & 0xff);
      if (/^c./.test(code)) return fromCodePoint((code.codePointAt(1) ?? 0) & 0x1f);
      return simple[code] ?? (/[\\'"?]/.test(code) ? code : whole);
    },
  );
}

function fromCodePoint(code: number): string {
  return code <= 0x10ffff && !(code >= 0xe000 && code <= 0xe00f) ? String.fromCodePoint(code) : '\ufffd';
}

/** The rules of folding: what functions and operators of strings make of literals. One row for each way to write it. */
import { arithmetic } from './arithmetic.ts';
import { literalEnd, literalStart } from './marks.ts';

export type Rewrite = readonly [RegExp, (...groups: string[]) => string];

export const maxFolded = 32 * 1024;

/** A literal, its content captured. */
const S = '\\ue010([^\\ue010\\ue011]*)\\ue011';
/** Literals with commas between them. */
const L = '(\\ue010[^\\ue010\\ue011]*\\ue011(?:\\s*,\\s*\\ue010[^\\ue010\\ue011]*\\ue011)*)';
/** Numbers with commas between them. */
const N = '((?:0x[0-9a-fA-F]+|\\d{1,6})(?:\\s*,\\s*(?:0x[0-9a-fA-F]+|\\d{1,6}))*)\\s*,?';
/** A package or object in front of a function. */
const P = '(?:[A-Za-z_]\\w*(?:\\.|::))*';

function rule(source: string, by: (...groups: string[]) => string): Rewrite {
  return [new RegExp(source, 'g'), (_whole, ...groups) => by(...groups)];
}

function text(value: string): string {
  return `${literalStart}${value.replace(/[\ue010\ue011]/g, '').slice(0, maxFolded)}${literalEnd}`;
}

function itemsOf(list: string): string[] {
  return [...list.matchAll(/\ue010([^\ue010\ue011]*)\ue011/g)].map(([, value = '']) => value);
}

function charactersOf(numbers: string): string {
  return numbers
    .split(',')
    .filter((one) => one.trim() !== '')
    .map((one) => character(Number(one)))
    .join('');
}

function character(code: number | undefined): string {
  return code !== undefined && code >= 0 && code <= 0xffff && !(code >= 0xe000 && code < 0xe020)
    ? String.fromCharCode(code)
    : '\ufffd';
}

function listOf(values: readonly string[]): string {
  return `[${values.slice(0, 500).map(text).join(',')}]`;
}

function reversed(value: string): string {
  return [...value].reverse().join('');
}

function rot13(value: string): string {
  return value.replace(/[A-Za-z]/g, (char) => {
    const base = char <= 'Z' ? 65 : 97;
    return String.fromCharCode(((char.charCodeAt(0) - base + 13) % 26) + base);
  });
}

function bytes(value: string, encoding: 'base64' | 'hex'): string {
  return Buffer.from(value.replace(/\s+/g, ''), encoding).toString('utf8');
}

/** `chr(c - 1)` for each character or number: the expression with what it stands for put in. */
function mapped(expression: string, name: string, values: readonly number[]): string {
  const own = new RegExp(
    `(?:ord|charCodeAt|int)?\\(?\\s*(?<![\\w.])\\$?${name}(?:\\.(?:ord|charCodeAt\\(0?\\)))?(?!\\w)\\s*\\)?`,
    'g',
  );
  return values
    .slice(0, 2000)
    .map((value) => character(arithmetic(balanced(expression.replace(own, `${value}`)))))
    .join('');
}

/** Brackets that lost their other half are left out. */
function balanced(expression: string): string {
  const opened = expression.split('(').length;
  const closed = expression.split(')').length;
  return opened < closed ? expression.replace(/\)/, '') : opened > closed ? expression.replace(/\(/, '') : expression;
}

function codesOf(values: string): number[] {
  const items = itemsOf(values);
  if (items.length === 0)
    return values
      .split(',')
      .filter((one) => one.trim() !== '')
      .map(Number);
  return items.flatMap((item) =>
    /^\d+$/.test(item) && items.length > 1 ? [Number(item)] : [...item].map((char) => char.codePointAt(0) ?? 0),
  );
}

function filledIn(format: string, list: string): string {
  const values = itemsOf(list);
  const numbers = values.length === 0 ? list.split(',').map((one) => one.trim()) : values;
  let next = 0;
  return format.replace(
    /%(?:%|-?\d*([scd]))|\{(\d*)\}/g,
    (whole, kind: string | undefined, place: string | undefined) => {
      if (whole === '%%') return '%';
      const value = numbers[place === undefined || place === '' ? next++ : Number(place)] ?? '';
      return kind === 'c' && /^\d+$/.test(value) ? character(Number(value)) : value;
    },
  );
}

function translated(value: string, from: string, to: string): string {
  const [a, b] = [rangesOf(from), rangesOf(to)];
  return [...value]
    .map((char) => (a.includes(char) ? (b[Math.min(a.indexOf(char), b.length - 1)] ?? '') : char))
    .join('');
}

function rangesOf(set: string): string[] {
  const all = set.replace(/(.)-(.)/g, (whole, first: string, last: string) => {
    const [from, to] = [first.charCodeAt(0), last.charCodeAt(0)];
    return to < from || to - from > 255
      ? whole
      : String.fromCharCode(...Array.from({ length: to - from + 1 }, (_, i) => from + i));
  });
  return [...all];
}

function sliced(value: string, from: string, to: string | undefined): string {
  const start = from === '' ? 0 : Number(from);
  return to === undefined ? value.slice(start) : value.slice(start, to === '' ? undefined : Number(to));
}

const decoders64 =
  'b64decode|urlsafe_b64decode|standard_b64decode|decodebytes|decodestring|decode64|strict_decode64|urlsafe_decode64|decode_base64|base64_decode|atob';

export const rewrites: readonly Rewrite[] = [
  // Names that the file system fills in.
  rule(`(?:\\bglob\\s*\\(?\\s*${S}\\s*\\)?|<(/[^<>\\s\\ue010]+)>)`, (a, b) =>
    text((a ?? b ?? '').replaceAll('*', '\ue001').replaceAll('?', '\ue002')),
  ),
  // Brackets around one literal.
  rule(`(?<![\\w\\])\\ue011$])\\(\\s*${S}\\s*\\)`, text),
  // One after the other.
  rule(`${S}[ \\t]*(?:(?:\\+|\\.\\.?|<<)\\s*|(?=\\ue010))${S}`, (a, b) => text(a + b)),
  rule(`${S}\\.concat\\(\\s*${L}\\s*\\)`, (a, list) => text(a + itemsOf(list).join(''))),
  // By number.
  rule(`\\b(?:chr|char|unichr|string\\.char)\\s*\\(\\s*([\\dx\\sA-Fa-f+*/^()-]{1,40}?)\\s*\\)`, (expression) =>
    text(character(arithmetic(expression))),
  ),
  rule(`\\bchr\\s+(\\d{1,3})\\b`, (number) => text(character(Number(number)))),
  rule(`\\b(\\d{1,3})\\.chr\\b(?:\\(\\))?`, (number) => text(character(Number(number)))),
  rule(
    `\\b(?:String\\.from(?:CharCode|CodePoint)|string\\.char)\\(\\s*(?:\\.\\.\\.)?\\[?\\s*${N}\\s*\\]?\\s*\\)`,
    (numbers) => text(charactersOf(numbers)),
  ),
  rule(`\\bString\\.from(?:CharCode|CodePoint)\\.apply\\(\\w+,\\s*\\[\\s*${N}\\s*\\]\\s*\\)`, (numbers) =>
    text(charactersOf(numbers)),
  ),
  rule(`\\b(?:bytes|bytearray|Buffer\\.from|Uint8Array\\.from)\\(\\s*[[(]\\s*${N}\\s*[\\])]\\s*\\)`, (numbers) =>
    text(charactersOf(numbers)),
  ),
  rule(`\\[\\s*${N}\\s*\\]\\.pack\\(?\\s*\\ue010[CcU]\\*\\ue011\\s*\\)?`, (numbers) => text(charactersOf(numbers))),
  rule(`\\bpack\\s*\\(?\\s*\\ue010[CcUW]\\*?\\d*\\ue011\\s*,\\s*\\(?\\s*${N}\\s*\\)?\\s*\\)?`, (numbers) =>
    text(charactersOf(numbers)),
  ),
  rule(`\\bmap\\s*\\(\\s*(?:chr|lambda (\\w): ?chr\\(\\1\\))\\s*,\\s*[[(]\\s*${N}\\s*[\\])]\\s*\\)`, (_, numbers) =>
    text(charactersOf(numbers)),
  ),
  rule(`\\bmap\\s*\\{?\\s*\\(?\\s*chr\\s*(?:\\(?\\$_\\)?)?\\s*\\)?\\s*(?:\\}|,)\\s*\\(?\\s*${N}\\s*\\)?`, (numbers) =>
    text(charactersOf(numbers)),
  ),
  rule(`\\[\\s*${N}\\s*\\]\\.map\\s*(?:\\(\\s*&:chr\\s*\\)|\\{\\s*\\|(\\w+)\\|\\s*\\2\\.chr\\s*\\})`, (numbers) =>
    text(charactersOf(numbers)),
  ),
  rule(`\\barray_map\\(\\s*\\ue010chr\\ue011\\s*,\\s*(?:\\[|array\\()\\s*${N}\\s*[\\])]\\s*\\)`, (numbers) =>
    text(charactersOf(numbers)),
  ),
  // By an expression for each of them.
  rule(
    `chr\\(([^\\ue010\\ue011]{1,60}?)\\)\\s*for\\s+(\\w+)\\s+in\\s+(?:\\[\\s*(?:${N}|${L})\\s*\\]|\\(\\s*(?:${N}|${L})\\s*\\)|${L})`,
    (expression, name, ...lists) =>
      text(mapped(expression, name, codesOf(lists.slice(0, 5).find((one) => one !== undefined) ?? ''))),
  ),
  rule(`\\[\\s*${S}\\s*\\](?=\\s*\\))`, text),
  rule(
    `(?:\\[\\s*${N}\\s*\\]|${S}\\.split\\(\\ue010\\ue011\\))\\.map\\(\\s*\\(?(\\w+)\\)?\\s*=>\\s*String\\.fromCharCode\\(([^\\ue010\\ue011]{1,60}?)\\)\\s*\\)(?:\\.join\\(\\s*\\ue010\\ue011\\s*\\))?`,
    (numbers, value, name, expression) =>
      text(
        mapped(
          expression,
          name,
          numbers === undefined ? [...(value ?? '')].map((char) => char.charCodeAt(0)) : codesOf(numbers),
        ),
      ),
  ),
  // Lists.
  rule(
    `\\bqw\\s*(?:\\(([^()\\ue010]*)\\)|\\{([^{}\\ue010]*)\\}|\\[([^[\\]\\ue010]*)\\]|/([^/\\ue010]*)/)`,
    (a, b, c, d) => `(${(a ?? b ?? c ?? d ?? '').trim().split(/\s+/).slice(0, 500).map(text).join(',')})`,
  ),
  rule(`%[wW]\\s*(?:\\[([^[\\]\\ue010]*)\\]|\\(([^()\\ue010]*)\\)|\\{([^{}\\ue010]*)\\})`, (a, b, c) =>
    listOf((a ?? b ?? c ?? '').trim().split(/\s+/)),
  ),
  rule(`(?:\\bshlex\\.split\\(\\s*${S}\\s*\\)|${S}\\.split\\(\\s*(?:\\ue010 \\ue011)?\\s*\\))`, (a, b) =>
    listOf((a ?? b ?? '').trim().split(/\s+/)),
  ),
  rule(`${S}\\.split\\(\\s*${S}\\s*\\)`, (value, by) => listOf(by === '' ? [...value] : value.split(by))),
  rule(`(?:\\bexplode\\(\\s*${S}\\s*,|\\bsplit\\s*\\(?\\s*${S}\\s*,)\\s*${S}\\s*\\)?`, (a, b, value) =>
    listOf(value.split((a ?? b) === '' ? '' : (a ?? b ?? ' '))),
  ),
  rule(`\\[\\.\\.\\.${S}\\]`, (value) => listOf([...value])),
  rule(`(\\[\\s*${L}\\s*,?\\s*\\])\\.reverse\\(?\\)?`, (_, list) => listOf(itemsOf(list).reverse())),
  rule(`\\b(?:reversed|array_reverse)\\(\\s*\\[\\s*${L}\\s*\\]\\s*\\)`, (list) => listOf(itemsOf(list).reverse())),
  rule(`${S}\\.join\\(\\s*[[(]\\s*${L}\\s*,?\\s*[\\])]\\s*\\)`, (by, list) => text(itemsOf(list).join(by))),
  rule(`${S}\\.join\\(\\s*${S}\\s*\\)`, (by, value) => text([...value].join(by))),
  rule(`[[(]\\s*${L}\\s*,?\\s*[\\])]\\.join(?:\\(\\s*(?:${S})?\\s*\\)|(?=[\\s;)]|$))`, (list, by) =>
    text(itemsOf(list).join(by ?? '')),
  ),
  rule(`\\b(?:os\\.path|File|path|posixpath|filepath)\\.join\\s*\\(\\s*${L}\\s*\\)`, (list) =>
    text(itemsOf(list).reduce((all, one) => (one.startsWith('/') ? one : `${all.replace(/\/$/, '')}/${one}`))),
  ),
  rule(`(?<![.\\w])(?:join|implode)\\s*\\(?\\s*${S}\\s*,\\s*[[(]?\\s*${L}\\s*[\\])]?\\s*\\)?`, (by, list) =>
    text(itemsOf(list).join(by)),
  ),
  rule(`\\btable\\.concat\\(\\s*\\{\\s*${L}\\s*\\}\\s*(?:,\\s*${S})?\\s*\\)`, (list, by) =>
    text(itemsOf(list).join(by ?? '')),
  ),
  // Backwards.
  rule(`${S}\\[\\s*::\\s*-1\\s*\\]`, (value) => text(reversed(value))),
  rule(`${S}\\.reverse\\b!?(?:\\(\\))?`, (value) => text(reversed(value))),
  rule(`${S}:reverse\\(\\)`, (value) => text(reversed(value))),
  rule(`\\b(?:strrev|string\\.reverse|reversed)\\s*\\(\\s*${S}\\s*\\)`, (value) => text(reversed(value))),
  rule(`\\b(?:scalar\\s*\\(?\\s*)?reverse\\s*\\(?\\s*${S}\\s*\\)?`, (value) => text(reversed(value))),
  // Decoded.
  rule(`${S}\\.(?:decode|encode)\\(\\s*\\ue010(?:base64|base_64)(?:_codec)?\\ue011\\s*\\)`, (value) =>
    text(bytes(value, 'base64')),
  ),
  rule(`${S}\\.decode\\(\\s*\\ue010hex(?:_codec)?\\ue011\\s*\\)`, (value) => text(bytes(value, 'hex'))),
  rule(
    `\\bcodecs\\.(?:de|en)code\\(\\s*${S}\\s*,\\s*\\ue010(rot_?13|hex|base64)(?:_codec)?\\ue011\\s*\\)`,
    (value, kind) => text(kind.startsWith('rot') ? rot13(value) : bytes(value, kind === 'hex' ? 'hex' : 'base64')),
  ),
  rule(`${P}(?:${decoders64})\\s*\\(?\\s*${S}(?:\\s*,\\s*\\w+)?\\s*\\)?`, (value) => text(bytes(value, 'base64'))),
  rule(`\\bBuffer\\.from\\(\\s*${S}\\s*,\\s*\\ue010(base64|hex)(?:url)?\\ue011\\s*\\)`, (value, kind) =>
    text(bytes(value, kind === 'hex' ? 'hex' : 'base64')),
  ),
  rule(`${S}\\.unpack1?\\(?\\s*\\ue010m0?\\ue011\\s*\\)?(?:\\[0\\]|\\.first)?`, (value) =>
    text(bytes(value, 'base64')),
  ),
  rule(`(?:\\b(?:bytes|bytearray)\\.fromhex|${P}(?:unhexlify|a2b_hex|hex2bin))\\s*\\(\\s*${S}\\s*\\)`, (value) =>
    text(bytes(value, 'hex')),
  ),
  rule(`\\bpack\\s*\\(?\\s*\\ue010H\\*?\\d*\\ue011\\s*,\\s*${S}\\s*\\)?`, (value) => text(bytes(value, 'hex'))),
  rule(`\\[\\s*${S}\\s*\\]\\.pack\\(?\\s*\\ue010H\\*\\ue011\\s*\\)?`, (value) => text(bytes(value, 'hex'))),
  rule(`\\bstr_rot13\\(\\s*${S}\\s*\\)`, (value) => text(rot13(value))),
  rule(`${S}\\.tr\\(\\s*${S}\\s*,\\s*${S}\\s*\\)`, translated3),
  rule(`\\b(?:strtr)\\(\\s*${S}\\s*,\\s*${S}\\s*,\\s*${S}\\s*\\)`, translated3),
  rule(`${S}\\.translate\\(\\s*(?:str|string)\\.maketrans\\(\\s*${S}\\s*,\\s*${S}\\s*\\)\\s*\\)`, translated3),
  rule(
    `\\(?\\s?(?:(?:my\\s+)?(\\$\\w+)\\s*=\\s*)${S}\\s*\\)?\\s*=~\\s*(?:tr|y)/([^/]*)/([^/]*)/\\w*`,
    (name, value, from, to) => `${name}=${text(translated(value, from, to))}`,
  ),
  // Changed.
  rule(`${S}\\.(?:replace(?:All)?|gsub|sub)\\(\\s*${S}\\s*,\\s*${S}\\s*\\)`, (value, what, by) =>
    text(what === '' ? value : value.replaceAll(what, () => by)),
  ),
  rule(`${S}\\.(?:replace(?:All)?|gsub|sub)\\(\\s*/([\\w ._@#~:-]+)/g?\\s*,\\s*${S}\\s*\\)`, (value, what, by) =>
    text(value.replaceAll(what, () => by)),
  ),
  rule(`\\bstr_replace\\(\\s*${S}\\s*,\\s*${S}\\s*,\\s*${S}\\s*\\)`, (what, by, value) =>
    text(what === '' ? value : value.replaceAll(what, () => by)),
  ),
  rule(`${S}\\s*(?:\\*|x)\\s*(\\d{1,3})\\b`, (value, times) =>
    text(value.repeat(Math.min(Number(times), 100)).slice(0, maxFolded)),
  ),
  rule(`${S}\\[\\s*(-?\\d{1,4})\\s*\\]`, (value, at) => text(value.at(Number(at)) ?? '')),
  rule(`${S}\\[\\s*(-?\\d{0,4})\\s*:\\s*(-?\\d{0,4})\\s*\\]`, (value, from, to) => text(sliced(value, from, to))),
  rule(`${S}\\[\\s*::\\s*(\\d{1,2})\\s*\\]`, (value, by) =>
    text([...value].filter((_, i) => i % Math.max(Number(by), 1) === 0).join('')),
  ),
  rule(`${S}\\.(?:slice|substring)\\(\\s*(-?\\d{1,4})\\s*(?:,\\s*(-?\\d{1,4})\\s*)?\\)`, (value, from, to) =>
    text(sliced(value, from, to)),
  ),
  rule(`\\bsubstr\\s*\\(\\s*${S}\\s*,\\s*(-?\\d{1,4})\\s*(?:,\\s*(\\d{1,4})\\s*)?\\)`, (value, from, length) =>
    text(value.slice(Number(from)).slice(0, length === undefined ? undefined : Number(length))),
  ),
  rule(`${S}\\.(?:lower|downcase|toLowerCase|casefold)\\b(?:\\(\\))?`, (value) => text(value.toLowerCase())),
  rule(`${S}\\.(?:upper|upcase|toUpperCase)\\b(?:\\(\\))?`, (value) => text(value.toUpperCase())),
  rule(`${S}\\.swapcase\\b(?:\\(\\))?`, (value) =>
    text([...value].map((char) => (char === char.toUpperCase() ? char.toLowerCase() : char.toUpperCase())).join('')),
  ),
  rule(`\\b(?:lc|strtolower|tolower|string\\.lower)\\s*\\(?\\s*${S}\\s*\\)?`, (value) => text(value.toLowerCase())),
  rule(`\\b(?:uc|strtoupper|toupper|string\\.upper)\\s*\\(?\\s*${S}\\s*\\)?`, (value) => text(value.toUpperCase())),
  rule(`${S}\\s*%\\s*(?:\\(\\s*${L}\\s*,?\\s*\\)|(\\ue010[^\\ue010\\ue011]*\\ue011))`, (format, list, one) =>
    text(filledIn(format, list ?? one ?? '')),
  ),
  rule(`${S}\\.format\\(\\s*${L}\\s*\\)`, (format, list) => text(filledIn(format, list))),
  rule(`\\b(?:sprintf|format|string\\.format)\\s*\\(?\\s*${S}\\s*,\\s*(?:${L}|${N})\\s*\\)?`, (format, list, numbers) =>
    text(filledIn(format, list ?? numbers ?? '')),
  ),
  rule(`\\bf${S}`, (value) => (value.includes('{') ? `f${text(value)}` : text(value))),
  rule(
    `${S}\\.(?:decode|encode|toString|to_s|strip|rstrip|lstrip|trim|chomp|freeze|dup|b|force_encoding|tostring|str|valueOf)\\b(?:\\(\\s*(?:\\ue010[^\\ue010\\ue011]*\\ue011)?\\s*\\))?`,
    (value) => text(value.trim() === '' ? value : value.trim()),
  ),
  rule(`\\b(?:str|bytes|String|trim|bytearray)\\(\\s*${S}(?:\\s*,\\s*\\ue010[\\w-]*\\ue011)?\\s*\\)`, text),
  // Functions by their names as text.
  rule(
    `\\b__import__\\(\\s*\\ue010(\\w+)\\ue011\\s*\\)|\\b(?:importlib\\.)?import_module\\(\\s*\\ue010(\\w+)\\ue011\\s*\\)`,
    (a, b) => a ?? b ?? '',
  ),
  rule(`\\bgetattr\\(\\s*([\\w.]+)\\s*,\\s*\\ue010(\\w+)\\ue011\\s*\\)`, (object, name) => `${object}.${name}`),
  rule(`\\b(?:globals|locals|vars)\\(\\s*(?:\\w+)?\\s*\\)\\[\\s*\\ue010(\\w+)\\ue011\\s*\\]`, (name) => name),
  rule(`(?:\\.__dict__)?\\[\\s*\\ue010([A-Za-z_]\\w*)\\ue011\\s*\\](?=\\s*\\()`, (name) => `.${name}`),
  rule(
    `\\.?\\b(?:public_|__)?send\\(\\s*(?::(\\w+)|\\ue010(\\w+)\\ue011(?:\\.to_sym)?)\\s*,\\s*`,
    (a, b) => ` ${a ?? b}(`,
  ),
  rule(`\\bmethod\\(\\s*:?\\ue010?(\\w+)\\ue011?\\s*\\)\\.call\\(`, (name) => `${name}(`),
  rule(`\\bcall_user_func(?:_array)?\\(\\s*\\ue010(\\w+)\\ue011\\s*,\\s*`, (name) => `${name}(`),
  rule(
    `(?:[&{\\\\]\\s?){0,4}\\ue010([a-z_]\\w*)\\ue011\\s?\\}?\\s?\\}?\\s?(?:->)?\\((?=\\s?\\ue010)`,
    (name) => `${name}(`,
  ),
];

function translated3(value: string, from: string, to: string): string {
  return text(translated(value, from, to));
}

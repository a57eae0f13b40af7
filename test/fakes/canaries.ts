/**
 * Canary secrets of many shapes, and a search for them that shares nothing with the product's own redaction: what one
 * forgets, the other must not forget too.
 */
import { createHash } from 'node:crypto';

export type Canary = { readonly path: string; readonly value: Buffer };

/** The same for the same seed. */
export function makeCanaries(seed: string): readonly Canary[] {
  const random = (name: string, bytes: number): Buffer => {
    const blocks: Buffer[] = [];
    for (let i = 0; i * 32 < bytes; i++) blocks.push(createHash('sha256').update(`${seed}|${name}|${i}`).digest());
    return Buffer.concat(blocks).subarray(0, bytes);
  };
  const word = (name: string, chars = 24) => random(name, 64).toString('hex').slice(0, chars);
  const text: { readonly [path: string]: string } = {
    plain: `Canary-${word('plain')}`,
    'four/bytes': `${String.fromCharCode(0x7e - ((random('four', 1)[0] ?? 0) % 8))}Z${word('four', 1)}!`,
    'quotes/single': `it's ${word('single')} isn't '${word('single2')}'`,
    'quotes/double': `say "${word('double')}" and \\"${word('double2')}\\"`,
    'quotes/back': `\`${word('back')}\` $(${word('back2')}) \${HOME} $PATH`,
    json: JSON.stringify({ user: word('user'), password: word('password'), nested: { list: [word('list')] } }),
    regex: `^(${word('regex')}+)+$[a-z]{2,}|\\d.*?(?<x>${word('regex2')})`,
    'lines/pem': `-----BEGIN CANARY-----\n${random('pem', 96).toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CANARY-----\n`,
    'lines/indented': `first ${word('l1')}\n\tsecond ${word('l2')}\n    third ${word('l3')}\n`,
    'lines/windows': `first ${word('w1')}\r\nsecond ${word('w2')}\r\n`,
    unicode: `пароль-${word('unicode')}-密码-🔑-é`,
    spaces: `  ${word('s1')}   ${word('s2')}  `,
    url: `https://user:${word('url')}@host.example/?q=${word('url2')}&x=a+b%20c#f`,
    'shell/words': `; rm -rf ${word('shell')} && echo "${word('shell2')}" | tee >(cat) *?[]{}`,
    html: `<script>${word('html')}</script>&amp;"'`,
    liquid: `{{ ${word('liquid')} }} {% if ${word('liquid2')} %}`,
    yaml: `key: ${word('yaml')}\n- &anchor ${word('yaml2')}\n# ${word('yaml3')}`,
  };
  return [
    ...Object.entries(text).map(([path, value]) => ({ path, value: Buffer.from(value, 'utf8') })),
    { path: 'binary/short', value: Buffer.concat([Buffer.of(0, 255, 10, 13), random('binary', 28)]) },
    { path: 'binary/zeros', value: Buffer.concat([Buffer.alloc(8), random('zeros', 24), Buffer.alloc(8)]) },
    { path: 'large', value: random('large', 60 * 1024) },
  ];
}

export type Hit = { readonly path: string; readonly form: string; readonly where: string };

/** The forms of the issue, each made by other means than the product's. Values of 4 bytes only in forms of 5 and more. */
function needlesOf(value: Buffer): readonly (readonly [string, Buffer])[] {
  const text = value.toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(value);
  const found: [string, Buffer][] = [['raw', value]];
  const add = (form: string, needle: string | Buffer) => found.push([form, Buffer.from(needle as string)]);
  for (const shift of [0, 1, 2]) {
    // Three bytes are four characters: what is left of the first and last group is decided by the neighbours too.
    const body = value.subarray(shift, shift + Math.floor((value.length - shift) / 3) * 3).toString('base64');
    add(`base64 at ${shift}`, body);
    add(`base64url at ${shift}`, body.replaceAll('+', '-').replaceAll('/', '_'));
    add(`reversed base64 at ${shift}`, [...body].reverse().join(''));
  }
  add('hex', value.toString('hex'));
  add('HEX', value.toString('hex').toUpperCase());
  add('reversed', Buffer.from(value).reverse());
  if (isText) {
    add('url', encodeURIComponent(text));
    add('url, all', [...value].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''));
    add('form', new URLSearchParams([['k', text]]).toString().slice(2));
    add('json', JSON.stringify(text).slice(1, -1));
    add('json twice', JSON.stringify(JSON.stringify(text)).slice(3, -3));
    add('shell', text.split("'").join(`'\\''`));
    add('shell, escaped', text.replace(/[^A-Za-z0-9_\n]/g, '\\$&'));
  }
  // Parts: what was cut, or of many lines.
  if (value.length >= 32) {
    add('beginning', value.subarray(0, 16));
    add('end', value.subarray(-16));
    add('middle', value.subarray(value.length / 2 - 8, value.length / 2 + 8));
  }
  return found.filter(([, needle]) => needle.length >= (value.length <= 4 ? 4 : 8));
}

type Needle = { readonly path: string; readonly form: string; readonly text: string };
type Search = {
  readonly whole: Needles;
  /** The same without white space. */
  readonly dense: Needles;
};
type Needles = {
  readonly byStart: ReadonlyMap<string, readonly Needle[]>;
  readonly isStart: Uint8Array;
  readonly short: readonly Needle[];
};

const startChars = 8;
const tableSize = 1 << 20;
const squeeze = (text: string) => text.replace(/[\s\0]+/g, '');

/** Looks for all forms of all canaries in one pass over each haystack. */
export function canarySearch(canaries: readonly Canary[]): (where: string, haystack: Buffer) => readonly Hit[] {
  const needles = canaries.flatMap(({ path, value }) =>
    needlesOf(value)
      // A stretch of few different bytes, such as zeros, is in any file.
      .filter(([, needle]) => new Set(needle).size >= 3)
      .map(([form, needle]): Needle => ({ path, form, text: needle.toString('latin1') })),
  );
  const search: Search = {
    whole: indexed(needles),
    dense: indexed(
      needles.map((one) => ({ ...one, text: squeeze(one.text) })).filter((one) => one.text.length >= startChars),
    ),
  };
  return (where, haystack) => {
    const text = haystack.toString('latin1');
    return [...lookThrough(text, search.whole), ...lookThrough(squeeze(text), search.dense)].map(({ path, form }) => ({
      path,
      form,
      where,
    }));
  };
}

function indexed(needles: readonly Needle[]): Needles {
  const byStart = new Map<string, Needle[]>();
  const isStart = new Uint8Array(tableSize);
  for (const needle of needles) {
    if (needle.text.length < startChars) continue;
    const start = needle.text.slice(0, startChars);
    byStart.set(start, [...(byStart.get(start) ?? []), needle]);
    isStart[slot(needle.text, 0)] = 1;
  }
  return { byStart, isStart, short: needles.filter(({ text }) => text.length < startChars) };
}

function lookThrough(text: string, { byStart, isStart, short }: Needles): readonly Needle[] {
  const found = new Set(short.filter((needle) => text.includes(needle.text)));
  for (let at = 0; at + startChars <= text.length; at++) {
    if (isStart[slot(text, at)] === 0) continue;
    for (const needle of byStart.get(text.slice(at, at + startChars)) ?? []) {
      if (text.startsWith(needle.text, at)) found.add(needle);
    }
  }
  return [...found];
}

function slot(text: string, at: number): number {
  const low = text.charCodeAt(at) | (text.charCodeAt(at + 1) << 8) | (text.charCodeAt(at + 2) << 16);
  return (Math.imul(low ^ (text.charCodeAt(at + 3) << 24), 0x9e3779b1) >>> 12) & (tableSize - 1);
}

/** Text tools: what `tr`, `sed`, `cut`, `base64` and their like make of text that is known. */
import { readOptions } from './call.ts';
import { decodeEscapes } from './escapes.ts';
import { decoded, hole, plain, taints, withoutGlobs } from './marks.ts';

/** Changes text that is wholly known; its origin stays with it. */
export function map(text: string, change: (text: string) => string): string {
  return text.includes(hole) ? hole + taints(text) : change(plain(text)) + taints(text);
}

export function translate(text: string, args: readonly string[]): string {
  const operands = args
    .filter((arg) => !/^-[a-zA-Z]+$/.test(plain(arg)))
    .map((arg) => ranges(decodeEscapes(withoutGlobs(plain(arg)))));
  const isDelete = args.some((arg) => /^-[a-zA-Z]*d/.test(plain(arg)));
  const from = [...(operands[0] ?? '')];
  if (isDelete) return [...text].filter((char) => !from.includes(char)).join('');
  const to = [...(operands[1] ?? '')];
  return [...text]
    .map((char) => (from.includes(char) ? (to[Math.min(from.lastIndexOf(char), to.length - 1)] ?? char) : char))
    .join('');
}

function ranges(text: string): string {
  const classes: Readonly<Record<string, string>> = {
    '[:upper:]': 'A-Z',
    '[:lower:]': 'a-z',
    '[:digit:]': '0-9',
    '[:space:]': ' \t\n',
    '[:alpha:]': 'A-Za-z',
  };
  return text
    .replace(/\[:\w+:\]/g, (name) => classes[name] ?? name)
    .replace(/([\s\S])-([\s\S])/g, (whole, a: string, b: string) => {
      const [from, to] = [a.charCodeAt(0), b.charCodeAt(0)];
      return to < from || to - from > 255
        ? whole
        : String.fromCharCode(...Array.from({ length: to - from + 1 }, (_, i) => from + i));
    });
}

export function cut(text: string, args: readonly string[]): string {
  const { values } = readOptions(args, ['-d', '-f', '-c', '-b', '--delimiter', '--fields']);
  const list = plain(values.get('-f') ?? values.get('--fields') ?? values.get('-c') ?? values.get('-b') ?? '');
  const ranges = list.split(',').map((one) => /^(\d+)?(-)?(\d+)?$/.exec(one));
  if (ranges.some((range) => range === null)) return hole;
  const isPicked = (index: number) =>
    ranges.some((range) => {
      const from = Number(range?.[1] ?? '1') - 1;
      const to =
        range?.[2] === undefined ? from + 1 : range[3] === undefined ? Number.POSITIVE_INFINITY : Number(range[3]);
      return index >= from && index < to;
    });
  const isFields = values.has('-f');
  const delimiter = plain(values.get('-d') ?? values.get('--delimiter') ?? '\t');
  return text
    .split('\n')
    .map((line) =>
      isFields
        ? line
            .split(delimiter)
            .filter((_, i) => isPicked(i))
            .join(delimiter)
        : [...line].filter((_, i) => isPicked(i)).join(''),
    )
    .join('\n');
}

export function decode(program: string, args: readonly string[], text: string): string {
  const isDecoding = args.some(
    (arg) => /^(?:-[a-zA-Z]*[dDr][a-zA-Z]*|--decode)$/.test(plain(arg)) || /^-r/.test(plain(arg)),
  );
  if (!isDecoding) return hole + taints(text);
  if (text.includes(hole)) return hole + decoded + taints(text);
  const source = plain(text).replace(/\s+/g, '');
  if (program === 'xxd') {
    const hex = plain(text)
      .replace(/^[0-9a-f]+:\s*((?:[0-9a-f]{2,4}\s)+).*$/gim, '$1')
      .replace(/\s+|\\x|0x/g, '');
    return Buffer.from(hex, 'hex').toString('utf8') + decoded;
  }
  if (program === 'base32') return base32(source) + decoded;
  return Buffer.from(source, 'base64').toString('utf8') + decoded;
}

function base32(text: string): string {
  const bits = [...text.replace(/=+$/, '')]
    .map((char) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(char).toString(2).padStart(5, '0'))
    .join('');
  return (bits.match(/[01]{8}/g) ?? []).map((byte) => String.fromCharCode(Number.parseInt(byte, 2))).join('');
}

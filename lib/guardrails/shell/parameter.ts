/** Parameters: the values of `$x` and of all forms of `${x…}` (POSIX 2.6.2 and Bash's "Shell Parameter Expansion"). */
import { balancedEnd } from './brackets.ts';
import { decodeEscapes } from './escapes.ts';
import { evaluateText } from './evaluation.ts';
import { matchingEndings, matchingLengths } from './glob.ts';
import { hole, plain, split, unset, withGlobs } from './marks.ts';
import { assign, type Frame, limits } from './scan.ts';
import { countOf, elementOf, firstSeparator, keysOf, referenced, valuesOf } from './variables.ts';

type Expanders = {
  readonly expandText: (frame: Frame, from: number, to: number) => string[];
  readonly expandQuoted: (frame: Frame, from: number, to: number) => string[];
};

const operators = /^(?::?[-=+?]|##?|%%?|\/[/#%]?|\^\^?|,,?|~~?|@|:)/;

/** The values of the parameter expansion from `at` to `end`. */
export function expandParameter(
  frame: Frame,
  at: number,
  end: number,
  isQuoted: boolean,
  expanders: Expanders,
): string[] {
  const { text } = frame.source;
  if (text[at + 1] !== '{') return [...valuesOf(frame, text.slice(at + 1, end), isQuoted)];
  const body = text.slice(at + 2, end - 1);
  if (/^[#]$|^#[@*]$/.test(body)) return [...valuesOf(frame, '#', isQuoted)];
  const form = /^([#!]?)([A-Za-z_]\w*|\d+|[@*?$!#-])/.exec(body);
  if (form?.[2] === undefined) return [hole];
  const [head, prefix = '', name] = form;
  const isIndexed = body[head.length] === '[';
  const open = at + 2 + head.length;
  const after = isIndexed ? indexEnd(text, open, end - 1) : open;
  const key = isIndexed ? (expanders.expandQuoted(frame, open + 1, after - 1)[0] ?? '') : undefined;
  const isList = key === '@' || key === '*' || (key === undefined && /^[@*]$/.test(name));
  const rest = text.slice(after, end - 1);
  if (prefix === '#' && rest === '') return [lengthOf(frame, name, key, isQuoted)];
  if (prefix === '!' && key !== undefined && isList) return [keysOf(frame, name).join(split)];
  if (prefix === '!' && /^[@*]$/.test(rest)) return [namesLike(frame, name)];
  const own = key === undefined ? scalar(frame, name, isQuoted) : element(frame, name, key, isQuoted);
  const values = prefix === '!' ? indirect(frame, own, isQuoted) : own;
  const operator = operators.exec(rest)?.[0];
  if (operator === undefined) return [...values];
  const word = () =>
    (isQuoted ? expanders.expandQuoted : expanders.expandText)(frame, after + operator.length, end - 1);
  const operation = { name: prefix === '!' ? '' : referenced(frame, name), values, operator, word, isList, isQuoted };
  return operate(frame, operation).slice(0, limits.alternatives);
}

function indexEnd(text: string, at: number, to: number): number {
  let depth = 0;
  for (let i = at; i < to; i += 1) {
    if (text.startsWith('$(', i) || text.startsWith('${', i)) i = balancedEnd(text, i + 1, to) - 1;
    else if (text[i] === '[') depth += 1;
    else if (text[i] === ']') {
      depth -= 1;
      if (depth === 0) return i + 1;
    }
  }
  return to;
}

/** Without an index an array is its first element. */
function scalar(frame: Frame, name: string, isQuoted: boolean): readonly string[] {
  const values = valuesOf(frame, name, isQuoted);
  const isList = frame.scope.variables.get(referenced(frame, name))?.isList === true;
  return isList ? values.map((value) => value.split(split)[0] ?? '') : values;
}

function element(frame: Frame, name: string, key: string, isQuoted: boolean): readonly string[] {
  const values = elementOf(frame, `${name}[${plain(key)}]`);
  return key === '*' && isQuoted ? values.map((value) => value.replaceAll(split, firstSeparator(frame))) : values;
}

function indirect(frame: Frame, names: readonly string[], isQuoted: boolean): readonly string[] {
  return names.flatMap((name) => {
    const target = plain(name);
    if (/^[A-Za-z_]\w*\[[\s\S]*\]$/.test(target)) return elementOf(frame, target);
    return /^\w+$|^[@*]$/.test(target) ? valuesOf(frame, target, isQuoted) : [hole];
  });
}

function lengthOf(frame: Frame, name: string, key: string | undefined, isQuoted: boolean): string {
  if (key === '@' || key === '*' || /^[@*]$/.test(name)) return `${countOf(frame, name) ?? hole}`;
  const values = key === undefined ? scalar(frame, name, isQuoted) : element(frame, name, key, isQuoted);
  const [value = ''] = values;
  return values.length > 1 || value.includes(hole) ? hole : `${plain(value).length}`;
}

function namesLike({ scope }: Frame, prefix: string): string {
  return [...scope.variables.keys()].filter((one) => /^\w+$/.test(one) && one.startsWith(prefix)).join(split);
}

type Operation = {
  readonly name: string;
  readonly values: readonly string[];
  readonly operator: string;
  readonly word: () => string[];
  /** Each element is changed by itself. */
  readonly isList: boolean;
  readonly isQuoted: boolean;
};

function operate(frame: Frame, { name, values, operator, word, isList }: Operation): string[] {
  const isUnset = (value: string) => value.replaceAll(unset, '') === '';
  const each = (change: (value: string) => string) =>
    values.map((value) => (isList ? value.split(split).map(change).join(split) : change(value)));
  switch (operator.replace(':', '') === '' ? ':' : operator.replace(/^:(?=.)/, '')) {
    case '-':
    case '=': {
      const given = values.filter((value) => !isUnset(value));
      // What was never assigned is empty, so the default is what counts; only a caller's environment could differ.
      const result = given.length === values.length && !given.includes(hole) ? given : [...given, ...word()];
      const known = result.filter((value) => value !== hole || result.length === 1);
      if (operator.endsWith('=') && name !== '') assign(frame.scope, name, known);
      return known;
    }
    case '+':
      return values.every(isUnset)
        ? ['']
        : values.some((value) => isUnset(value) || value === hole)
          ? ['', ...word()]
          : word();
    case '?': {
      // What nothing ever assigned ends the shell here.
      if (values.length === 2 && values[0] === unset && values[1] === hole && name !== '') return [`unset-${name}`];
      const given = values.filter((value) => !isUnset(value));
      return given.length > 0 ? given : [hole];
    }
    case '#':
    case '##':
    case '%':
    case '%%':
      return word().flatMap((pattern) => each((value) => strip(value, pattern, operator)));
    case '/':
    case '//':
    case '/#':
    case '/%':
      return word().flatMap((text) => each((value) => replace(value, text, operator)));
    case '^':
    case '^^':
    case ',':
    case ',,':
    case '~':
    case '~~':
      return each((value) => changeCase(value, operator));
    case ':':
      return word().flatMap((bounds) => values.map((value) => slice(frame, value, bounds, { name, isList })));
    case '@':
      return values.map((value) => (value === unset ? value : transformed(frame, value, word()[0] ?? '')));
    default:
      return values.map((value) => (value === unset ? value : hole));
  }
}

/** `${x@E}` and its like (Bash, "Shell Parameter Expansion"). */
function transformed(frame: Frame, value: string, kind: string): string {
  switch (plain(kind)) {
    case 'E':
      return decodeEscapes(value);
    case 'P':
      return prompt(frame, value);
    case 'U':
      return value.toUpperCase();
    case 'L':
      return value.toLowerCase();
    case 'u':
      return value.slice(0, 1).toUpperCase() + value.slice(1);
    case 'Q':
    case 'K':
    case 'k':
      return value.includes(hole) ? value : `'${plain(value).replaceAll("'", "'\\''")}'`;
    default:
      return hole;
  }
}

/** A prompt: commands in it are run when it is shown. */
export function prompt(frame: Frame, value: string): string {
  if (!/\$\(|`/.test(value)) return value.includes('\\') || value.includes('$') ? hole : value;
  const printed = frame.scan.runText(`echo "${plain(value).replaceAll('"', '')}"`, frame);
  return printed.replace(/\n$/, '');
}

/** In a pattern for strings a slash is a character like others. */
function globOf(text: string): string {
  return withGlobs(text.replace(/\[([^[\]]*)\/([^[\]]*)\]/g, '[$1\ue012$2]')).replaceAll('\ue012', '/');
}

function strip(value: string, text: string, operator: string): string {
  if (value.includes(hole)) return stripKnown(value, text, operator);
  const glob = globOf(text);
  const isStart = operator.startsWith('#');
  const lengths = isStart ? matchingLengths(glob, value) : matchingEndings(glob, value);
  const length = (operator.length === 2 ? lengths.at(-1) : lengths[0]) ?? 0;
  return isStart ? value.slice(length) : value.slice(0, value.length - length);
}

/** Of a value with holes only a plain ending or beginning can be taken off. */
function stripKnown(value: string, text: string, operator: string): string {
  const known = plain(text);
  if (/[*?[]/.test(known)) return /\//.test(known) && operator.startsWith('%') ? value.replace(/\/[^/]*$/, '') : hole;
  if (operator.startsWith('#')) return value.startsWith(known) ? value.slice(known.length) : value;
  return value.endsWith(known) ? value.slice(0, value.length - known.length) : value;
}

function replace(value: string, text: string, operator: string): string {
  const slash = text.replace(/\\\//g, '  ').indexOf('/');
  const what = (slash === -1 ? text : text.slice(0, slash)).replaceAll('\\/', '/');
  const by = slash === -1 ? '' : text.slice(slash + 1);
  if (what === '' || value.includes(hole)) return value.includes(hole) ? hole : value;
  const glob = globOf(what);
  if (value.length > 4096) return hole;
  if (operator === '/%') {
    const length = matchingEndings(glob, value).at(-1);
    return length === undefined ? value : value.slice(0, value.length - length) + by;
  }
  let result = '';
  for (let at = 0; at < value.length; ) {
    const length = matchingLengths(glob, value.slice(at)).at(-1) ?? 0;
    if (length === 0) {
      if (operator === '/#') return value;
      result += value[at];
      at += 1;
    } else if (operator === '//') {
      result += by;
      at += length;
    } else return result + by + value.slice(at + length);
  }
  return result;
}

function changeCase(value: string, operator: string): string {
  const upper = (part: string) => part.toUpperCase();
  const lower = (part: string) => part.toLowerCase();
  const toggle = (part: string) => [...part].map((one) => (one === upper(one) ? lower(one) : upper(one))).join('');
  const change = operator.startsWith('^') ? upper : operator.startsWith(',') ? lower : toggle;
  return operator.length === 2 ? change(value) : change(value.slice(0, 1)) + value.slice(1);
}

/** `${x:offset:length}`, of characters or of elements. */
function slice(
  frame: Frame,
  value: string,
  bounds: string,
  { name, isList }: { readonly name: string; readonly isList: boolean },
): string {
  const [first = '', second] = partsOf(plain(bounds));
  const offset = evaluateText(first, frame);
  const length = second === undefined ? undefined : evaluateText(second, frame);
  if (offset === undefined || (second !== undefined && length === undefined)) return hole;
  if (isList) {
    // The arguments are counted from `$0`.
    const items = value === unset ? [] : value.split(split);
    const all = /^[@*]$/.test(name) ? [frame.scope.zero, ...items] : items;
    return cut(all, offset, length).join(split);
  }
  const text = plain(value);
  const known = text.indexOf(hole) === -1 ? text.length : text.indexOf(hole);
  const isKnown =
    known === text.length || (offset >= 0 && length !== undefined && length >= 0 && offset + length <= known);
  return isKnown ? cut([...text], offset, length).join('') : hole;
}

function partsOf(bounds: string): string[] {
  const colon = bounds.indexOf(':');
  const isTernary = bounds.includes('?');
  return colon === -1 || isTernary ? [bounds] : [bounds.slice(0, colon), bounds.slice(colon + 1)];
}

function cut<T>(items: readonly T[], offset: number, length: number | undefined): T[] {
  const start = offset < 0 ? Math.max(0, items.length + offset) : offset;
  return items.slice(start, length === undefined ? undefined : length < 0 ? length : start + length);
}

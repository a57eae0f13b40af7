/** Parameters: the values of `$x` and of all forms of `${x…}` (POSIX 2.6.2 and Bash's "Shell Parameter Expansion"). */
import { hole, patternOf, plain, split, unset, withGlobs } from './marks.ts';
import { assign, type Frame, limits } from './scan.ts';

type Expanders = {
  readonly expandText: (frame: Frame, from: number, to: number) => string[];
  readonly expandQuoted: (frame: Frame, from: number, to: number) => string[];
};

/** What every shell has, before the source assigns anything. The agent runs commands as root. */
const defaults: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ['HOME', ['/root']],
  ['IFS', [' \t\n']],
  ['PATH', ['/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']],
  ['SHELL', ['/bin/sh']],
  ['BASH', ['/bin/bash']],
  ['TMPDIR', ['/tmp']],
  ...['PWD', 'OLDPWD', 'HOSTNAME', 'USER', 'LOGNAME', 'RANDOM', 'UID', 'EUID', 'PPID', 'SECONDS', 'LINENO', 'LANG'].map(
    (name): [string, string[]] => [name, [hole]],
  ),
  ...['?', '$', '!', '-', '#'].map((name): [string, string[]] => [name, [hole]]),
]);

/** The values of the parameter expansion from `at` to `end`. */
export function expandParameter(
  frame: Frame,
  at: number,
  end: number,
  isQuoted: boolean,
  expanders: Expanders,
): string[] {
  const { text } = frame.source;
  if (text[at + 1] !== '{') {
    return valuesOf(frame, text.slice(at + 1, end), isQuoted);
  }
  const body = text.slice(at + 2, end - 1);
  const form = /^([#!]?)([A-Za-z_]\w*|\d+|[@*?$!#-])(\[[^\]]*\])?/.exec(body) ?? /^()([#])()$/.exec(body);
  if (form?.[2] === undefined) return [hole];
  const [whole, prefix, name, index] = form;
  const values = indexed(frame, name, index, isQuoted);
  if (prefix === '#') return values.map((value) => (value.includes(hole) ? hole : `${plain(value).length}`));
  if (prefix === '!') {
    return values.flatMap((value) => (/^\w+$/.test(plain(value)) ? valuesOf(frame, plain(value), isQuoted) : [hole]));
  }
  const from = at + 2 + whole.length;
  const operator = /^(:?[-=+?]|##?|%%?|\/[/#%]?|\^\^?|,,?|@|:)/.exec(body.slice(whole.length))?.[0];
  if (operator === undefined) return [...values];
  const word = () => (isQuoted ? expanders.expandQuoted : expanders.expandText)(frame, from + operator.length, end - 1);
  return operate(frame, { name, values, operator, word, rest: body.slice(whole.length + operator.length) }).slice(
    0,
    limits.alternatives,
  );
}

type Operation = {
  readonly name: string;
  readonly values: readonly string[];
  readonly operator: string;
  readonly word: () => string[];
  readonly rest: string;
};

function operate(frame: Frame, { name, values, operator, word, rest }: Operation): string[] {
  const isUnset = (value: string) => value.replaceAll(unset, '') === '';
  switch (operator.replace(':', '') === '' ? ':' : operator.replace(/^:(?=.)/, '')) {
    case '-':
    case '=': {
      const given = values.filter((value) => !isUnset(value));
      // What was never assigned is empty, so the default is what counts; only a caller's environment could differ.
      const result = given.length === values.length && !given.includes(hole) ? given : [...given, ...word()];
      const known = result.filter((value) => value !== hole || result.length === 1);
      if (operator.endsWith('=')) assign(frame.scope, name, known);
      return known;
    }
    case '+':
      return values.every(isUnset)
        ? ['']
        : values.some((value) => isUnset(value) || value === hole)
          ? ['', ...word()]
          : word();
    case '?':
      return values.filter((value) => !isUnset(value)).length > 0 ? values.filter((value) => !isUnset(value)) : [hole];
    case '#':
    case '##':
    case '%':
    case '%%':
      return values.flatMap((value) => word().map((pattern) => strip(value, pattern, operator)));
    case '/':
    case '//':
    case '/#':
    case '/%':
      return values.flatMap((value) => word().map((text) => replace(value, text, operator)));
    case '^':
    case '^^':
    case ',':
    case ',,':
      return values.map((value) => changeCase(value, operator));
    case ':':
      return values.map((value) => slice(value, rest));
    default:
      return values.map((value) => (value === unset ? value : hole));
  }
}

function strip(value: string, text: string, operator: string): string {
  const pattern = patternOf(withGlobs(text));
  if (value.includes(hole)) return stripKnown(value, text, operator);
  const lengths = Array.from({ length: Math.min(value.length, 512) + 1 }, (_, i) => i);
  if (operator.length === 2) lengths.reverse();
  const source = new RegExp(pattern.source.replaceAll('[^/]', '[\\s\\S]'), 'u');
  const fits = (length: number) =>
    source.test(operator.startsWith('#') ? value.slice(0, length) : value.slice(value.length - length));
  const length = lengths.find(fits) ?? 0;
  return operator.startsWith('#') ? value.slice(length) : value.slice(0, value.length - length);
}

/** Of a value with holes only a plain ending or beginning can be taken off. */
function stripKnown(value: string, text: string, operator: string): string {
  const known = plain(text);
  if (/[*?[]/.test(known)) return /\//.test(known) && operator.startsWith('%') ? value.replace(/\/[^/]*$/, '') : hole;
  if (operator.startsWith('#')) return value.startsWith(known) ? value.slice(known.length) : value;
  return value.endsWith(known) ? value.slice(0, value.length - known.length) : value;
}

function replace(value: string, text: string, operator: string): string {
  const slash = text.indexOf('/');
  const what = slash === -1 ? text : text.slice(0, slash);
  const by = slash === -1 ? '' : text.slice(slash + 1);
  if (what === '' || value.includes(hole)) return value.includes(hole) ? hole : value;
  const { source } = patternOf(withGlobs(what));
  const inner = source.slice(1, -1).replaceAll('[^/]', '[\\s\\S]');
  const anchored = operator === '/#' ? `^${inner}` : operator === '/%' ? `${inner}$` : inner;
  return value.replace(new RegExp(anchored, operator === '//' ? 'gu' : 'u'), () => by);
}

function changeCase(value: string, operator: string): string {
  const change = (part: string) => (operator.startsWith('^') ? part.toUpperCase() : part.toLowerCase());
  return operator.length === 2 ? change(value) : change(value.slice(0, 1)) + value.slice(1);
}

function slice(value: string, rest: string): string {
  const bounds = /^\s*(-?\d+)\s*(?::\s*(-?\d+)\s*)?$/.exec(rest);
  const text = plain(value);
  const known = text.indexOf(hole) === -1 ? text.length : text.indexOf(hole);
  const reach = Number(bounds?.[1]) + Number(bounds?.[2] ?? Number.POSITIVE_INFINITY);
  if (bounds === null || (known < text.length && !(Number(bounds[1]) >= 0 && Number(bounds[2]) >= 0 && reach <= known)))
    return hole;
  const start = Number(bounds[1]) < 0 ? Math.max(0, text.length + Number(bounds[1])) : Number(bounds[1]);
  if (bounds[2] === undefined) return text.slice(start);
  const length = Number(bounds[2]);
  return length < 0 ? text.slice(start, length) : text.slice(start, start + length);
}

function indexed(frame: Frame, name: string, index: string | undefined, isQuoted: boolean): readonly string[] {
  const variable = frame.scope.variables.get(name);
  if (index === undefined) {
    const values = valuesOf(frame, name, isQuoted);
    return variable?.isList === true ? values.map((value) => value.split(split)[0] ?? '') : values;
  }
  const key = index.slice(1, -1);
  if (key === '*' && isQuoted) {
    const separator = (frame.scope.variables.get('IFS')?.values[0] ?? ' ').slice(0, 1);
    return (variable?.values ?? [unset]).map((value) => value.replaceAll(split, separator));
  }
  if (key === '@' || key === '*') return variable?.values ?? [unset];
  if (name === 'BASH_VERSINFO' || !/^\d+$/.test(key)) return [hole];
  return (variable?.values ?? [unset]).map((value) => value.split(split)[Number(key)] ?? '');
}

/** The possible values of a parameter by its name. */
function valuesOf(frame: Frame, name: string, isQuoted: boolean): string[] {
  const { scope } = frame;
  const assigned = scope.variables.get(name);
  if (assigned !== undefined) return [...assigned.values];
  if (name === '@' || name === '*') {
    if (scope.positional === undefined) return [unset, hole];
    return [scope.positional.length === 0 ? unset : scope.positional.join(name === '@' || !isQuoted ? split : ' ')];
  }
  if (name === '0') return [scope.zero];
  if (/^\d+$/.test(name))
    return scope.positional === undefined ? [unset, hole] : [scope.positional[Number(name) - 1] ?? unset];
  if (name === 'PWD' && scope.cwd !== undefined) return [scope.cwd];
  if (name === 'PWD') return [`/${hole}`];
  const known = defaults.get(name);
  return known === undefined ? [unset, hole] : [...known];
}

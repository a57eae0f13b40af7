/** Variables: the possible values of a name, of an array's elements, and of the special parameters. */
import { evaluateText } from './evaluation.ts';
import { hole, plain, split, unset } from './marks.ts';
import { assign, type Frame } from './scan.ts';

/** What every shell has, before the source assigns anything. The agent runs commands as root. */
const defaults: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ['HOME', ['/root']],
  ['IFS', [' \t\n']],
  ['PATH', ['/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']],
  ['SHELL', ['/bin/sh']],
  ['BASH', ['/bin/bash']],
  ['TMPDIR', ['/tmp']],
  ['USER', ['root']],
  ['LOGNAME', ['root']],
  ['UID', ['0']],
  ['EUID', ['0']],
  ...['HOSTNAME', 'RANDOM', 'PPID', 'SECONDS', 'LINENO', 'LANG'].map((name): [string, string[]] => [name, [hole]]),
  ...['?', '$', '!', '-'].map((name): [string, string[]] => [name, [hole]]),
]);

/** The values of a parameter by its name, as it is expanded without brackets. */
export function valuesOf(frame: Frame, given: string, isQuoted: boolean): readonly string[] {
  const { scope } = frame;
  const name = referenced(frame, given);
  if (/\[/.test(name)) return elementOf(frame, name);
  const assigned = scope.variables.get(name);
  if (assigned !== undefined) return assigned.values;
  if (name === '@' || name === '*') {
    if (scope.positional === undefined) return [unset, hole];
    if (scope.positional.length === 0) return [unset];
    const separator = isQuoted && name === '*' ? firstSeparator(frame) : split;
    return [scope.positional.join(separator)];
  }
  if (name === '#') return [scope.positional === undefined ? hole : `${scope.positional.length}`];
  if (name === '0') return [scope.zero];
  if (/^\d+$/.test(name))
    return scope.positional === undefined ? [unset, hole] : [scope.positional[Number(name) - 1] ?? unset];
  if (name === 'PWD') return [scope.cwd ?? `/${hole}`];
  if (name === 'OLDPWD') return [`/${hole}`];
  const element = scope.variables.get(`${name}[0]`);
  return element?.values ?? defaults.get(name) ?? [unset, hole];
}

export function firstSeparator({ scope }: Frame): string {
  return plain(scope.variables.get('IFS')?.values[0] ?? ' ').slice(0, 1);
}

/** What a name reference leads to. */
export function referenced({ scope }: Frame, name: string): string {
  let current = name;
  for (let i = 0; i < 4; i += 1) {
    const other = plain(scope.variables.get(`&${current}`)?.values[0] ?? '');
    if (!/^[A-Za-z_]\w*(?:\[[^\]]*\])?$/.test(other)) break;
    current = other;
  }
  return current;
}

/** The values of `name[key]`; all elements, apart from each other, for `@` and `*`. */
export function elementOf(frame: Frame, reference: string): readonly string[] {
  const [, name = '', key = ''] = /^([^[]*)\[([\s\S]*)\]$/.exec(reference) ?? [];
  const { scope } = frame;
  const target = referenced(frame, name);
  const variable = scope.variables.get(target);
  if (key === '@' || key === '*') return variable?.values ?? [unset];
  const known = scope.variables.get(`${target}[${key}]`);
  if (known !== undefined) return known.values;
  const isMap = scope.variables.get(`${target}=`)?.values[0] === 'map';
  const number = isMap ? undefined : evaluateText(key, frame);
  if (number === undefined) return key.includes(hole) && variable !== undefined ? anyOf(variable.values) : [hole];
  const element = scope.variables.get(`${target}[${number}]`);
  if (element !== undefined) return element.values;
  if (variable === undefined) return target === 'BASH_VERSINFO' ? [hole] : [unset];
  return variable.values.map((value) => {
    const items = value.split(split);
    return (variable.isList ? items.at(number) : number === 0 ? value : undefined) ?? unset;
  });
}

/** Which of them, nobody knows. */
function anyOf(values: readonly string[]): string[] {
  return [...new Set(values.flatMap((value) => value.split(split)))].slice(0, 12);
}

/** The number of elements; undefined when it isn't known. */
export function countOf(frame: Frame, name: string): number | undefined {
  const { scope } = frame;
  if (name === '@' || name === '*') return scope.positional?.length;
  const variable = scope.variables.get(referenced(frame, name));
  const value = variable?.values[0];
  if (value === undefined || variable?.values.length !== 1) return variable === undefined ? 0 : undefined;
  return value === '' ? 0 : value.split(split).length;
}

export function keysOf(frame: Frame, name: string): string[] {
  const target = referenced(frame, name);
  const keys = [...frame.scope.variables.keys()].flatMap((one) =>
    one.startsWith(`${target}[`) ? [one.slice(target.length + 1, -1)] : [],
  );
  const count = countOf(frame, name) ?? 0;
  return keys.length > 0 ? keys : Array.from({ length: Math.min(count, 256) }, (_, i) => `${i}`);
}

/** What the last command was given last: `$_`. */
export function rememberLast({ scope }: Frame, argv: readonly string[]): void {
  scope.variables.set('_', { values: [argv.at(-1) ?? ''], isList: false });
}

/** Assigns to a name or to what it refers to. */
export function assignTo(frame: Frame, name: string, values: readonly string[], isList = false): void {
  assign(frame.scope, referenced(frame, name), values, isList);
}

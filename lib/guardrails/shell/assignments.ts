/** Assignments: what variables hold, and what is handed on to every program. */
import { programOf } from './call.ts';
import { injects, isRun } from './environment.ts';
import { evaluateText } from './evaluation.ts';
import { hole, plain, quoted, split } from './marks.ts';
import { prompt } from './parameter.ts';
import { assign, type Frame, forkScope, limits, report } from './scan.ts';
import type { Assignment, Simple, Word } from './syntax.ts';
import { referenced } from './variables.ts';
import { expandFields, expandText } from './word.ts';

export function assignVariable({ name, index, isAppend, value, items }: Assignment, frame: Frame): void {
  const { variables } = frame.scope;
  const target = referenced(frame, name);
  if (items !== undefined) assignList(items, target, isAppend, frame);
  else {
    const values = value === undefined ? [''] : expandText(frame, value.start, value.end);
    if (index !== undefined) {
      assignElement(frame, target, keyOf(index, target, frame), values, isAppend);
      return;
    }
    const before = isAppend ? (variables.get(target)?.values ?? ['']) : [''];
    const isInteger = variables.get(`${target}=`)?.values[0] === 'integer';
    const joined = before.flatMap((prefix) =>
      values.map((one) =>
        isInteger ? `${evaluateText(isAppend ? `${prefix}+${one}` : one, frame) ?? hole}` : prefix + one,
      ),
    );
    assign(
      frame.scope,
      target,
      joined.map((one) => one.replaceAll(quoted, '')),
    );
    for (const one of joined) if (/\s/.test(one) && frame.scan.texts.size < 100) frame.scan.texts.add(one);
    frame.scan.steps -= Math.trunc(joined.reduce((sum, one) => sum + one.length, 0) / 64);
    for (const one of joined) judgeValue(name, one, frame);
  }
}

/** Prompts, and variables that hold a command which some program runs. */
function judgeValue(name: string, value: string, frame: Frame): void {
  if (/^PS[0-4]$/.test(name)) prompt(frame, value);
  else if (isRun(name, value)) frame.scan.runText(plain(value), { ...frame, scope: forkScope(frame.scope) });
}

function assignList(items: readonly (Word | Assignment)[], target: string, isAppend: boolean, frame: Frame): void {
  const { scope } = frame;
  const fields: string[] = [];
  for (const item of items) {
    if (!('name' in item)) {
      fields.push(...(expandFields(frame, item.start, item.end)[0] ?? []));
      continue;
    }
    const values = item.value === undefined ? [''] : expandText(frame, item.value.start, item.value.end);
    const key = item.index === undefined ? '' : keyOf(item.index, target, frame);
    const position = Number(key);
    if (/^\d{1,3}$/.test(key)) {
      while (fields.length < position) fields.push('');
      fields[position] = values[0] ?? '';
    } else fields.push(values[0] ?? '');
    assign(scope, `${target}[${key}]`, values);
  }
  const old = isAppend ? (scope.variables.get(target)?.values[0] ?? '') : '';
  assign(scope, target, [(old === '' ? fields : [old, ...fields]).join(split)], true);
}

/** The key as the shell sees it: a number, if it is one. */
function keyOf({ start, end }: Word, target: string, frame: Frame): string {
  const text = plain(expandText(frame, start, end)[0] ?? hole);
  if (/^BASH_(?:ALIASES|CMDS)$/.test(target) || frame.scope.variables.get(`${target}=`)?.values[0] === 'map')
    return text;
  const number = /^[\w\s+*/()$-]*$/.test(text) ? evaluateText(text, frame) : undefined;
  return number === undefined ? text : `${number}`;
}

function assignElement(frame: Frame, target: string, key: string, values: readonly string[], isAppend: boolean): void {
  const { scope } = frame;
  if (target === 'BASH_ALIASES') scope.aliases.set(key, plain(values[0] ?? ''));
  if (target === 'BASH_CMDS') frame.scan.programs.set(key, programOf(values[0] ?? ''));
  const before = isAppend ? (scope.variables.get(`${target}[${key}]`)?.values ?? ['']) : [''];
  const all = before.flatMap((prefix) => values.map((one) => prefix + one)).slice(0, limits.alternatives);
  assign(scope, `${target}[${key}]`, all);
  const list = scope.variables.get(target)?.values[0]?.split(split) ?? [];
  const at = /^\d{1,3}$/.test(key) ? Number(key) : list.length;
  while (list.length < at) list.push('');
  list[at] = all[0] ?? '';
  assign(scope, target, [list.join(split)], true);
}

/** `declare`, `local`, `export` and their like, with assignments among their arguments. */
export function declare(command: Simple, frame: Frame): void {
  const { scope } = frame;
  const flags = command.words
    .slice(1)
    .flatMap(({ start, end }) => expandText(frame, start, end))
    .filter((word) => /^[-+]/.test(word))
    .join('');
  for (const one of command.declared) {
    if (flags.includes('n') && one.value !== undefined) {
      assign(scope, `&${one.name}`, expandText(frame, one.value.start, one.value.end));
      continue;
    }
    if (flags.includes('A')) assign(scope, `${one.name}=`, ['map']);
    if (flags.includes('i')) assign(scope, `${one.name}=`, ['integer']);
    assignVariable(one, frame);
    if (/[ul]/.test(flags)) changeCase(one.name, flags.includes('u'), frame);
  }
  judgeExported(command, flags, frame);
}

function changeCase(name: string, isUpper: boolean, { scope }: Frame): void {
  const values = scope.variables.get(name)?.values ?? [];
  scope.variables.set(name, {
    values: values.map((value) => (isUpper ? value.toUpperCase() : value.toLowerCase())),
    isList: scope.variables.get(name)?.isList ?? false,
  });
}

/** What is exported, everything that follows gets. */
function judgeExported(command: Simple, flags: string, frame: Frame): void {
  const written = frame.source.text.slice(command.start, command.end);
  if (!/^\\?export\b/.test(written) && !flags.includes('x')) return;
  for (const { name } of command.declared) {
    for (const value of frame.scope.variables.get(name)?.values ?? [])
      if (injects(name, value))
        report(frame, 'G0504', { offset: command.start, excerpt: written, detail: `${name}=${value}` });
  }
}

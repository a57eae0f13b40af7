/** Assignments: what variables hold, and what is handed on to every program. */
import { injects } from './environment.ts';
import type { Syntax } from './grammar.ts';
import { hole, plain, split } from './marks.ts';
import { assign, type Frame, report } from './scan.ts';
import { expandFields, expandText } from './word.ts';

export function assignmentOf(node: Syntax, frame: Frame): [string, string] {
  const name = frame.source.text.slice(node.start, node.end).split(/[+=[]/)[0] ?? '';
  return [name, frame.scope.variables.get(name)?.values[0] ?? hole];
}

export function assignVariable(node: Syntax, frame: Frame): void {
  const name = node.children.find(({ field }) => field === 'name');
  const value = node.children.find(({ field }) => field === 'value');
  if (name === undefined) return;
  const { text } = frame.source;
  const isAppend = node.children.some(({ type }) => type === '+=');
  const target = text.slice(name.start, name.end).split('[')[0] ?? '';
  if (value?.type === 'array') {
    const items = value.children
      .filter(({ type }) => !/^[^a-z]*$/.test(type))
      .flatMap(({ start, end }) => expandFields(frame, start, end)[0] ?? []);
    const old = isAppend ? (frame.scope.variables.get(target)?.values[0] ?? '') : '';
    assign(frame.scope, target, [(old === '' ? items : [old, ...items]).join(split)], true);
    return;
  }
  const values = value === undefined ? [''] : expandText(frame, value.start, value.end);
  if (name.type === 'subscript') {
    for (const child of name.children) frame.scan.run(child, frame);
    const old = frame.scope.variables.get(target)?.values[0];
    assign(
      frame.scope,
      target,
      values.map((one) => (old === undefined ? one : old + split + one)),
      true,
    );
    return;
  }
  const before = isAppend ? (frame.scope.variables.get(target)?.values ?? ['']) : [''];
  assign(
    frame.scope,
    target,
    before.flatMap((prefix) => values.map((one) => prefix + one)),
  );
}

export function declare(node: Syntax, frame: Frame): string {
  for (const child of node.children) {
    if (child.type === 'variable_assignment') assignVariable(child, frame);
    else if (child.type !== 'variable_name' && child.children.length > 0) {
      for (const text of expandText(frame, child.start, child.end)) assignText(frame, text);
    }
  }
  judgeExported(node, frame);
  return '';
}

function assignText(frame: Frame, text: string): void {
  const [, name, value] = /^(\w+)=([\s\S]*)$/.exec(plain(text)) ?? [];
  if (name !== undefined && value !== undefined) assign(frame.scope, name, [value]);
}

/** What is exported, everything that follows gets. */
function judgeExported(node: Syntax, frame: Frame): void {
  const written = frame.source.text.slice(node.start, node.end);
  if (!/^(?:export|declare\s+-\w*x|typeset\s+-\w*x)\b/.test(written)) return;
  for (const child of node.children) {
    const [name = ''] = frame.source.text.slice(child.start, child.end).split('=');
    for (const value of frame.scope.variables.get(name)?.values ?? [])
      if (injects(name, value))
        report(frame, 'G0504', { offset: node.start, excerpt: written, detail: `${name}=${value}` });
  }
}

export function unsetVariables(node: Syntax, frame: Frame): string {
  if (frame.scope.branches > 0) return '';
  for (const { start, end } of node.children) frame.scope.variables.delete(frame.source.text.slice(start, end));
  return '';
}

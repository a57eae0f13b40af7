/** Functions: their definitions, calls with what `local` leaves to the caller, and those that start themselves without end. */
import type { Call } from './call.ts';
import { hole } from './marks.ts';
import { type Frame, type FunctionDefinition, forkScope, report, type Scan } from './scan.ts';
import type { Command } from './syntax.ts';

/** Calls of itself within itself that are followed. */
const maxRecursion = 24;
const maxCalls = 60;
const maxRecursions = 100;

export function defineFunction(node: Extract<Command, { type: 'function' }>, frame: Frame): string {
  const { text } = frame.source;
  const { name, body } = node;
  const definition = { name, body, source: frame.source };
  if (startsItselfWithoutEnd(text.slice(body.start, body.end), name)) {
    report(frame, 'G0302', { offset: node.start, excerpt: text.slice(node.start, node.end) });
    return '';
  }
  frame.scope.functions.set(name, definition);
  frame.scan.uncalled.set(definition, frame);
  return '';
}

/** A function that starts itself more than once, or in the background or a pipe. */
function startsItselfWithoutEnd(body: string, name: string): boolean {
  const call = `(?<![\\w./$-])${name.replace(/[^\w]/g, '\\$&')}(?![\\w.=-])`;
  return new RegExp(`${call}\\s*\\|&?\\s*${call}|${call}\\s*&(?!&)[\\s\\S]*${call}|^\\{\\s*${call}\\s*&(?!&)`).test(
    body,
  );
}

/** Runs a function's body with the arguments of the call. */
export function callFunction(call: Call, definition: FunctionDefinition): string {
  const { frame, argv } = call;
  const { name } = definition;
  const rounds = frame.calls.filter((one) => one === name).length;
  if (rounds > 0) {
    // Itself again, next to itself: twice as many with each round.
    const before = frame.entered.get(name);
    if (before !== undefined && frame.forks > before.forks && frame.scope.branches <= before.branches)
      report(frame, 'G0302', { offset: call.offset, excerpt: call.excerpt });
  }
  if (rounds > maxRecursion || frame.calls.length > maxCalls) return hole;
  if (rounds > 0) {
    // One that calls itself twice would never end.
    const { recursions } = frame.scan;
    const count = (recursions.get(name) ?? 0) + 1;
    if (count > maxRecursions) return hole;
    recursions.set(name, count);
  }
  frame.scan.uncalled.delete(definition);
  const { positional, branches } = frame.scope;
  frame.scope.positional = argv.slice(1);
  try {
    return frame.scan.run(definition.body, {
      ...frame,
      source: definition.source,
      calls: [...frame.calls, name],
      entered: new Map(frame.entered).set(name, { forks: frame.forks, branches }),
      at: frame.at,
    });
  } finally {
    frame.scope.positional = positional;
  }
}

/**
 * At the end of a source: the bodies of functions that nothing called. Only what is dangerous with any arguments counts,
 * since nobody gave them any. Those that another one calls are reached through it.
 */
export function runUncalled(scan: Scan): void {
  const all = [...scan.uncalled];
  const isCalled = ({ name }: FunctionDefinition) =>
    all.some(
      ([other]) => other.name !== name && mentions(other.source.text.slice(other.body.start, other.body.end), name),
    );
  const order = [...all.filter(([one]) => !isCalled(one)), ...all.filter(([one]) => isCalled(one))];
  for (const [definition, frame] of order) {
    if (!scan.uncalled.delete(definition)) continue;
    const before = scan.findings.splice(0);
    const scope = { ...forkScope(frame.scope), positional: undefined };
    const { name, body, source } = definition;
    scan.run(body, { ...frame, source, scope, stdin: hole, calls: [...frame.calls, name] });
    scan.findings.unshift(...before, ...scan.findings.splice(0).filter(({ verdict }) => verdict === 'dangerous'));
  }
}

function mentions(text: string, name: string): boolean {
  return new RegExp(`(?<![\\w-])${name.replace(/[^\w]/g, '\\$&')}(?![\\w-])`).test(text);
}

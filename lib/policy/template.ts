/**
 * Templates: Liquid, rendered with vars, facts and the enrolled node. No code runs in one, no file is read, nothing
 * depends on the clock or on chance, and memory, time and output are bounded; so the same release, vars and facts give
 * the same bytes. Unknown names and filters are errors, never empty text.
 */
import { Liquid, type Template } from 'liquidjs';
import type { Names } from './expression.ts';
import { unknownFact } from './expression.ts';

export const maxTemplateBytes = 256 * 1024;
export const maxRenderedBytes = 4 * 1024 * 1024;
const maxRenderMs = 2_000;
/** Characters and list items that rendering may allocate, as the library counts them. */
const maxAllocations = 16 * 1024 * 1024;

/** They read files, or write into what they are given. */
const removedTags = ['include', 'render', 'layout', 'block', 'increment', 'decrement'] as const;
/** They differ from one run to the next. */
const removedFilters = [
  'sample',
  'date',
  'date_to_xmlschema',
  'date_to_rfc822',
  'date_to_string',
  'date_to_long_string',
] as const;

export type TemplateProblem = {
  readonly message: string;
  /** In the template, from 1. */
  readonly line: number;
  readonly column: number;
  readonly unknown?: { readonly name: string; readonly known: readonly string[] };
};

export type Rendered =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problem: TemplateProblem };

/** Checks syntax, filters, tags and names. */
export function checkTemplate(source: string, names: Names): readonly TemplateProblem[] {
  const engine = createEngine();
  let template: Template[];
  try {
    template = engine.parse(source);
  } catch (error) {
    return [problemOf(error)];
  }
  const problems: TemplateProblem[] = [];
  for (const uses of Object.values(engine.analyzeSync(template, { partials: false }).globals)) {
    for (const { segments, location } of uses) {
      const path = segments.map(String);
      const unknown = unknownIn(path, names);
      if (unknown === undefined) continue;
      problems.push({ message: `there is no ${unknown.name}`, line: location.row, column: location.col, unknown });
    }
  }
  return problems;
}

/** Renders. Whatever goes wrong is a problem with its place, and never half a text. */
export function renderTemplate(source: string, scope: object, renderLimit = maxRenderMs): Rendered {
  try {
    const engine = createEngine();
    const text: string = engine.parseAndRenderSync(source, scope, {
      sync: true,
      renderLimit,
      memoryLimit: maxAllocations,
    });
    const bytes = Buffer.byteLength(text);
    if (bytes > maxRenderedBytes) {
      return { ok: false, problem: { message: `gives ${bytes} bytes, limit ${maxRenderedBytes}`, line: 1, column: 1 } };
    }
    return { ok: true, text };
  } catch (error) {
    return { ok: false, problem: problemOf(error) };
  }
}

function createEngine(): Liquid {
  const engine = new Liquid({
    strictFilters: true,
    strictVariables: true,
    ownPropertyOnly: true,
    parseLimit: maxTemplateBytes,
    // In memory and empty: there is no way from a template to a disk.
    templates: {},
    relativeReference: false,
    outputEscape: printable,
  });
  for (const name of removedTags) delete engine.tags[name];
  for (const name of removedFilters) delete engine.filters[name];
  return engine;
}

/** Nothing is escaped: a template is a configuration file, not a page. A list or map would print as nonsense. */
function printable(value: unknown): string {
  if (typeof value === 'object' && value !== null) {
    throw new Error('a list or map has no text of its own: use "join" or "json"');
  }
  return String(value);
}

function unknownIn(path: readonly string[], names: Names) {
  const [root = '', name, member] = path;
  const roots = ['vars', 'facts', 'node', ...(names.hasItem ? ['item'] : [])];
  if (!roots.includes(root)) return { name: root, known: roots };
  if (root === 'vars' && name !== undefined && !names.vars.has(name)) {
    return { name: `vars.${name}`, known: [...names.vars.keys()].map((one) => `vars.${one}`) };
  }
  return root === 'facts' && name !== undefined ? unknownFact(name, member) : undefined;
}

/** The library puts the place into the message as `, line:2, col:1`, and lists the source below it. */
function problemOf(error: unknown): TemplateProblem {
  const text = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : 'not a template';
  const place = /(?:, file:[^,]*)?, line:(\d+), col:(\d+)$/.exec(text);
  return {
    message: place === null ? text : text.slice(0, place.index),
    line: Number(place?.[1] ?? 1),
    column: Number(place?.[2] ?? 1),
  };
}

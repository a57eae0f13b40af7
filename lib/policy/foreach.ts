/**
 * `foreach`: one resource as written becomes one per item of a list, when the policy is built; so what is signed says
 * what each node gets. Texts of the resource may hold `{{ item }}`, `{{ item.name }}`, `{{ index }}` and `{{ vars.x }}`;
 * a text that is nothing but one of these takes the value with its type. `when` and templates see `item` on the node.
 */
import type { Json } from '../crypto/jcs.ts';
import { readJson } from './desired.ts';
import { kindOf } from './fields.ts';
import { maxResources } from './names.ts';
import type { Report } from './problem.ts';
import { suggestionHint } from './suggest.ts';
import { renderTemplate } from './template.ts';
import type { SourceVars } from './vars-source.ts';
import { quote, type YamlEntry, type YamlMap, type YamlNode } from './yaml.ts';

export type Expanded = { readonly node: YamlNode; readonly item?: Json };

export type ForeachContext = {
  /** Values that no binding changes: the crate's defaults, under the fleet's vars. */
  readonly vars: SourceVars;
  /** Declared names whose value differs between nodes, or is not known here. */
  readonly varying: ReadonlySet<string>;
  readonly report: Report;
};

/** The resources that a written one stands for; itself, when it has no `foreach`. */
export function expandForeach(node: YamlNode, context: ForeachContext): readonly Expanded[] {
  const field = node.kind === 'map' ? node.entries.find((entry) => entry.key === 'foreach') : undefined;
  if (node.kind !== 'map' || field === undefined) return [{ node }];
  const items = itemsOf(field, context);
  if (items === undefined) return [];
  const rest: YamlMap = { ...node, entries: node.entries.filter((entry) => entry !== field) };
  const expanded: Expanded[] = [];
  for (const [index, item] of items.entries()) {
    const problems: { readonly node: YamlNode; readonly message: string }[] = [];
    const scope = {
      item,
      index,
      vars: Object.fromEntries([...context.vars].map(([name, { value }]) => [name, value])),
    };
    const filled = fill(rest, scope, problems);
    for (const problem of problems) {
      const hint = /^undefined variable: vars\.(\w+)/.exec(problem.message);
      const isVarying = hint?.[1] !== undefined && context.varying.has(hint[1]);
      context.report(
        'bad_value',
        problem.node.place,
        `item ${index + 1} of "foreach": ${problem.message}`,
        isVarying ? 'A binding changes that var, so it is not known when the policy is built.' : undefined,
      );
    }
    if (problems.length > 0) return [];
    expanded.push({ node: filled, item });
  }
  return expanded;
}

function itemsOf(field: YamlEntry, { vars, varying, report }: ForeachContext): readonly Json[] | undefined {
  const { value } = field;
  const name =
    value.kind === 'scalar' && typeof value.value === 'string' ? value.value.replace(/^vars\./, '') : undefined;
  if (name !== undefined && varying.has(name)) {
    const message = `${quote(name)} has no one value when the policy is built, because a binding gives it`;
    report('bad_value', value.place, message, 'Give the list to the crate or the fleet, or use `when` with `item`.');
    return undefined;
  }
  if (name !== undefined && !vars.has(name)) {
    report('unknown_var', value.place, `there is no var ${quote(name)}`, suggestionHint(name, [...vars.keys()]));
    return undefined;
  }
  const list = name === undefined ? readJson(value, '"foreach"', report) : vars.get(name)?.value;
  if (list === undefined) return undefined;
  if (!Array.isArray(list)) {
    const what = name === undefined ? kindOf(value) : `what var ${quote(name)} holds`;
    report('bad_value', value.place, `"foreach" needs a list, not ${what}`, 'Write: foreach: vars.NAME');
    return undefined;
  }
  if (list.length > maxResources) {
    report('too_large', value.place, `"foreach" over ${list.length} items, limit ${maxResources}`);
    return undefined;
  }
  return list;
}

type FillScope = { readonly item: Json; readonly index: number; readonly vars: { readonly [name: string]: Json } };
type FillProblem = { readonly node: YamlNode; readonly message: string };

function fill(node: YamlNode, scope: FillScope, problems: FillProblem[]): YamlNode {
  switch (node.kind) {
    case 'list':
      return { ...node, items: node.items.map((item) => fill(item, scope, problems)) };
    case 'map':
      return {
        ...node,
        entries: node.entries.map((entry) =>
          entry.key === 'when' ? entry : { ...entry, value: fill(entry.value, scope, problems) },
        ),
      };
    case 'scalar': {
      if (typeof node.value !== 'string' || !/\{[{%]/.test(node.value)) return node;
      const whole = valueAt(node.value, scope);
      if (whole !== undefined) return yamlOf(whole, node);
      const rendered = renderTemplate(node.value, scope);
      if (rendered.ok) return { ...node, value: rendered.text, source: rendered.text };
      problems.push({ node, message: rendered.problem.message });
      return node;
    }
    default:
      return node satisfies never;
  }
}

/** The value, with its type, when the text is one plain reference and nothing else. */
function valueAt(text: string, scope: FillScope): Json | undefined {
  const [, path] = /^\{\{-?\s*((?:item|index|vars)(?:\.[A-Za-z_][A-Za-z0-9_]*)*)\s*-?\}\}$/.exec(text) ?? [];
  if (path === undefined) return undefined;
  let value: Json | undefined = scope as unknown as Json;
  for (const step of path.split('.')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, step))
      return undefined;
    value = (value as { readonly [name: string]: Json })[step];
  }
  return value;
}

function yamlOf(value: Json, at: YamlNode): YamlNode {
  const { place } = at;
  if (Array.isArray(value)) return { kind: 'list', items: value.map((item) => yamlOf(item, at)), place };
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, member]) => ({ key, keyPlace: place, value: yamlOf(member, at) }));
    return { kind: 'map', entries, place };
  }
  return { kind: 'scalar', value: value as string | number | boolean | null, source: String(value), place };
}

/**
 * Impossible expressions: a `when` that holds on no node at all. An expression of comparisons with fixed values can
 * tell apart only as many machines as it names values, so trying one of each kind decides the matter; anything else
 * (functions, macros, two values compared with each other) is left undecided.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import type { Json } from '../crypto/jcs.ts';
import { judge, pathOf, walk } from './expression.ts';
import { factTable } from './facts.ts';

export type Possibility = 'sometimes' | 'never' | 'always' | 'unknown';

/** All values that a var can have, when they are known: the default, and what bindings give. */
export type VarValues = (name: string) => readonly Json[] | undefined;

const maxMachines = 5_000;
const comparisons: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=', 'in']);
const connectives: ReadonlySet<string> = new Set(['&&', '||', '!_', '?:']);

/** Whether some machine can make the expression true, and whether all do. */
export function possibilityOf(text: string, ast: ASTNode, varValues: VarValues): Possibility {
  const tried = new Map<string, Set<Json>>();
  if (!collect(ast, tried)) return 'unknown';
  const paths = [...tried].map(([path, literals]) => [path.split('.'), domainOf(path, literals, varValues)] as const);
  if (paths.reduce((count, [, values]) => count * values.length, 1) > maxMachines) return 'unknown';
  let held = 0;
  let count = 0;
  for (const machine of machinesOf(paths)) {
    const verdict = judge(text, machine);
    if (!verdict.ok) return 'unknown';
    count += 1;
    if (verdict.holds) held += 1;
  }
  return held === 0 ? 'never' : held === count ? 'always' : 'sometimes';
}

/** A text that a fact can never have, though the expression compares it with one: `"debain"`. */
export function impossibleFactValues(ast: ASTNode): readonly {
  readonly path: string;
  readonly value: string;
  readonly values: readonly string[];
  readonly at: number;
}[] {
  return [...walk(ast)].flatMap((node) => {
    const compared = comparedOf(node);
    const values = compared === undefined ? undefined : factTable.get(compared.path.replace(/^facts\./, ''))?.values;
    if (compared === undefined || values === undefined || !compared.path.startsWith('facts.')) return [];
    return compared.literals.flatMap((value) =>
      typeof value === 'string' && !values.includes(value)
        ? [{ path: compared.path, value, values, at: node.start }]
        : [],
    );
  });
}

/** Gathers the literals that each path is compared with. False when the expression holds anything else. */
function collect(node: ASTNode, tried: Map<string, Set<Json>>): boolean {
  if (node.op === 'value') return typeof node.args === 'boolean';
  const path = decidable(pathOf(node));
  if (path !== undefined) {
    addAll(tried, path, [true, false]);
    return true;
  }
  const compared = comparedOf(node);
  if (compared !== undefined) {
    addAll(tried, compared.path, compared.literals);
    return true;
  }
  if (!connectives.has(node.op)) return false;
  const parts: readonly ASTNode[] = Array.isArray(node.args) ? (node.args as ASTNode[]) : [node.args as ASTNode];
  return parts.every((part) => collect(part, tried));
}

/** `path OP literal`, either way round, and `path in [literals]`. */
function comparedOf(node: ASTNode): { readonly path: string; readonly literals: readonly Json[] } | undefined {
  if (!comparisons.has(node.op)) return undefined;
  const [left, right] = node.args as [ASTNode, ASTNode];
  const leftPath = decidable(pathOf(left));
  const path = leftPath ?? (node.op === 'in' ? undefined : decidable(pathOf(right)));
  const other = leftPath === undefined ? left : right;
  if (path === undefined) return undefined;
  const literals =
    other.op === 'list' && node.op === 'in' ? (other.args as ASTNode[]).map(literalOf) : [literalOf(other)];
  if (node.op === 'in' && other.op !== 'list') return undefined;
  return literals.includes(undefined) ? undefined : { path, literals: literals as Json[] };
}

function literalOf(node: ASTNode): Json | undefined {
  if (node.op !== 'value') return undefined;
  const { args } = node;
  if (typeof args === 'bigint') return Number.isSafeInteger(Number(args)) ? Number(args) : undefined;
  return typeof args === 'string' || typeof args === 'boolean' ? args : undefined;
}

/** Paths whose values are free of each other: facts, vars, the node's name and labels. */
function decidable(path: readonly string[] | undefined): string | undefined {
  if (path === undefined || path.some((step) => step.includes('.'))) return undefined;
  const [root] = path;
  const isKnown =
    (root === 'facts' && path.length === 3) ||
    (root === 'vars' && path.length === 2) ||
    (root === 'node' && path.length === 2 && path[1] === 'name');
  return isKnown ? path.join('.') : undefined;
}

function addAll(tried: Map<string, Set<Json>>, path: string, values: readonly Json[]): void {
  const held = tried.get(path) ?? new Set<Json>();
  for (const value of values) held.add(value);
  tried.set(path, held);
}

/** One value of each kind that the expression can tell apart. */
function domainOf(path: string, literals: ReadonlySet<Json>, varValues: VarValues): readonly Json[] {
  const known = path.startsWith('vars.') ? varValues(path.slice('vars.'.length)) : undefined;
  if (known !== undefined) return known;
  const fact = path.startsWith('facts.') ? factTable.get(path.slice('facts.'.length)) : undefined;
  if (fact?.values !== undefined) return fact.values;
  if (fact?.kind === 'flag' || [...literals].every((value) => typeof value === 'boolean')) return [true, false];
  const values = new Set<Json>();
  for (const literal of literals) {
    if (typeof literal === 'number') for (const near of [literal - 1, literal, literal + 1]) values.add(near);
    else if (typeof literal === 'string') for (const near of [literal, `${literal}\u0000`]) values.add(near);
  }
  // Before every text, and unlike all of them.
  if ([...literals].some((value) => typeof value === 'string')) values.add('');
  const isCount = fact?.kind === 'number';
  return [...values].filter((value) => !isCount || (typeof value === 'number' && value >= 0));
}

function* machinesOf(
  paths: readonly (readonly [readonly string[], readonly Json[]])[],
  chosen: readonly (readonly [readonly string[], Json])[] = [],
): Generator<{ facts: Json; vars: Json; node: Json }> {
  const next = paths[chosen.length];
  if (next === undefined) {
    yield machineOf(chosen);
    return;
  }
  for (const value of next[1]) yield* machinesOf(paths, [...chosen, [next[0], value]]);
}

function machineOf(chosen: readonly (readonly [readonly string[], Json])[]) {
  const machine: {
    facts: Record<string, Record<string, Json>>;
    vars: Record<string, Json>;
    node: Record<string, Json>;
  } = { facts: {}, vars: {}, node: {} };
  for (const [[root, name = '', member = ''], value] of chosen) {
    if (root === 'facts') machine.facts[name] = { ...machine.facts[name], [member]: value };
    else if (root === 'vars') machine.vars[name] = value;
    else machine.node[name] = value;
  }
  return machine;
}

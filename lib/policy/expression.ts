/**
 * Expressions: `when` of a resource, in CEL (https://github.com/google/cel-spec), over facts, vars and the enrolled
 * node. Without loops, effects or clocks, and bounded in size, so that judging one can't hold up a run.
 */
import {
  type ASTNode,
  TypeError as CelTypeError,
  Environment,
  EvaluationError,
  type ObjectSchema,
  ParseError,
} from '@marcbachmann/cel-js';
import type { Json } from '../crypto/jcs.ts';
import { type FactKind, factGroupNames, factTable } from './facts.ts';
import { maxExpressionChars } from './names.ts';
import type { VarType } from './vars.ts';

export type ExpressionAst = ASTNode;

/** What an expression sees. `item` is there in a resource that `foreach` made. */
export type Scope = {
  readonly facts: Json;
  readonly vars: Json;
  readonly node: Json;
  readonly item?: Json;
};

/** The names that exist in a crate. */
export type Names = {
  readonly vars: ReadonlyMap<string, VarType>;
  readonly hasItem: boolean;
};

export type ExpressionProblem = {
  readonly message: string;
  /** Offset in the expression. */
  readonly at: number;
  /** The name that is unknown, and the ones that exist beside it. */
  readonly unknown?: { readonly name: string; readonly known: readonly string[] };
};

export type CheckedExpression =
  | { readonly ok: true; readonly ast: ASTNode; readonly problems: readonly ExpressionProblem[] }
  | { readonly ok: false; readonly problems: readonly ExpressionProblem[] };

const limits = { maxAstNodes: 500, maxDepth: 32, maxListElements: 200, maxMapEntries: 50, maxCallArguments: 8 };
const options = { homogeneousAggregateLiterals: false, limits } as const;

const untyped = new Environment(options)
  .registerVariable('facts', 'map')
  .registerVariable('vars', 'map')
  .registerVariable('node', 'map')
  .registerVariable('item', 'dyn');

/** Checks syntax, names and types. The names of facts are those of `facts.ts`, of vars those that the crate declares. */
export function checkExpression(text: string, names: Names): CheckedExpression {
  if (text.length > maxExpressionChars) {
    return { ok: false, problems: [{ message: `${text.length} characters, limit ${maxExpressionChars}`, at: 0 }] };
  }
  const environment = new Environment(options)
    .registerVariable({ name: 'facts', schema: factSchema })
    .registerVariable({ name: 'vars', schema: schemaOf(names.vars) })
    .registerVariable({ name: 'node', schema: { name: 'string', uuid: 'string', labels: 'map' } });
  if (names.hasItem) environment.registerVariable('item', 'dyn');
  let ast: ASTNode;
  try {
    ast = untyped.parse(text).ast;
  } catch (error) {
    return { ok: false, problems: [problemOf(error)] };
  }
  const unknown = unknownNames(ast, names);
  if (unknown.length > 0) return { ok: false, problems: unknown };
  const checked = environment.check(text);
  if (!checked.valid) return { ok: false, problems: [problemOf(checked.error)] };
  if (checked.type !== 'bool' && checked.type !== 'dyn') {
    return { ok: false, problems: [{ message: `gives ${checked.type ?? 'a value'}, not true or false`, at: 0 }] };
  }
  return { ok: true, ast, problems: [] };
}

export type Verdict = { readonly ok: true; readonly holds: boolean } | { readonly ok: false; readonly reason: string };

/** Judges an expression. Whatever can't be judged is a reason, and never an answer. */
export function judge(text: string, scope: Scope): Verdict {
  if (text.length > maxExpressionChars) return { ok: false, reason: `longer than ${maxExpressionChars} characters` };
  try {
    const value: unknown = untyped.evaluate(text, celValue(scope) as Record<string, unknown>);
    if (typeof value === 'boolean') return { ok: true, holds: value };
    return { ok: false, reason: 'gives a value other than true or false' };
  } catch (error) {
    return { ok: false, reason: problemOf(error).message };
  }
}

/** The path of a plain member access such as `facts.os.family`, or `undefined` for anything else. */
export function pathOf(node: ASTNode): readonly string[] | undefined {
  if (node.op === 'id') return [node.args];
  if (node.op === '.') {
    const head = pathOf(node.args[0]);
    return head === undefined ? undefined : [...head, node.args[1]];
  }
  if (node.op === '[]') {
    const head = pathOf(node.args[0]);
    const [, key] = node.args;
    return head === undefined || key.op !== 'value' || typeof key.args !== 'string' ? undefined : [...head, key.args];
  }
  return undefined;
}

/** All nodes below and including this one. */
export function* walk(node: ASTNode): Generator<ASTNode> {
  yield node;
  for (const child of childrenOf(node.args)) yield* walk(child);
}

function* childrenOf(args: unknown): Generator<ASTNode> {
  if (Array.isArray(args)) for (const part of args) yield* childrenOf(part);
  else if (typeof args === 'object' && args !== null && 'op' in args) yield args as ASTNode;
}

/** Names that are not there, with the ones that are: the type checker knows them too, but not their neighbours. */
function unknownNames(ast: ASTNode, names: Names): readonly ExpressionProblem[] {
  const problems: ExpressionProblem[] = [];
  const seen = new Set<string>();
  for (const node of walk(ast)) {
    const path = pathOf(node);
    if (path === undefined || path.length < 2) continue;
    const [root, name = '', member] = path;
    const found =
      root === 'vars' && !names.vars.has(name)
        ? { name: `vars.${name}`, known: [...names.vars.keys()].map((one) => `vars.${one}`) }
        : root === 'facts'
          ? unknownFact(name, member)
          : undefined;
    if (found === undefined || seen.has(found.name)) continue;
    seen.add(found.name);
    problems.push({ message: `there is no ${found.name}`, at: node.start, unknown: found });
  }
  return problems;
}

/** Of a path below `facts`: the first step that is not there, and its neighbours. */
export function unknownFact(
  group: string,
  member: string | undefined,
): { readonly name: string; readonly known: readonly string[] } | undefined {
  if (!factTable.has(group)) return { name: `facts.${group}`, known: factGroupNames.map((one) => `facts.${one}`) };
  if (member === undefined || factTable.has(`${group}.${member}`)) return undefined;
  const known = [...factTable.keys()].filter((path) => path.startsWith(`${group}.`)).map((path) => `facts.${path}`);
  return { name: `facts.${group}.${member}`, known };
}

const celTypes = { text: 'string', number: 'int', flag: 'bool', list: 'list', map: 'map' } as const satisfies Record<
  FactKind,
  string
>;

const factSchema: ObjectSchema = Object.fromEntries(
  factGroupNames.map((group) => [
    group,
    Object.fromEntries(
      [...factTable.values()]
        .filter(({ path }) => path.startsWith(`${group}.`))
        .map(({ path, kind }) => [path.slice(group.length + 1), celTypes[kind]]),
    ),
  ]),
);

function schemaOf(vars: ReadonlyMap<string, VarType>): ObjectSchema {
  return Object.fromEntries([...vars].map(([name, type]) => [name, celTypes[type]]));
}

/** CEL's whole numbers are 64 bits wide; a JavaScript number would be a double, which no list can be indexed by. */
function celValue(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(celValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, member]) => (member === undefined ? [] : [[name, celValue(member)]])),
  );
}

function problemOf(error: unknown): ExpressionProblem {
  if (error instanceof ParseError || error instanceof EvaluationError || error instanceof CelTypeError) {
    return { message: error.summary, at: error.range?.start ?? 0 };
  }
  // A limit of the library, or a function of it that failed: its first line says which.
  return { message: error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : 'not an expression', at: 0 };
}

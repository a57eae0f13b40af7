/**
 * The protected paths as a table: which of them have to do with a path, and how. Looked up by the path's own text, not
 * compared one by one: a node judges thousands of paths in a run, and most of them have to do with the root alone.
 */
import { prefixesOf } from './paths.ts';
import { agentTrees, type ProtectedPath, protectedPaths } from './protected-paths.ts';
import { anyOne, hasGlob, hole, patternOf, setStart, star } from './shell/marks.ts';

/** Of a path to a protected one: the same, a directory above it, or something in it. */
export type Relation = 'same' | 'above' | 'inside';

export type Related = { readonly entry: ProtectedPath; readonly relation: Relation };

type Row = Related & { readonly order: number };

const table: readonly (readonly [components: readonly string[], row: Omit<Row, 'relation'>])[] = protectedPaths.map(
  (entry, order) => [componentsOf(entry.path.toLowerCase()), { order, entry }],
);

/** The rows by the paths that they are, hold, and are in. */
const rows = {
  same: rowsBy('same', (path) => [path]),
  inside: rowsBy('inside', (path) => [path]),
  above: rowsBy('above', (path) => prefixesOf(path).slice(0, -1)),
};

const trees: ReadonlySet<string> = new Set(agentTrees.map((tree) => tree.toLowerCase()));

/** Whether a path, in the spelling of `normalizePath` and in small letters, is in one of the agent's own trees. */
export function isInAgentTree(path: string): boolean {
  return prefixesOf(path).some((prefix) => trees.has(prefix));
}

/**
 * The protected paths that have to do with a path, in the order of `protectedPaths`. The path is in the spelling of
 * `normalizePath` and in small letters, and may hold marks: a glob has to do with all that it could match.
 */
export function relatedTo(path: string): readonly Related[] {
  return hasGlob(path) ? relatedToGlob(path) : relatedToText(path);
}

function relatedToText(path: string): readonly Related[] {
  let found: readonly Row[] = rows.above.get(path) ?? none;
  for (const prefix of prefixesOf(path)) {
    const more = (prefix === path ? rows.same : rows.inside).get(prefix);
    if (more !== undefined) found = found.length === 0 ? more : [...found, ...more];
  }
  return found.length < 2 ? found : found.toSorted((one, other) => one.order - other.order);
}

const none: readonly Row[] = [];

function relatedToGlob(path: string): readonly Related[] {
  const components = componentsOf(path);
  return table.flatMap(([its, { entry }]) => {
    const relation = relate(components, its);
    return relation === undefined ? [] : [{ entry, relation }];
  });
}

function relate(components: readonly string[], its: readonly string[]): Relation | undefined {
  const shorter = Math.min(components.length, its.length);
  for (let i = 0; i < shorter; i += 1) {
    if (!matches(components[i] ?? '', its[i] ?? '')) return undefined;
  }
  if (components.length === its.length) return 'same';
  return components.length < its.length ? 'above' : 'inside';
}

/** A component that is all hole could be anything, and deeper than the root that says nothing. */
function matches(component: string, name: string): boolean {
  if (component === name) return true;
  const isGlob = component.includes(star) || component.includes(anyOne) || component.includes(setStart);
  if (!isGlob || component.includes(hole)) return false;
  return !(name.startsWith('.') && !component.startsWith('.')) && patternOf(component).test(name);
}

function componentsOf(path: string): readonly string[] {
  return path === '/' ? [] : path.slice(1).split('/');
}

function rowsBy(relation: Relation, keysOf: (path: string) => readonly string[]): ReadonlyMap<string, readonly Row[]> {
  const found = new Map<string, Row[]>();
  for (const [, row] of table) {
    for (const key of keysOf(row.entry.path.toLowerCase())) {
      found.set(key, [...(found.get(key) ?? []), { ...row, relation }]);
    }
  }
  return found;
}

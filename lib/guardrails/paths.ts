/**
 * Paths as text: brought to one spelling, so that `..`, doubled slashes, case and the well-known second names of a
 * directory make no difference. What only the machine itself knows (symlinks, bind mounts, hard links) is `on-node.ts`.
 */
import { hole, plain } from './shell/marks.ts';

/**
 * Absolute, without `.`, `..` and empty components, and by the first name of directories that have two. A path that
 * climbs out of a directory that is not known is taken to reach the root. May hold marks.
 */
export function normalizePath(path: string, cwd?: string): string {
  if (isNormal.test(path)) return firstName(path);
  const text = plain(path);
  const joined = text.startsWith('/') || text.startsWith(hole) ? text : `${cwd ?? ''}/${text}`;
  const components: string[] = joined.startsWith(hole) ? [] : [''];
  for (const component of joined.split('/')) {
    if (component === '' || component === '.') continue;
    if (component === '..') {
      if (components.length > 1 || components[0] === hole) components.pop();
      if (components.length === 0) components.push('');
    } else components.push(component);
  }
  const normal = components.length <= 1 && (components[0] ?? '') === '' ? '/' : components.join('/');
  return firstName(normal);
}

/** Absolute, in one spelling, and without marks that stand for nothing: what nearly every path is that a node judges. */
const isNormal = /^(?:\/(?!\.{0,2}(?:\/|$))[^/\ue005\ue007-\ue009]+)+$/;

/** Directories that are reached by another name on many systems, longest first. */
const secondNames: readonly (readonly [RegExp, string])[] = [
  [/^\/proc\/[^/]+\/(?:task\/[^/]+\/)?root(?=\/|$)/i, ''],
  [/^\/system\/volumes\/data(?=\/|$)/i, ''],
  [/^\/private(?=\/(?:etc|var|tmp)(?:\/|$))/i, ''],
  [/^\/usr\/(?=(?:bin|sbin|lib|lib32|lib64|libx32)(?:\/|$))/i, '/'],
  [/^\/var\/run(?=\/|$)/i, '/run'],
];

const hasSecondName = /^\/(?:proc|system|private|usr|var)\//i;

function firstName(path: string): string {
  if (!hasSecondName.test(path)) return path;
  let current = path;
  for (let i = 0; i < 8; i += 1) {
    const [, by] = secondNames.find(([name]) => name.test(current)) ?? [];
    if (by === undefined) break;
    const name = secondNames.find(([pattern]) => pattern.test(current))?.[0] ?? /^$/;
    current = current.replace(name, by);
    if (current === '') current = '/';
  }
  return current;
}

/** The root, each directory on the way and the path itself, of a path in the spelling of `normalizePath`. */
export function prefixesOf(path: string): string[] {
  const prefixes = ['/'];
  if (path === '/') return prefixes;
  for (let at = path.indexOf('/', 1); at >= 0; at = path.indexOf('/', at + 1)) prefixes.push(path.slice(0, at));
  prefixes.push(path);
  return prefixes;
}

/** Whether the one is the other or lies in it. Without regard to case. */
export function isWithin(path: string, tree: string): boolean {
  const one = path.toLowerCase();
  const other = tree.toLowerCase();
  return one === other || other === '/' || one.startsWith(`${other}/`);
}

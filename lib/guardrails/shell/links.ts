/** Links: other names for what is there, which the source itself has made: symbolic and hard links, bind mounts, nodes. */
import type { PathAction } from '../judge-path.ts';
import { normalizePath } from '../paths.ts';
import { hole, plain } from './marks.ts';
import type { Frame } from './scan.ts';

/** A symbolic link is a thing of its own for what removes or moves it; a hard link is for all but what is in it. */
export type Link = { readonly target: string; readonly kind: 'symbolic' | 'hard' | 'mount' };

const maxLinks = 100;

export function rememberLink(frame: Frame, path: string, target: string, kind: Link['kind']): void {
  const { cwd } = frame.scope;
  if (plain(target).includes(hole) || plain(path).includes(hole) || frame.scan.links.size >= maxLinks) return;
  const from = normalizePath(path, cwd);
  const to = normalizePath(target, plain(target).startsWith('/') || kind !== 'symbolic' ? cwd : parentOf(from));
  if (from !== to && from !== '/' && plain(path) !== '')
    frame.scan.links.set(from, { target: resolved(frame, to, undefined), kind });
}

/** The path by which the machine would know it, when this is done to it. Without an action: what is read. */
export function resolved(frame: Frame, path: string, action: PathAction | undefined): string {
  const { links } = frame.scan;
  if (links.size === 0) return path;
  let current = normalizePath(path, frame.scope.cwd);
  const isBelow = /\/\.?$/.test(plain(path));
  let isFollowed = false;
  for (let i = 0; i < 8; i += 1) {
    const found = [...links].find(([link, { kind }]) =>
      current === link ? follows(kind, action, isBelow) : current.startsWith(`${link}/`) && kind !== 'hard',
    );
    if (found === undefined) break;
    const [link, { target }] = found;
    current = normalizePath(`${target}${current.slice(link.length)}`);
    isFollowed = true;
  }
  return isFollowed ? current : path;
}

function follows(kind: Link['kind'], action: PathAction | undefined, isBelow: boolean): boolean {
  if (kind === 'mount') return action !== 'mount';
  const isOfItself = action === 'remove' || action === 'remove tree' || action === 'move' || action === 'mount';
  return !isOfItself || (kind === 'symbolic' && isBelow);
}

function parentOf(path: string): string {
  return path.replace(/\/[^/]*$/, '') || '/';
}

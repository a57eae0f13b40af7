/** Paths in a command as the machine knows them, where there is one to ask. */
import { judgePath, type PathAction, type PathJudgement } from '../judge-path.ts';
import { plain } from './marks.ts';
import type { Frame } from './scan.ts';

/**
 * All names that a machine has for what is at an absolute path, which may hold `..`. `isFollowed`: what acts on it goes
 * where a symlink in the last component leads.
 */
export type PlacesOf = (path: string, isFollowed: boolean) => Iterable<string>;

/** As `judgePath`, in the directory where the command runs, and under every name that the machine has for the path. */
export function judgePlace(frame: Frame, path: string, action: PathAction): PathJudgement | undefined {
  const said = judgePath(path, action, frame.scope.cwd);
  const { placesOf } = frame.scan;
  if (said?.verdict === 'dangerous' || placesOf === undefined) return said;
  const { known, rest } = splitKnown(absolute(frame, path));
  const isFollowed = rest !== '' || !/^(?:remove|remove tree|move)$/.test(action);
  for (const place of placesOf(known, isFollowed)) {
    const judged = judgePath(`${place}${rest}`, action);
    if (judged?.verdict === 'dangerous') return judged;
  }
  return said;
}

function absolute({ scope: { cwd = '/' } }: Frame, path: string): string {
  const text = plain(path);
  return text.startsWith('/') ? text : `${cwd}/${text}`;
}

/** The components before the first one with a mark in it, which no machine can be asked about, and the others. */
function splitKnown(path: string): { readonly known: string; readonly rest: string } {
  const mark = path.search(/[\ue000-\ue00f]/);
  if (mark < 0) return { known: path, rest: '' };
  const slash = path.lastIndexOf('/', mark);
  return { known: path.slice(0, slash) || '/', rest: path.slice(Math.max(0, slash)) };
}

/**
 * What may be done to a path: the one judgement behind commands, resources and the node's own check. A path may hold
 * marks: a glob is judged by whatever it could match, a hole by what it could be.
 */
import { normalizePath } from './paths.ts';
import { isAgentPath, isFree, type ProtectedPath } from './protected-paths.ts';
import { isInAgentTree, type Relation, relatedTo } from './protected-table.ts';
import type { RuleId } from './rules.ts';
import { hasGlob, hole, patternOf, plain, star, unset } from './shell/marks.ts';

export type PathAction =
  /** Of the tree, with all in it. */
  | 'remove tree'
  | 'remove'
  /** Mode or owner of the tree, with all in it. */
  | 'change tree'
  /** Mode or owner, so that it is opened to others or useless. */
  | 'break'
  /** Given to somebody who is not root. */
  | 'own'
  | 'move'
  /** All content replaced by none, or by next to none. */
  | 'empty'
  /** All content replaced by something that was prepared elsewhere. */
  | 'replace'
  /** Some content added or changed. */
  | 'edit'
  | 'mount';

export type PathJudgement = {
  readonly rule: RuleId;
  readonly verdict: 'dangerous' | 'unknown';
  readonly protectedPath: string;
};

const rawDevice =
  /^\/dev\/(?:sd|hd|vd|xvd|nvme|mmcblk|md|dm-|loop|mapper\/|disk\/|sg\d|sr\d|mem$|kmem$|port$|nbd|zd|bcache|root$|[a-z]+\/by-)/;

/** Judges an action on a path, which may be relative to a directory. Undefined: nothing is known against it. */
export function judgePath(path: string, action: PathAction, cwd?: string): PathJudgement | undefined {
  if (plain(path) === '') return undefined;
  const normal = normalizePath(path, cwd);
  const found = judgeNormal(normal, action);
  if (found === undefined || !isSoft(path) || normal === '/' || normal === `/${star}`) return found;
  return { ...found, verdict: 'unknown' };
}

/** Whether a variable that was never assigned makes up a component of it, or starts it: it may have a value after all. */
function isSoft(path: string): boolean {
  return new RegExp(`(?:^|/)${unset}|${unset}(?:/|$)`).test(path);
}

function isTreeAction(action: PathAction): boolean {
  return action === 'remove tree' || action === 'change tree' || action === 'move';
}

function judgeNormal(normal: string, action: PathAction): PathJudgement | undefined {
  const lower = normal.toLowerCase();
  if (isAgentPath(lower) || isInAgentTree(lower)) {
    return found('G0401', lower);
  }
  if (isFree(lower)) return undefined;
  if (rawDevice.test(lower) && !/^remove$|^change|^break$|^own$|^mount$/.test(action)) return found('G0201', lower);
  if (lower.startsWith(hole)) return judgeHole(lower, action);
  const target = isTreeAction(action) || action === 'remove' ? withoutContents(lower) : lower;
  if (action === 'remove' && target !== lower) return judgeAll(target, 'remove contents');
  return judgeAll(target, action);
}

/** `x/*` and `x/.*` are all that is in `x`. */
function withoutContents(path: string): string {
  const at = path.lastIndexOf('/');
  const last = path.slice(at + 1);
  const matchesAll =
    hasGlob(last) && [...'a.bz0_-'].every((char) => patternOf(last.replace(/^\./, '')).test(`${char}x1`));
  return matchesAll ? path.slice(0, at) || '/' : path;
}

function judgeHole(path: string, action: PathAction): PathJudgement | undefined {
  const isAll = /^\ue000(?:\/[\ue000\ue001.]*)?$/.test(path);
  return isAll && (action === 'remove tree' || action === 'change tree') ? found('G0603', path, 'unknown') : undefined;
}

function judgeAll(path: string, action: PathAction | 'remove contents'): PathJudgement | undefined {
  if (path === `/${hole}` && /tree|move/.test(action)) return found('G0603', path, 'unknown');
  let above: PathJudgement | undefined;
  for (const { entry, relation } of relatedTo(path)) {
    const rule = refuses(entry, action, relation);
    if (rule === undefined) continue;
    if (relation !== 'above') return found(entry.rule ?? rule, entry.path);
    above ??= found(rule, entry.path);
  }
  return above;
}

function refuses(entry: ProtectedPath, action: PathAction | 'remove contents', relation: Relation): RuleId | undefined {
  if (relation === 'inside' && entry.isTree !== true) return undefined;
  // An owner's own places are no reason to leave the directories above them alone.
  const isOwn = entry.mayChangeMode === true && relation === 'above';
  switch (action) {
    case 'remove tree':
      return isOwn ? undefined : 'G0101';
    case 'remove contents':
      return relation === 'above' || entry.mayChangeMode === true ? undefined : 'G0102';
    case 'remove':
      return relation === 'above' || entry.protection === 'standing' ? undefined : 'G0102';
    case 'change tree':
      return entry.mayChangeMode === true || isEtcFile(entry, relation) ? undefined : 'G0103';
    case 'break':
      return relation === 'above' ? undefined : 'G0104';
    case 'own':
      return relation === 'above' || entry.mayChangeMode === true ? undefined : 'G0104';
    case 'move':
      return isOwn ? undefined : 'G0105';
    case 'empty':
      return relation === 'above' || entry.protection === 'standing' ? undefined : 'G0106';
    case 'replace':
      return relation === 'above' || entry.protection === 'standing' || entry.protection === 'kept'
        ? undefined
        : entry.protection === 'program'
          ? 'G0105'
          : 'G0106';
    case 'edit':
      return relation !== 'above' && (entry.protection === 'sealed' || entry.protection === 'program')
        ? 'G0106'
        : undefined;
    case 'mount':
      return isOwn || (entry.protection !== 'standing' && relation !== 'same') || isMountPoint(entry.path)
        ? undefined
        : 'G0107';
    default:
      return action satisfies never;
  }
}

/** `chown -R` and `chmod -R` on a single kept file is the same as without `-R`. */
function isEtcFile({ protection }: ProtectedPath, relation: Relation): boolean {
  return protection === 'kept' && relation === 'same';
}

/** Where file systems are mounted in the usual course of things. */
function isMountPoint(path: string): boolean {
  return (
    [
      '/home',
      '/opt',
      '/srv',
      '/mnt',
      '/boot',
      '/efi',
      '/proc',
      '/sys',
      '/dev',
      '/var/log',
      '/var',
      '/usr/local',
      '/run',
    ].includes(path) ||
    path.startsWith('/var/lib/') ||
    path === '/var/www' ||
    path === '/var/backups'
  );
}

function found(rule: RuleId, protectedPath: string, verdict: 'dangerous' | 'unknown' = 'dangerous'): PathJudgement {
  return { rule, verdict, protectedPath };
}

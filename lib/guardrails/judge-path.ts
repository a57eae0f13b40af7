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

/** Files that do something when they are written to. */
const triggers: readonly (readonly [RegExp, RuleId])[] = [
  [/^\/dev\/watchdog\d*$/, 'G0301'],
  [/^\/sys\/power\/(?:state|disk|reboot\/.+)$/, 'G0301'],
  [
    /^\/sys\/fs\/cgroup\/(?:[^/]+\/)?(?:(?:system|init|user)\.(?:slice|scope)\/)?(?:(?:ssh|sshd|dbus|systemd-[a-z]+|networkmanager|holdfast-agent)\.service\/)?cgroup\.(?:kill|freeze)$/,
    'G0303',
  ],
  [/^\/sys\/class\/net\/(?!docker|veth|br-|virbr|lo\/)[^/]+\/(?:flags|carrier)$/, 'G0403'],
];

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
  const plainPath = lower.replace(/[\ue001-\ue004]/g, '');
  const trigger =
    isTreeAction(action) || action === 'remove' ? undefined : triggers.find(([path]) => path.test(plainPath));
  if (trigger !== undefined) return found(trigger[1], lower);
  if (isFree(lower)) return undefined;
  if (rawDevice.test(lower) && !/^remove$|^change|^break$|^own$|^mount$/.test(action)) return found('G0201', lower);
  if (lower.startsWith(hole)) return judgeHole(lower, action);
  const target = isTreeAction(action) || action === 'remove' ? withoutContents(lower) : lower;
  if (action === 'remove' && target !== lower) return judgeAll(target, 'remove contents');
  return judgeAll(target, action);
}

/** What is in a directory of the network's settings: a pattern that means all of these means the directory. */
const usual: readonly (readonly [string, readonly string[]])[] = [
  ['/etc/netplan', ['50-cloud-init.yaml', '01-netcfg.yaml', '00-installer-config.yaml']],
  ['/etc/sysconfig/network-scripts', ['ifcfg-eth0', 'ifcfg-ens3']],
  ['/etc/networkmanager/system-connections', ['eth0.nmconnection', 'wired connection 1.nmconnection']],
  ['/etc/systemd/network', ['10-eth0.network', '20-wired.network']],
  ['/etc/network/interfaces.d', ['50-cloud-init', 'eth0']],
];

/** `x/*` and `x/.*` are all that is in `x`. */
function withoutContents(path: string): string {
  const at = path.lastIndexOf('/');
  const last = path.slice(at + 1);
  const matchesAll =
    hasGlob(last) && [...'a.bz0_-'].every((char) => patternOf(last.replace(/^\./, '')).test(`${char}x1`));
  const own = usual.find(([directory]) => directory === path.slice(0, at))?.[1];
  const isNetwork = hasGlob(last) && own?.every((name) => patternOf(last).test(name)) === true;
  return matchesAll || isNetwork ? path.slice(0, at) || '/' : path;
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
    // Which node it is, only the machine knows.
    const isSome = entry.path === '/dev' && path.startsWith(`/dev/${hole}`) && !/tree|move/.test(action);
    if (isSome) return found('G0603', entry.path, 'unknown');
    if (relation !== 'above') return found(entry.rule ?? rule, entry.path);
    above ??= found(rule, entry.path);
  }
  return above ?? judgePartly(path, action);
}

/** A directory below the root whose name is known in part: it may turn out to be one of the system's. */
function judgePartly(path: string, action: PathAction | 'remove contents'): PathJudgement | undefined {
  const only = path.slice(1);
  if (only.includes('/') || !only.includes(hole) || only === hole || !/tree|move/.test(action)) return undefined;
  const pattern = patternOf(only);
  const name = 'etc usr bin sbin lib lib64 boot var dev root home'.split(' ').find((one) => pattern.test(one));
  return name === undefined ? undefined : found('G0603', `/${name}`, 'unknown');
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
      return isOwn || entry.mayMove === true ? undefined : 'G0105';
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

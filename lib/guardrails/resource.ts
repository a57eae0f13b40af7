/**
 * Resources against what is protected, by what they say: the judgement at publish, and the first half of the node's.
 * Resource types are taken loosely, by their names and the names of their fields, so a type that is added later is
 * judged by its paths at least.
 */

import { ruleOfService } from './commands/services.ts';
import { describe, excerptOf, type Finding, type Judgement, judgementOf } from './finding.ts';
import { judgePath, type PathAction, type PathJudgement } from './judge-path.ts';
import { normalizePath } from './paths.ts';
import { isAgentName, isEssentialPackage, isSystemGroup, isSystemUser } from './protected-names.ts';
import type { RuleId } from './rules.ts';
import type { ScanContext, Scanner } from './scanner.ts';
import type { PlacesOf } from './shell/places.ts';

/** A resource as built into a release. `desired` is attacker-controlled on the node. */
export type JudgedResource = { readonly type: string; readonly id: string; readonly desired: unknown };

type Fields = Readonly<Record<string, unknown>>;

/**
 * Types that change a protected file by the system's own tools or line by line, and which files those are. In code and
 * not in policy: no release can add to it.
 */
const ownFiles: ReadonlyMap<string, readonly string[]> = new Map([
  ['mount', ['/etc/fstab']],
  ['user', ['/etc/passwd', '/etc/shadow', '/etc/group', '/etc/gshadow', '/etc/subuid', '/etc/subgid']],
  ['group', ['/etc/group', '/etc/gshadow']],
  ['authorized_key', ['/root/.ssh/authorized_keys']],
]);

/**
 * All findings about a resource, by what it says. Never throws. They carry rule ids, by which an override that is signed
 * into a release may name them; the node judges the same again and knows no overrides.
 */
export function judgeResource(scanner: Scanner, resource: JudgedResource, placesOf?: PlacesOf): Judgement {
  const fields = fieldsOf(resource.desired);
  return judgementOf([
    ...judgeName(resource.type, fields),
    ...pathsOf(fields).flatMap((path) => judgeResourcePath(resource.type, path, fields)),
    ...judgeCommands(scanner, fields, placesOf),
  ]);
}

/** One path of a resource, under whichever name the node found for it. */
export function judgeResourcePath(type: string, path: string, desired: unknown): Finding[] {
  const fields = fieldsOf(desired);
  const normal = normalizePath(path);
  if (ownFiles.get(type)?.includes(normal) === true) return [];
  let judged: PathJudgement | undefined;
  for (const action of actionsOf(type, normal, fields)) judged ??= judgePath(normal, action);
  if (judged === undefined && !opensFile(normal, fields)) return [];
  return [findingOf(judged ?? { rule: 'G0104', verdict: 'dangerous', protectedPath: normal }, path)];
}

/** The paths that a resource names as its own. */
export function pathsOf(desired: unknown): string[] {
  const fields = fieldsOf(desired);
  const paths: string[] = [];
  for (const key of pathFields) {
    const value = fields[key];
    if (typeof value === 'string' && value.startsWith('/')) paths.push(value);
  }
  return paths;
}

const pathFields = ['path', 'target_path', 'mountpoint', 'destination', 'dest', 'point', 'file', 'checkout'] as const;

function actionsOf(type: string, path: string, fields: Fields): PathAction[] {
  const isAbsent = fields['state'] === 'absent' || fields['ensure'] === 'absent';
  switch (type) {
    case 'directory':
      if (isAbsent) return [fields['recurse'] === true ? 'remove tree' : 'remove', 'move'];
      return fields['owner'] !== undefined && fields['owner'] !== 'root' && fields['owner'] !== 0 ? ['own'] : [];
    case 'line':
    case 'block':
    case 'ini':
    case 'json':
      return isAbsent ? ['edit'] : ['edit'];
    case 'mount':
      return isAbsent ? [] : ['mount'];
    case 'git':
    case 'archive':
      return ['remove tree'];
    case 'symlink':
      return isAbsent ? ['remove'] : ['replace', 'remove', 'move'];
    default:
      if (isAbsent) return ['remove'];
      // What decides whether anybody gets in is written only after the program that reads it has agreed.
      return needsValidation(path) && typeof fields['validate'] !== 'string' ? ['empty', 'replace'] : ['replace'];
  }
}

const validated = /^\/etc\/(?:ssh\/sshd_config|sudoers\.d\/[^/]+|pam\.d\/[^/]+|fstab|nsswitch\.conf|default\/grub)$/;

function needsValidation(path: string): boolean {
  return validated.test(path);
}

/** A mode by which all may write what others trust. */
function opensFile(path: string, fields: Fields): boolean {
  const { mode } = fields;
  const isOpen = typeof mode === 'string' && /[2367]$/.test(mode) && !/^1/.test(mode.padStart(4, '0'));
  return isOpen && /^\/(?:etc|bin|sbin|lib|lib64|usr|root|var\/spool\/cron)(?:\/|$)/.test(path);
}

function judgeName(type: string, fields: Fields): Finding[] {
  const { name, state } = fields;
  const names = [name, fields['package'], fields['user'], fields['packages']]
    .flat()
    .filter((one): one is string => typeof one === 'string');
  const isGone = typeof state === 'string' && /^(?:absent|removed|purged|uninstalled)$/.test(state);
  switch (type) {
    case 'service': {
      const isDown =
        (typeof state === 'string' && /^(?:stopped|disabled|masked|absent|dead)$/.test(state)) ||
        fields['enabled'] === false ||
        fields['masked'] === true;
      return isDown ? names.flatMap((one) => namedFinding(ruleOfService(one), one)) : [];
    }
    case 'package':
      return isGone
        ? names.flatMap((one) =>
            namedFinding(isAgentName(one) ? 'G0401' : isEssentialPackage(one) ? 'G0405' : undefined, one),
          )
        : [];
    case 'user': {
      const shell = fields['shell'];
      const isLocked =
        fields['locked'] === true ||
        fields['password'] === '' ||
        fields['expires'] !== undefined ||
        (typeof shell === 'string' && /nologin|false$/.test(shell));
      const takesRoot = fields['uid'] === 0 && !names.includes('root');
      return names.flatMap((one) => [
        ...(takesRoot ? namedFinding('G0108', one) : []),
        ...(isGone || (isLocked && one === 'root') ? namedFinding(isSystemUser(one) ? 'G0407' : undefined, one) : []),
        ...(one === 'root' && fields['uid'] !== undefined && fields['uid'] !== 0 ? namedFinding('G0407', one) : []),
      ]);
    }
    case 'group':
      return isGone ? names.flatMap((one) => namedFinding(isSystemGroup(one) ? 'G0407' : undefined, one)) : [];
    default:
      return [];
  }
}

const commandFields = ['command', 'unless', 'onlyif', 'validate', 'job', 'run', 'script'] as const;

/** Whether there is anything in it that is run, so that a scanner is needed. */
export function hasCommands(desired: unknown): boolean {
  const fields = fieldsOf(desired);
  return commandFields.some((key) => fields[key] !== undefined);
}

/** Every field that is run: as the resource's own command, its guard, its test, or a job. */
function judgeCommands(scanner: Scanner, fields: Fields, placesOf: PlacesOf | undefined): Finding[] {
  const context: ScanContext = {
    ...(typeof fields['cwd'] === 'string' ? { cwd: fields['cwd'] } : {}),
    ...(placesOf === undefined ? {} : { placesOf }),
  };
  return commandFields.flatMap((key) => {
    const value = fields[key];
    if (typeof value === 'string') return [...scanner.scan(value.replaceAll('%s', '/tmp/candidate'), context).findings];
    const isList = Array.isArray(value) && value.every((one) => typeof one === 'string');
    return isList && value.length > 0 ? [...scanner.scan(value, context).findings] : [];
  });
}

function namedFinding(rule: RuleId | undefined, name: string): Finding[] {
  return rule === undefined ? [] : [findingOf({ rule, verdict: 'dangerous', protectedPath: name }, name)];
}

function findingOf({ rule, verdict, protectedPath }: PathJudgement, excerpt: string): Finding {
  return {
    rule,
    verdict,
    position: { offset: 0, line: 1, column: 1 },
    reason: describe(rule, protectedPath),
    excerpt: excerptOf(excerpt),
  };
}

function fieldsOf(desired: unknown): Fields {
  return typeof desired === 'object' && desired !== null ? (desired as Fields) : {};
}

/** A call: one command with the arguments that it would get. */

import type { Finding } from '../finding.ts';
import type { PathAction } from '../judge-path.ts';
import type { RuleId } from '../rules.ts';
import { resolved } from './links.ts';
import { hasHole, plain, split, withoutGlobs } from './marks.ts';
import { judgePlace } from './places.ts';
import { type Frame, findingOf, report as reportInFrame } from './scan.ts';

export type Call = {
  /** With marks. The first is the name of the program as written. */
  readonly argv: readonly string[];
  readonly frame: Frame;
  readonly offset: number;
  readonly excerpt: string;
  /** Assignments in front of the command. */
  readonly environment?: ReadonlyMap<string, string>;
  /** Run once for everything in a tree, as by `find -exec`: what it does to one path, it does to all. */
  readonly isForTree?: boolean;
};

export function reportCall(call: Call, rule: RuleId, detail = '', verdict?: Finding['verdict']): void {
  reportInFrame(call.frame, rule, {
    offset: call.offset,
    excerpt: call.excerpt,
    detail,
    ...(verdict === undefined ? {} : { verdict }),
  });
}

/** Runs what was downloaded before. Where a checksum or a signature was looked at first, it is known to somebody. */
export function reportDownloaded(call: Call, detail = ''): void {
  reportCall(call, 'G0604', detail, call.frame.scan.isVerified ? 'unknown' : 'dangerous');
}

/** A finding that is kept back, because what comes later may answer it. */
export function findingOfCall(call: Call, rule: RuleId, detail: string): Finding {
  return findingOf(call.frame, rule, { offset: call.offset, excerpt: call.excerpt, detail });
}

const stepsOfATouch = 4;

/** Judges what the call does to a path, and reports it. */
export function touch(call: Call, path: string, action: PathAction): boolean {
  call.frame.scan.steps -= stepsOfATouch;
  if (call.frame.scan.steps <= 0) return false;
  const judged = judgePlace(call.frame, resolved(call.frame, path, action), action);
  if (judged === undefined) return false;
  reportCall(call, judged.rule, judged.protectedPath, judged.verdict);
  return true;
}

/** The last component of the program's name. */
export function programOf(name: string): string {
  return plain(name).replace(/^.*\//, '');
}

/** Back into text that a shell would read as these arguments. */
export function quote(argv: readonly string[]): string {
  return argv.map(quoteOne).join(' ');
}

function quoteOne(value: string): string {
  const text = plain(value).replaceAll(split, ' ');
  const known = withoutGlobs(text);
  if (known !== text || /^[\w./=:@%+,-]+$/.test(text)) return known;
  return hasHole(text) && !/[\s'"$`\\;&|<>()]/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

export type Options = {
  /** Short flags one by one, and long ones by name with dashes. */
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
  readonly operands: readonly string[];
};

/**
 * Reads arguments the usual way. `withValue` names the options that take one: short ones as `-n`, long ones as
 * `--name`. With `isPrefix`, the first operand ends the options, as in a wrapper.
 */
export function readOptions(args: readonly string[], withValue: readonly string[] = [], isPrefix = false): Options {
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const operands: string[] = [];
  for (let i = 0; i < args.length; i += 1) {
    const arg = plain(args[i] ?? '');
    if (arg === '--') {
      operands.push(...args.slice(i + 1));
      break;
    }
    if (arg.startsWith('--')) {
      const [name = arg, ...rest] = arg.split('=');
      flags.add(name);
      if (rest.length > 0) values.set(name, rest.join('='));
      else if (withValue.includes(name)) {
        i += 1;
        values.set(name, args[i] ?? '');
      }
    } else if (arg.length > 1 && arg.startsWith('-')) {
      for (let j = 1; j < arg.length; j += 1) {
        const flag = `-${arg[j]}`;
        flags.add(flag);
        if (!withValue.includes(flag)) continue;
        const rest = arg.slice(j + 1);
        if (rest === '') i += 1;
        values.set(flag, rest === '' ? (args[i] ?? '') : rest);
        break;
      }
    } else {
      operands.push(args[i] ?? '');
      if (isPrefix) {
        operands.push(...args.slice(i + 1));
        break;
      }
    }
  }
  return { flags, values, operands };
}

/**
 * Guards: what a test in front of a command says of files. A file that every machine has, and that is written only where
 * it is missing, is not harmed.
 */
import { normalizePath } from '../paths.ts';
import { hasGlob, plain } from './marks.ts';
import type { Frame } from './scan.ts';
import type { Command, Item, Span } from './syntax.ts';
import { expandText } from './word.ts';

/** Stand on every machine, so that the test can only be true where something is broken already. */
const everywhere =
  /^\/etc\/(?:passwd|group|shadow|gshadow|fstab|crypttab|hosts|hostname|shells|nsswitch\.conf|login\.defs|profile|securetty|inittab|network\/interfaces|apt\/sources\.list|ssh\/sshd_config|ssh\/ssh_host_[a-z0-9]+_key|default\/grub|pam\.conf|pam\.d\/common-[a-z-]+|security\/[a-z_]+\.conf)$/;

/** A frame in which the paths are known to be missing. */
export function where(frame: Frame, paths: readonly string[]): Frame {
  return paths.length === 0 ? frame : { ...frame, absent: new Set([...frame.absent, ...paths]) };
}

export function isAbsent(frame: Frame, path: string): boolean {
  const normal = normalizePath(path, frame.scope.cwd);
  return frame.absent.has(normal) && !hasGlob(normal) && everywhere.test(normal.replace(/^\ue000/, ''));
}

/** The paths that are missing when all of the commands succeed; with `isFailed`, when the last of them fails. */
export function missingIf(items: readonly Item[], frame: Frame, isFailed = false): string[] {
  const last = items.at(-1);
  return last === undefined || items.length > 1 ? [] : missing(last.command, frame, isFailed);
}

export function missing(command: Command, frame: Frame, isFailed: boolean): string[] {
  if (command.type === 'and-or')
    return !isFailed && command.rest.every(({ operator }) => operator === '&&')
      ? [command.first, ...command.rest.map((one) => one.command)].flatMap((one) => missing(one, frame, false))
      : [];
  if (command.type !== 'simple' && command.type !== 'test') return [];
  const words = command.words.map((word) => textOf(word, frame));
  const isNegatedWhole = /^\s*!\s/.test(frame.source.text.slice(Math.max(0, command.start - 3), command.start));
  const args =
    command.type === 'test' ? words : words[0] === '[' ? words.slice(1, -1) : words[0] === 'test' ? words.slice(1) : [];
  const isNegated = args[0] === '!';
  const [operator, ...operands] = isNegated ? args.slice(1) : args;
  if (!/^-[efs]$/.test(operator ?? '') || operands.length !== 1) return [];
  const isMissing = (isNegated !== isNegatedWhole) !== isFailed;
  const at = command.words.at(command.type === 'simple' && words[0] === '[' ? -2 : -1);
  return isMissing && at !== undefined
    ? expandText(frame, at.start, at.end).map((path) => normalizePath(plain(path), frame.scope.cwd))
    : [];
}

function textOf({ start, end }: Span, frame: Frame): string {
  return frame.source.text.slice(start, end);
}

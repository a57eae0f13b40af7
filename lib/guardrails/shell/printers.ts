/** Printers: code for an interpreter that does nothing but print one literal. */
import { decodeEscapes } from './escapes.ts';
import { fold } from './folding.ts';
import { plain, withoutGlobs } from './marks.ts';

export const interpretersThatPrint = /^(?:python[\d.]*|perl|ruby|node|php|[gmn]?awk)$/;

/** Code that does nothing but print one literal; anything more is not followed. */
export function printedBy(program: string, args: readonly string[]): string | undefined {
  const at = args.findIndex((arg) => /^-(?:c|e|E|r|le|pe)$/.test(plain(arg)));
  const code = /awk$/.test(program) ? args.find((arg) => !plain(arg).startsWith('-')) : args[at + 1];
  if (code === undefined || (at === -1 && !/awk$/.test(program))) return undefined;
  const [, , literal] =
    /^\s*(?:BEGIN\s*\{\s*)?(?:print|puts|say|echo|printf|console\.log|process\.stdout\.write|sys\.stdout\.write)\s*\(?\s*(["'])((?:\\[\s\S]|(?!\1)[^\\])*)\1\s*\)?\s*;?\s*\}?\s*$/.exec(
      fold(withoutGlobs(plain(code))),
    ) ?? [];
  return literal === undefined ? undefined : `${decodeEscapes(literal)}\n`;
}

/**
 * Repairs: shell that every shell reads and the grammar does not, written in the way that it does read. Used only where
 * the text as it is doesn't parse, and only when all of it parses afterwards. No line is added or taken away.
 */
import type { Grammar, Parsed } from './grammar.ts';

const rewrites: readonly ((text: string) => string)[] = [
  // `for x do`: over the arguments (POSIX.1-2024, 2.9.4).
  (text) => text.replace(/(^|[\s;(])for([ \t]+\w+)[ \t]*(\n[ \t]*|;?[ \t]+)do(?=\s)/g, '$1for$2 in "$@";$3do'),
  // A dollar sign at the end of a word stands for itself: `grep ^x$)`.
  (text) => text.replace(/([^\\$\s'"])\$(?=[)`|\s])/g, '$1\\$'),
  renameDelimiters,
];

/** The grammar takes a line that only begins with the delimiter for the end of a here-document. */
function renameDelimiters(text: string): string {
  const lines = text.split('\n');
  lines.forEach((line, start) => {
    const [, dash, word] = /<<(-?)\s*["'\\]?(\w+)["']?/.exec(line) ?? [];
    if (word === undefined || word.length > 12) return;
    const end = lines.findIndex((one, i) => i > start && (dash === '-' ? one.replace(/^\t+/, '') : one) === word);
    if (end === -1 || !lines.slice(start + 1, end).some((one) => one.trimStart().startsWith(word))) return;
    const name = `${word}_END_OF_HERE_DOCUMENT`;
    lines[start] = line.replace(/(<<-?\s*["'\\]?)\w+/, `$1${name}`);
    lines[end] = (lines[end] ?? '').replace(word, name);
  });
  return lines.join('\n');
}

export type Repaired = { readonly text: string; readonly parsed: Parsed };

/** The text and its tree, repaired if that helps. */
export function parseRepaired(grammar: Grammar, text: string): Repaired {
  const parsed = grammar.parse(text);
  if (parsed?.errorAt === undefined) return { text, parsed };
  let next = text;
  for (const rewrite of rewrites) {
    const before = next;
    next = rewrite(before);
    if (next === before) continue;
    const again = grammar.parse(next);
    if (again !== undefined && again.errorAt === undefined) return { text: next, parsed: again };
  }
  return { text, parsed };
}

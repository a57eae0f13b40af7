/**
 * The shell grammar: source into a syntax tree. Reads what Bash and `dash` read, in the way in which they do; work and
 * depth are bounded by the length of the source.
 */
import { CommandReader } from './command-reader.ts';
import type { Item, Substitution } from './syntax.ts';
import { type Dialect, NotShell, TooMuch } from './word-reader.ts';

/** `errorAt`: where the first thing stands that is not shell; what comes before it is in the tree, as a shell would run it. */
export type Parsed = {
  readonly commands: readonly Item[];
  /** By where they start. */
  readonly substitutions: ReadonlyMap<number, Substitution>;
  readonly errorAt: number | undefined;
  /** Something in it means another thing in the other dialect. */
  readonly isAmbiguous: boolean;
};

/** After this many places that are not shell the rest is not looked at. */
const maxErrors = 40;

/** Undefined: too much to read. Attacker-controlled. */
export function parse(source: string, dialect: Dialect = 'bash'): Parsed | undefined {
  const commands: Item[] = [];
  const reader = new CommandReader(source, dialect);
  let errorAt: number | undefined;
  for (let errors = 0; errors < maxErrors; errors += 1) {
    try {
      reader.readAll();
      break;
    } catch (error) {
      if (error instanceof TooMuch) return undefined;
      if (!(error instanceof NotShell)) throw error;
      errorAt ??= error.offset;
      // A shell ends here, but other shells might not: what can be read of the rest is judged as well.
      const next = source.indexOf('\n', Math.max(error.offset, reader.at));
      if (next === -1) break;
      reader.at = next;
    }
  }
  commands.push(...reader.complete);
  return { commands, substitutions: reader.substitutions, errorAt, isAmbiguous: reader.isAmbiguous };
}

/** In whichever dialect it parses; Bash comes first. */
export function parseAny(source: string): Parsed | undefined {
  const parsed = parse(source);
  if (parsed?.errorAt === undefined) return parsed;
  const other = parse(source, 'posix');
  return other !== undefined && other.errorAt === undefined ? other : parsed;
}

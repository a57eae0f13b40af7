/** A problem: one finding about a policy directory, with the place to fix it and what to do. */

export type ProblemCode =
  /** Not YAML, or YAML of a kind that policy does not take. */
  | 'syntax'
  | 'unknown_key'
  | 'missing_key'
  | 'bad_value'
  | 'unknown_type'
  | 'unknown_crate'
  /** A crate that no binding gives to any node. */
  | 'unbound_crate'
  | 'duplicate_resource'
  /** Two crates claim the same thing, and a node may get both. */
  | 'overlapping_resource'
  | 'cycle'
  | 'dangling_reference'
  /** A reference to another crate, which a node may lack. */
  | 'unbound_reference'
  /** A path that leads out of the crate's folder, or to something other than a plain file. */
  | 'bad_path'
  | 'unreadable_file'
  | 'too_large'
  /** Text that looks like a secret reference and is none. */
  | 'bad_secret'
  /** A secret where others could see it: a name, a command line, an environment. */
  | 'misplaced_secret'
  | 'unknown_var'
  /** A var without default that some node would lack. */
  | 'missing_var'
  /** A `when` that is no expression, or names what is not there. */
  | 'bad_expression'
  /** A `when` that holds on no node. */
  | 'impossible_when'
  | 'needless_when'
  | 'bad_template'
  /** A secret written out, in YAML or in a file of a crate. */
  | 'plain_secret'
  /** Something protected, or a dangerous command; see docs/guardrails.md. */
  | 'guardrail'
  /** A file or folder where no crate can be. */
  | 'misplaced';

/** Where something stands: the file relative to the policy directory, line and column from 1. */
export type Place = { readonly file: string; readonly line: number; readonly column: number };

export type Problem = Place & {
  readonly severity: 'error' | 'warning';
  readonly code: ProblemCode;
  readonly message: string;
  readonly hint?: string;
};

/** Collects problems; each domain function that reads source takes one, so that all of them are found in one go. */
export type Report = (code: ProblemCode, place: Place, message: string, hint?: string) => void;

/** A report that adds errors to a list. */
export function errorsInto(problems: Problem[]): Report {
  return (code, place, message, hint) => {
    problems.push({ severity: 'error', code, ...placeOf(place), message, ...(hint === undefined ? {} : { hint }) });
  };
}

/** A report that adds warnings to a list. */
export function warningsInto(problems: Problem[]): Report {
  return (code, place, message, hint) => {
    problems.push({ severity: 'warning', code, ...placeOf(place), message, ...(hint === undefined ? {} : { hint }) });
  };
}

/** In the order in which a person would walk through the files; equal places keep the order of discovery. */
export function sortProblems(problems: readonly Problem[]): readonly Problem[] {
  return problems.toSorted(
    (a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0) || a.line - b.line || a.column - b.column,
  );
}

/** `file:line:column: severity: message (code)`, which editors and terminals turn into links. */
export function formatProblem(problem: Problem): string {
  const head = `${problem.file}:${problem.line}:${problem.column}: ${problem.severity}: ${problem.message}`;
  return problem.hint === undefined ? `${head} (${problem.code})` : `${head} (${problem.code})\n  ${problem.hint}`;
}

function placeOf({ file, line, column }: Place): Place {
  return { file, line, column };
}

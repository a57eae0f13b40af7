/**
 * The syntax tree of shell source (POSIX.1-2024, chapter 2, and Bash's "Shell Grammar"). Words are stretches of the
 * source: what they become is the business of `word.ts`.
 */

/** Offsets in UTF-16 units: the first, and one past the last. */
export type Span = { readonly start: number; readonly end: number };

export type Word = Span;

export type Redirect = Span & {
  readonly operator: string;
  /** Digits or `{name}` in front of the operator; empty when there are none. */
  readonly descriptor: string;
  /** Of a here-document: its delimiter. */
  readonly target: Word;
  readonly document: HereDocument | undefined;
};

/** The lines of a here-document. */
export type HereDocument = {
  /** Neither parameters nor commands are filled in. */
  readonly isLiteral: boolean;
  /** Leading tabs are taken off. */
  readonly isIndented: boolean;
  readonly delimiter: string;
  body: Span;
};

export type Assignment = Span & {
  readonly name: string;
  readonly index: Word | undefined;
  readonly isAppend: boolean;
  readonly value: Word | undefined;
  /** Of an array: `name=(…)`. */
  readonly items: readonly (Word | Assignment)[] | undefined;
};

export type Simple = Span & {
  readonly type: 'simple';
  readonly assignments: readonly Assignment[];
  readonly words: readonly Word[];
  /** Arguments of `declare` and its like that are assignments. */
  readonly declared: readonly Assignment[];
  readonly redirects: readonly Redirect[];
};

export type Item = { readonly command: Command; readonly isBackground: boolean };
export type CaseItem = { readonly patterns: readonly Word[]; readonly body: readonly Item[] };

export type Command =
  | Simple
  | (Span & { readonly type: 'redirected'; readonly body: Command; readonly redirects: readonly Redirect[] })
  | (Span & { readonly type: 'pipeline'; readonly stages: readonly Command[] })
  | (Span & {
      readonly type: 'and-or';
      readonly first: Command;
      readonly rest: readonly { readonly operator: '&&' | '||'; readonly command: Command }[];
    })
  | (Span & { readonly type: 'subshell' | 'group'; readonly body: readonly Item[] })
  | (Span & {
      readonly type: 'if';
      readonly branches: readonly { readonly condition: readonly Item[]; readonly body: readonly Item[] }[];
      readonly otherwise: readonly Item[] | undefined;
    })
  | (Span & {
      readonly type: 'while';
      readonly isUntil: boolean;
      readonly condition: readonly Item[];
      readonly body: readonly Item[];
    })
  | (Span & {
      readonly type: 'for';
      readonly name: string;
      /** Undefined: over the arguments. */
      readonly words: readonly Word[] | undefined;
      readonly body: readonly Item[];
    })
  | (Span & {
      readonly type: 'arithmetic for';
      readonly expressions: readonly [Span, Span, Span];
      readonly body: readonly Item[];
    })
  | (Span & { readonly type: 'case'; readonly subject: Word; readonly items: readonly CaseItem[] })
  | (Span & { readonly type: 'function'; readonly name: string; readonly body: Command })
  | (Span & { readonly type: 'coproc'; readonly body: Command })
  | (Span & { readonly type: 'arithmetic'; readonly expression: Span })
  | (Span & { readonly type: 'test'; readonly words: readonly Word[] });

/** A `$` or backtick construct within a word, or a process substitution. */
export type Substitution = Span & {
  readonly type: 'command' | 'process' | 'arithmetic' | 'parameter' | 'backtick';
  /** Of a command or process substitution. */
  readonly body: readonly Item[];
};

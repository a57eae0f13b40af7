/**
 * The word reader: finds where words, quoted stretches and substitutions end, just as a shell does, and keeps the
 * substitutions that it passes. Commands within them are parsed by whoever extends it.
 */
import type { Item, Span, Substitution } from './syntax.ts';

/**
 * Where shells differ. POSIX, as `dash` reads it: no `[[`, `((`, `&>`, `<(` and arrays; a single quote in `"${x:-…}"` is
 * a character like others; a function's body may be any command.
 */
export type Dialect = 'bash' | 'posix';

/** The source is no shell from here on. */
export class NotShell extends Error {
  override readonly name = 'NotShell';
  readonly offset: number;

  constructor(offset: number) {
    super(`not shell at ${offset}`);
    this.offset = offset;
  }
}

/** The source is too deep or too long to be read. */
export class TooMuch extends Error {
  override readonly name = 'TooMuch';
}

const maxDepth = 120;
/** Characters looked at, for each character of the source and on top of that. */
const workPerCharacter = 64;
const workAtLeast = 100_000;

/** Invariant: nothing is read twice at the same place and in the same way, so the work is bounded by the length. */
export abstract class WordReader {
  readonly text: string;
  readonly dialect: Dialect;
  at = 0;
  /** By where they start. */
  readonly substitutions = new Map<number, Substitution>();
  /** Something was met that the other dialect reads in another way. */
  isAmbiguous = false;
  private readonly failed = new Set<string>();
  private depth = 0;
  private work: number;

  constructor(text: string, dialect: Dialect) {
    this.text = text;
    this.dialect = dialect;
    this.work = text.length * workPerCharacter + workAtLeast;
  }

  /** Parses commands up to and past the closing bracket. */
  protected abstract readUntilBracket(): Item[];

  protected fail(offset = this.at): never {
    throw new NotShell(offset);
  }

  /** One level further in, for as long as `read` takes. */
  protected deeper<T>(read: () => T): T {
    this.depth += 1;
    if (this.depth > maxDepth) throw new TooMuch();
    try {
      return read();
    } finally {
      this.depth -= 1;
    }
  }

  protected spend(): void {
    this.work -= 1;
    if (this.work < 0) throw new TooMuch();
  }

  /** Past a word, up to what ends it. Returns its span; empty when there is none. */
  readWord(): Span {
    const start = this.at;
    const { text } = this;
    while (this.at < text.length) {
      this.spend();
      const char = text[this.at] ?? '';
      if (this.dialect === 'bash' && isProcessSubstitution(text, this.at)) this.substitution('process');
      else if (char === '(' && this.at > start && this.isExtendedGlob()) this.extendedGlob();
      else if (isMeta(char)) break;
      else this.character(false);
    }
    return { start, end: this.at };
  }

  /** Past one character, quoted stretch or substitution. */
  protected character(inDouble: boolean): void {
    const { text } = this;
    const char = text[this.at];
    if (char === '\\') this.at = Math.min(this.at + 2, text.length);
    else if (char === "'" && !inDouble) this.until("'", false);
    else if (char === '"' && !inDouble) this.doubleQuoted();
    else if (char === '`') this.backtick();
    else if (char === '$') this.dollar(inDouble);
    else this.at += 1;
  }

  /** Past a stretch that ends with the character that it begins with. */
  private until(quote: string, escapes: boolean): void {
    const start = this.at;
    this.at += 1;
    while (this.text[this.at] !== quote) {
      this.spend();
      if (this.at >= this.text.length) this.fail(start);
      this.at += escapes && this.text[this.at] === '\\' ? 2 : 1;
    }
    this.at += 1;
  }

  private doubleQuoted(): void {
    const start = this.at;
    this.at += 1;
    while (this.text[this.at] !== '"') {
      this.spend();
      if (this.at >= this.text.length) this.fail(start);
      this.character(true);
    }
    this.at += 1;
  }

  private backtick(): void {
    const start = this.at;
    this.until('`', true);
    this.substitutions.set(start, { type: 'backtick', start, end: this.at, body: [] });
  }

  private dollar(inDouble: boolean): void {
    const next = this.text[this.at + 1];
    if (next === '(') this.substitution(this.text[this.at + 2] === '(' ? 'arithmetic' : 'command');
    else if (next === '{') this.substitution('parameter', inDouble);
    else if (next === '[' && this.dialect === 'bash') this.substitution('arithmetic');
    else if (next === "'" && !inDouble && this.dialect === 'bash') {
      this.at += 1;
      this.until("'", true);
    } else this.at += 1;
  }

  /** One substitution. What was read or has failed before at this place is not read again. */
  private substitution(type: Substitution['type'], inDouble = false): void {
    const start = this.at;
    const known = this.substitutions.get(start);
    if (known !== undefined) {
      this.at = known.end;
      return;
    }
    const key = `${type}${inDouble}${start}`;
    if (this.failed.has(key)) this.fail(start);
    try {
      this.deeper(() => this.readSubstitution(type, inDouble));
    } catch (error) {
      this.failed.add(key);
      throw error;
    }
  }

  private readSubstitution(type: Substitution['type'], inDouble: boolean): void {
    const start = this.at;
    this.at += 2 + this.joinedAt(start + 1);
    let body: Item[] = [];
    let kind = type;
    if (type === 'arithmetic') {
      if (!this.arithmetic(start)) {
        this.at = start + 2;
        kind = 'command';
        body = this.readOrSkip(start);
      }
    } else if (type === 'parameter') this.parameter(start, inDouble);
    else body = this.readUntilBracket();
    this.substitutions.set(start, { type: kind, start, end: this.at, body });
  }

  /** Commands in brackets; where they are none, what a shell finds out only when it comes to them. */
  private readOrSkip(start: number): Item[] {
    try {
      return this.readUntilBracket();
    } catch (error) {
      if (!(error instanceof NotShell) || this.dialect === 'posix') throw error;
      this.at = start + 2;
      this.balanced('(', ')', start);
      return [];
    }
  }

  /** Past `$((…))` or `$[…]`. False: it is a command substitution that begins with a subshell. */
  private arithmetic(start: number): boolean {
    if (this.text[start + 1] === '[') {
      this.balanced('[', ']', start);
      return true;
    }
    this.at = start + 3;
    try {
      this.balanced('(', ')', start);
    } catch (error) {
      if (error instanceof NotShell) return false;
      throw error;
    }
    if (this.text[this.at] !== ')') return false;
    this.at += 1;
    return true;
  }

  /** Past the bracket that closes one that was read before. */
  protected balanced(open: string, close: string, start: number): void {
    for (let depth = 1; depth > 0; ) {
      this.spend();
      if (this.at >= this.text.length) this.fail(start);
      const char = this.text[this.at];
      if (char === open) depth += 1;
      else if (char === close) depth -= 1;
      if (char === open || char === close || (char === '"' && this.dialect === 'posix')) this.at += 1;
      else this.character(false);
    }
  }

  /** The length of joined lines in the middle of what belongs together. */
  private joinedAt(at: number): number {
    return /^(?:\\\n)*/.exec(this.text.slice(at, at + 20))?.[0].length ?? 0;
  }

  private parameter(start: number, inDouble: boolean): void {
    while (this.text[this.at] !== '}') {
      this.spend();
      if (this.at >= this.text.length) this.fail(start);
      const char = this.text[this.at];
      if (char === '"') this.doubleQuoted();
      else if (char === "'" && inDouble) {
        this.isAmbiguous = true;
        if (this.dialect === 'posix') this.at += 1;
        else this.until("'", false);
      } else this.character(inDouble);
    }
    this.at += 1;
  }

  /** `?(…)`, `*(…)`, `+(…)`, `@(…)`, `!(…)` (Bash, "Pattern Matching"). */
  private extendedGlob(): void {
    const start = this.at;
    this.at += 1;
    this.balanced('(', ')', start);
  }

  private isExtendedGlob(): boolean {
    const before = this.text[this.at - 1] ?? ' ';
    return '?*+@!'.includes(before) && !'\\$'.includes(this.text[this.at - 2] ?? ' ') && this.text[this.at + 1] !== ')';
  }

  /** The substitutions in a here-document; what can't be read there is text. */
  protected readDocument({ start, end }: Span): void {
    const after = this.at;
    this.at = start;
    while (this.at < end) {
      this.spend();
      const before = this.at;
      try {
        if (this.text[this.at] === '"') this.at += 1;
        else this.character(true);
        if (this.at > end) this.at = before + 1;
      } catch (error) {
        if (!(error instanceof NotShell)) throw error;
        this.at = before + 1;
      }
    }
    this.at = after;
  }
}

export function isMeta(char: string): boolean {
  return ' \t\n;&|<>()'.includes(char);
}

function isProcessSubstitution(text: string, at: number): boolean {
  return (
    (text[at] === '<' || text[at] === '>') && (text[at + 1] === '(' || /^(?:\\\n)+\(/.test(text.slice(at + 1, at + 20)))
  );
}

/** The command reader: parses commands, from simple ones to whole compounds, into a syntax tree. */
import type { Assignment, CaseItem, Command, HereDocument, Item, Redirect, Span, Word } from './syntax.ts';
import { isMeta, NotShell, WordReader } from './word-reader.ts';

const posixOperators = '& && | || ; ;; < << <<- <> <& > >> >| >& ( )'.split(' ');
const operators = {
  posix: new Set(posixOperators),
  bash: new Set([...posixOperators, '&>', '&>>', '|&', ';&', ';;&', '<<<']),
};
const redirections = new Set('&> &>> < << <<- <<< <> <& > >> >| >&'.split(' '));
/** Reserved words that end a list of commands. */
const closers = new Set(['then', 'do', 'done', 'fi', 'elif', 'else', 'esac', '}']);
const posixKeywords = [...closers, ...'! { if while until for case in'.split(' ')];
const keywords = {
  posix: new Set(posixKeywords),
  bash: new Set([...posixKeywords, 'time', 'select', 'function', 'coproc', '[[']),
};
const declarers = new Set(['declare', 'typeset', 'local', 'export', 'readonly']);
const assignmentStart = /^([A-Za-z_]\w*)(\[|\+?=)/;
/** Of a word before a redirection: the descriptor that is meant. */
const descriptor = /^(?:\d+|\{[A-Za-z_]\w*(?:\[[^\]\s]*\])?\})$/;

type Operator = { readonly text: string; readonly end: number };

export class CommandReader extends WordReader {
  /** Top-level commands that are complete. A shell has run those when it meets what it can't read. */
  readonly complete: Item[] = [];
  private pending: { readonly document: HereDocument }[] = [];
  private inSubstitution = 0;

  /** The whole source. Throws `NotShell` or `TooMuch`; then `complete` has what came before. */
  readAll(): void {
    this.newlines();
    while (this.at < this.text.length) {
      this.commands(this.complete);
      if (this.at < this.text.length) this.fail();
    }
  }

  protected override readUntilBracket(): Item[] {
    const outer = this.pending;
    this.pending = [];
    this.inSubstitution += 1;
    try {
      this.newlines();
      const body = this.peekOperator()?.text === ')' ? [] : this.list(true);
      this.expectOperator(')');
      return body;
    } finally {
      this.inSubstitution -= 1;
      this.pending = outer;
    }
  }

  /** Commands up to a closing bracket, a reserved word that closes something, or the end. */
  private list(mayBeEmpty = false): Item[] {
    const items: Item[] = [];
    this.newlines();
    this.commands(items);
    if (items.length === 0 && !mayBeEmpty) this.fail();
    return items;
  }

  private commands(into: Item[]): void {
    for (;;) {
      this.blanks();
      if (this.isAtEnd()) return;
      const command = this.andOr();
      const operator = this.peekOperator();
      const isBackground = operator?.text === '&';
      into.push({ command, isBackground });
      if (operator?.text === '&' || operator?.text === ';') {
        this.at = operator.end;
        this.newlines();
      } else if (this.text[this.at] === '\n') this.newlines();
      else return;
    }
  }

  /** Nothing follows that a command could begin with. */
  private isAtEnd(): boolean {
    if (this.at >= this.text.length) return true;
    const operator = this.peekOperator();
    if (operator !== undefined) return /^(?:\)|;;|;&|;;&)$/.test(operator.text);
    return closers.has(this.peekKeyword());
  }

  private andOr(): Command {
    const first = this.pipeline();
    const rest: { operator: '&&' | '||'; command: Command }[] = [];
    for (;;) {
      const operator = this.peekOperator();
      if (operator?.text !== '&&' && operator?.text !== '||') break;
      this.at = operator.end;
      this.newlines();
      rest.push({ operator: operator.text, command: this.pipeline() });
    }
    const { start } = first;
    return rest.length === 0 ? first : { type: 'and-or', first, rest, start, end: rest.at(-1)?.command.end ?? start };
  }

  private pipeline(): Command {
    this.blanks();
    const start = this.at;
    let isPrefixed = false;
    for (let keyword = this.peekKeyword(); keyword === '!' || keyword === 'time'; keyword = this.peekKeyword()) {
      this.at += this.keywordLength();
      this.blanks();
      if (keyword === 'time') while (/^--?p?(?=\s|$)/.test(this.text.slice(this.at, this.at + 3))) this.option();
      isPrefixed = true;
    }
    if (isPrefixed && this.isNoCommand())
      return { type: 'simple', assignments: [], words: [], declared: [], redirects: [], start, end: this.at };
    const stages = [this.command()];
    for (let operator = this.peekOperator(); operator?.text === '|' || operator?.text === '|&'; ) {
      this.at = operator.end;
      this.newlines();
      stages.push(this.command());
      operator = this.peekOperator();
    }
    const [only] = stages;
    const end = stages.at(-1)?.end ?? start;
    return only !== undefined && stages.length === 1 ? only : { type: 'pipeline', stages, start, end };
  }

  private isNoCommand(): boolean {
    const operator = this.peekOperator()?.text;
    return (
      this.at >= this.text.length ||
      this.text[this.at] === '\n' ||
      (operator !== undefined && operator !== '(' && !redirections.has(operator)) ||
      closers.has(this.peekKeyword())
    );
  }

  private option(): void {
    this.readWord();
    this.blanks();
  }

  private command(): Command {
    return this.deeper(() => {
      this.spend();
      this.blanks();
      const start = this.at;
      const compound = this.compound();
      if (compound === undefined) return this.simple();
      return compound.type === 'function' ? compound : this.withRedirects(compound, start);
    });
  }

  private withRedirects(body: Command, start: number): Command {
    const redirects: Redirect[] = [];
    for (let next = this.redirect(); next !== undefined; next = this.redirect()) redirects.push(next);
    const last = redirects.at(-1);
    return last === undefined ? body : { type: 'redirected', body, redirects, start, end: last.end };
  }

  /** A compound command or function definition; undefined when a simple command is next. */
  private compound(): Command | undefined {
    const start = this.at;
    if (this.peekOperator()?.text === '(') return this.arithmeticCommand(start) ?? this.subshell(start);
    const keyword = this.peekKeyword();
    if (keyword === '') return undefined;
    if (closers.has(keyword)) this.fail();
    const length = this.keywordLength();
    switch (keyword) {
      case '{':
        this.at += length;
        return this.closed({ type: 'group', body: this.listUntil('}'), start, end: 0 });
      case 'if':
        this.at += length;
        return this.conditional(start);
      case 'while':
      case 'until': {
        this.at += length;
        const condition = this.listUntil('do');
        const isUntil = keyword === 'until';
        return this.closed({ type: 'while', isUntil, condition, body: this.listUntil('done'), start, end: 0 });
      }
      case 'for':
      case 'select':
        this.at += length;
        return this.forLoop(start);
      case 'case':
        this.at += length;
        return this.caseCommand(start);
      case 'function':
        this.at += length;
        return this.functionKeyword(start);
      case 'coproc':
        this.at += length;
        return this.coprocess(start);
      case '[[':
        this.isAmbiguous = true;
        this.at += length;
        return this.test(start);
      default:
        return undefined;
    }
  }

  private closed(command: Command): Command {
    return { ...command, end: this.at };
  }

  private subshell(start: number): Command {
    this.expectOperator('(');
    const body = this.list();
    this.expectOperator(')');
    return { type: 'subshell', body, start, end: this.at };
  }

  /** `((…))`; undefined when it turns out to be a subshell in a subshell. */
  private arithmeticCommand(start: number): Command | undefined {
    if (!this.text.startsWith('((', start)) return undefined;
    this.isAmbiguous = true;
    if (this.dialect === 'posix') return undefined;
    const end = this.arithmeticEnd(start);
    if (end === undefined) return undefined;
    this.at = end;
    return { type: 'arithmetic', expression: { start: start + 2, end: end - 2 }, start, end };
  }

  /** One past `((…))`. In front of a loop there may be blanks between the two. */
  private arithmeticEnd(start: number, isLoop = false): number | undefined {
    this.at = start + 2;
    const isClosed = this.attempt(() => this.balanced('(', ')', start));
    if (isLoop) while (/\s/.test(this.text[this.at] ?? '')) this.at += 1;
    const end = isClosed && this.text[this.at] === ')' ? this.at + 1 : undefined;
    this.at = start;
    return end;
  }

  private conditional(start: number): Command {
    const branches = [{ condition: this.listUntil('then'), body: this.list() }];
    for (;;) {
      const keyword = this.takeKeyword('elif', 'else', 'fi');
      if (keyword === 'fi') return { type: 'if', branches, otherwise: undefined, start, end: this.at };
      if (keyword === 'else')
        return this.closed({ type: 'if', branches, otherwise: this.listUntil('fi'), start, end: 0 });
      branches.push({ condition: this.listUntil('then'), body: this.list() });
    }
  }

  private forLoop(start: number): Command {
    this.blanks();
    if (this.text.startsWith('((', this.at)) return this.arithmeticFor(start);
    const name = this.requiredWord();
    this.blanks();
    let words: Word[] | undefined;
    const isSeparated = this.peekOperator()?.text === ';';
    if (isSeparated) this.expectOperator(';');
    this.newlines();
    if (!isSeparated && this.peekKeyword() === 'in') {
      this.at += this.keywordLength();
      words = [];
      for (this.blanks(); this.isWordNext(); this.blanks()) words.push(this.readWord());
      if (this.peekOperator()?.text === ';') this.expectOperator(';');
      else if (this.text[this.at] !== '\n') this.fail();
      this.newlines();
    }
    const body = this.loopBody();
    return { type: 'for', name: this.wordText(name), words, body, start, end: this.at };
  }

  private arithmeticFor(start: number): Command {
    const open = this.at;
    const end = this.arithmeticEnd(open, true);
    if (end === undefined) this.fail();
    const inner = this.text.slice(open + 2, end - 2);
    const first = inner.indexOf(';');
    const second = inner.indexOf(';', first + 1);
    if (first === -1 || second === -1) this.fail();
    const at = (from: number, to: number): Span => ({ start: open + 2 + from, end: open + 2 + to });
    this.at = end;
    this.blanks();
    if (this.peekOperator()?.text === ';') this.expectOperator(';');
    this.newlines();
    const body = this.loopBody();
    const expressions = [at(0, first), at(first + 1, second), at(second + 1, inner.length)] as const;
    return { type: 'arithmetic for', expressions: [...expressions], body, start, end: this.at };
  }

  private loopBody(): Item[] {
    return this.takeKeyword('do', '{') === 'do' ? this.listUntil('done') : this.listUntil('}');
  }

  private caseCommand(start: number): Command {
    this.blanks();
    const subject = this.requiredWord();
    this.newlines();
    this.takeKeyword('in');
    const items: CaseItem[] = [];
    for (this.newlines(); this.peekKeyword() !== 'esac'; this.newlines()) {
      if (this.peekOperator()?.text === '(') this.expectOperator('(');
      const patterns: Word[] = [];
      for (;;) {
        this.blanks();
        patterns.push(this.requiredWord());
        if (this.peekOperator()?.text !== '|') break;
        this.expectOperator('|');
      }
      this.expectOperator(')');
      items.push({ patterns, body: this.list(true) });
      const operator = this.peekOperator();
      if (operator === undefined) break;
      if (!/^;[;&]/.test(operator.text)) this.fail();
      this.at = operator.end;
    }
    this.takeKeyword('esac');
    return { type: 'case', subject, items, start, end: this.at };
  }

  private functionKeyword(start: number): Command {
    this.blanks();
    const name = this.requiredWord();
    this.blanks();
    if (this.peekOperator()?.text === '(' && /^\(\s*\)/.test(this.text.slice(this.at, this.at + 80))) {
      this.expectOperator('(');
      this.expectOperator(')');
    }
    return this.functionBody(start, name);
  }

  private functionBody(start: number, name: Word): Command {
    this.newlines();
    const body = this.command();
    if (body.type === 'simple' && this.dialect === 'bash') this.fail(body.start);
    return { type: 'function', name: this.wordText(name), body, start, end: this.at };
  }

  private coprocess(start: number): Command {
    this.blanks();
    // A name may come first, but only in front of a compound command.
    const named = /^[A-Za-z_]\w*[ \t]+(?=[({]|\[\[|(?:if|while|until|for|case|select)\b)/.exec(
      this.text.slice(this.at, this.at + 200),
    );
    if (named !== null && /^(?:time)?$/.test(this.peekKeyword())) this.at += named[0].length;
    const body = this.command();
    return { type: 'coproc', body, start, end: this.at };
  }

  /** `[[ … ]]`: its words in order, operators and brackets among them. */
  private test(start: number): Command {
    const words: Word[] = [];
    for (;;) {
      this.newlines();
      if (this.at >= this.text.length) this.fail(start);
      const from = this.at;
      const operator = /^(?:&&|\|\||[()<>])/.exec(this.text.slice(from, from + 2))?.[0];
      const before = words.at(-1);
      const isRegex = before !== undefined && this.wordText(before) === '=~';
      if (isRegex) words.push(this.regularExpression());
      else if (operator !== undefined && !/^[<>]\(/.test(this.text.slice(from, from + 2))) {
        this.at += operator.length;
        words.push({ start: from, end: this.at });
      } else words.push(this.requiredWord());
      const last = words.at(-1);
      if (last !== undefined && this.wordText(last) === ']]' && !isRegex) break;
    }
    if (words.length < 2) this.fail(start);
    return { type: 'test', words: words.slice(0, -1), start, end: this.at };
  }

  /** The right side of `=~`, in which brackets and bars need no quotes. */
  private regularExpression(): Word {
    const start = this.at;
    let depth = 0;
    while (this.at < this.text.length) {
      const char = this.text[this.at] ?? '';
      if (/\s/.test(char) && depth === 0) break;
      if (char === '(') depth += 1;
      else if (char === ')') depth -= 1;
      if (depth < 0) break;
      this.spend();
      this.character(false);
    }
    if (this.at === start) this.fail();
    return { start, end: this.at };
  }

  private simple(): Command {
    const start = this.at;
    const simple = {
      type: 'simple' as const,
      assignments: [] as Assignment[],
      words: [] as Word[],
      declared: [] as Assignment[],
      redirects: [] as Redirect[],
    };
    for (;;) {
      this.blanks();
      const redirect = this.redirect();
      if (redirect !== undefined) simple.redirects.push(redirect);
      else if (this.isWordNext()) this.wordOf(simple);
      else break;
    }
    const [name] = simple.words;
    const isName = simple.words.length === 1 && simple.assignments.length === 0 && simple.redirects.length === 0;
    if (name !== undefined && isName && this.peekOperator()?.text === '(') {
      this.expectOperator('(');
      this.expectOperator(')');
      return this.functionBody(start, name);
    }
    const all = [...simple.assignments, ...simple.words, ...simple.declared, ...simple.redirects];
    if (all.length === 0) this.fail();
    return { ...simple, start, end: Math.max(...all.map(({ end }) => end)) };
  }

  private wordOf(simple: { assignments: Assignment[]; words: Word[]; declared: Assignment[] }): void {
    const [name] = simple.words;
    const isDeclaring = name !== undefined && declarers.has(this.wordText(name).replace(/^\\/, ''));
    if (name === undefined || isDeclaring) {
      const assignment = this.assignment();
      if (assignment !== undefined) {
        (name === undefined ? simple.assignments : simple.declared).push(assignment);
        return;
      }
    }
    const word = this.readWord();
    // An array as an argument, such as after `eval declare`.
    if (this.text[this.at] === '(' && /^\w+\+?=$/.test(this.text.slice(word.start, this.at))) {
      this.at += 1;
      this.balanced('(', ')', word.start);
      simple.words.push({ start: word.start, end: this.at });
    } else simple.words.push(word);
  }

  private assignment(): Assignment | undefined {
    const start = this.at;
    const [, name, operator] = assignmentStart.exec(this.text.slice(start, start + 256)) ?? [];
    if (name === undefined || operator === undefined) return undefined;
    this.at += name.length;
    let index: Word | undefined;
    if (operator === '[') {
      const from = this.at + 1;
      this.at = from;
      const isClosed = this.attempt(() => this.balanced('[', ']', start));
      index = { start: from, end: this.at - 1 };
      if (!isClosed || !/^\+?=/.test(this.text.slice(this.at, this.at + 2))) {
        this.at = start;
        return undefined;
      }
    }
    const isAppend = this.text[this.at] === '+';
    this.at += isAppend ? 2 : 1;
    if (this.text[this.at] === '(') {
      const items = this.arrayItems();
      return { name, index, isAppend, value: undefined, items, start, end: this.at };
    }
    const value = this.readWord();
    return { name, index, isAppend, value, items: undefined, start, end: this.at };
  }

  private arrayItems(): (Word | Assignment)[] {
    this.at += 1;
    const items: (Word | Assignment)[] = [];
    for (this.newlines(); this.text[this.at] !== ')'; this.newlines()) {
      if (this.at >= this.text.length) this.fail();
      items.push(this.text[this.at] === '[' ? this.keyed() : this.requiredWord());
    }
    this.at += 1;
    return items;
  }

  /** `[key]=value` in an array. */
  private keyed(): Word | Assignment {
    const start = this.at;
    this.at += 1;
    const isClosed = this.attempt(() => this.balanced('[', ']', start));
    const index = { start: start + 1, end: this.at - 1 };
    if (!isClosed || !/^\+?=/.test(this.text.slice(this.at, this.at + 2))) {
      this.at = start;
      return this.requiredWord();
    }
    const isAppend = this.text[this.at] === '+';
    this.at += isAppend ? 2 : 1;
    const value = this.readWord();
    return { name: '', index, isAppend, value, items: undefined, start, end: this.at };
  }

  /** A redirection, if one is next. */
  private redirect(): Redirect | undefined {
    this.blanks();
    const start = this.at;
    const [written = ''] =
      /^(?:\d+|\{[A-Za-z_]\w*(?:\[[^\]\s]*\])?\})(?=[<>])/.exec(this.text.slice(start, start + 64)) ?? [];
    this.at += written.length;
    const operator = this.peekOperator();
    const isRedirect = operator !== undefined && redirections.has(operator.text);
    const isProcess = /^[<>](?:\\\n)*\(/.test(this.text.slice(this.at, this.at + 20));
    if (!isRedirect || isProcess || (written !== '' && !descriptor.test(written))) {
      this.at = start;
      return undefined;
    }
    this.at = operator.end;
    this.blanks();
    const target = this.requiredWord();
    const document = operator.text === '<<' || operator.text === '<<-' ? this.here(operator.text, target) : undefined;
    return { operator: operator.text, descriptor: written, target, document, start, end: this.at };
  }

  private here(operator: string, target: Word): HereDocument {
    const raw = this.text.slice(target.start, target.end);
    const document: HereDocument = {
      isLiteral: /["'\\]/.test(raw),
      isIndented: operator === '<<-',
      delimiter: raw
        .replace(/\\\n/g, '')
        .replace(/\$(?=["'])/g, '')
        .replace(/\\([\s\S])|["']/g, '$1'),
      body: { start: this.text.length, end: this.text.length },
    };
    this.pending.push({ document });
    return document;
  }

  /** Past a newline, and the here-documents that begin after it. */
  private newline(): void {
    this.at += 1;
    for (const { document } of this.pending.splice(0)) this.readHere(document);
  }

  private readHere(document: HereDocument): void {
    const { text } = this;
    const start = this.at;
    let end = text.length;
    let next = text.length;
    for (let line = start; line < text.length; ) {
      this.spend();
      const logical = this.logicalLine(line, document.isLiteral);
      const content = document.isIndented ? logical.text.replace(/^\t+/, '') : logical.text;
      if (content === document.delimiter) {
        end = line;
        next = Math.min(logical.end + 1, text.length);
        break;
      }
      // In a substitution a bracket may stand behind the delimiter (Bash, "Here Documents").
      if (this.inSubstitution > 0 && content.startsWith(document.delimiter) && content.includes(')')) {
        end = line;
        next = line + logical.text.length - content.length + document.delimiter.length;
        break;
      }
      line = logical.end + 1;
    }
    document.body = { start, end };
    if (!document.isLiteral) this.readDocument(document.body);
    this.at = next;
  }

  /** A line; lines that a backslash joins are one where the document is not literal. */
  private logicalLine(from: number, isLiteral: boolean): { readonly text: string; readonly end: number } {
    let joined = '';
    for (let at = from; ; ) {
      const found = this.text.indexOf('\n', at);
      const end = found === -1 ? this.text.length : found;
      const line = this.text.slice(at, end);
      const isJoined = !isLiteral && found !== -1 && /(?:^|[^\\])(?:\\\\)*\\$/.test(line);
      joined += isJoined ? line.slice(0, -1) : line;
      if (!isJoined) return { text: joined, end };
      this.spend();
      at = end + 1;
    }
  }

  /** Past blanks, joined lines and comments. */
  private blanks(): void {
    const { text } = this;
    for (;;) {
      const char = text[this.at];
      if (char === ' ' || char === '\t') this.at += 1;
      else if (char === '\\' && text[this.at + 1] === '\n') this.at += 2;
      else if (char === '#' && this.isWordStart()) {
        const end = text.indexOf('\n', this.at);
        this.at = end === -1 ? text.length : end;
      } else return;
    }
  }

  private isWordStart(): boolean {
    return this.at === 0 || isMeta(this.text[this.at - 1] ?? ' ') || this.isAfterJoin();
  }

  private isAfterJoin(): boolean {
    return this.text.slice(this.at - 2, this.at) === '\\\n';
  }

  private newlines(): void {
    for (this.blanks(); this.text[this.at] === '\n'; this.blanks()) {
      this.spend();
      this.newline();
    }
  }

  private peekOperator(): Operator | undefined {
    this.blanks();
    let found: Operator | undefined;
    let candidate = '';
    for (let at = this.at; candidate.length < 3; at += 1) {
      while (this.text.startsWith('\\\n', at)) at += 2;
      candidate += this.text[at] ?? ' ';
      if (!operators[this.dialect].has(candidate)) break;
      found = { text: candidate, end: at + 1 };
    }
    return found;
  }

  private expectOperator(text: string): void {
    const operator = this.peekOperator();
    if (operator?.text !== text) this.fail();
    this.at = operator.end;
  }

  /** The reserved word that is next, without taking it; empty when none is. */
  private peekKeyword(): string {
    this.blanks();
    const [word = ''] = /^(?:[a-z!{}[\]]|\\\n){1,40}/.exec(this.text.slice(this.at, this.at + 40)) ?? [];
    const next = this.text[this.at + word.length];
    if (next !== undefined && !isMeta(next)) return '';
    const keyword = word.replaceAll('\\\n', '');
    return keywords[this.dialect].has(keyword) ? keyword : '';
  }

  private keywordLength(): number {
    return /^(?:[a-z!{}[\]]|\\\n)*/.exec(this.text.slice(this.at, this.at + 40))?.[0].length ?? 0;
  }

  private takeKeyword(...expected: readonly string[]): string {
    this.newlines();
    const keyword = this.peekKeyword();
    if (!expected.includes(keyword)) this.fail();
    this.at += this.keywordLength();
    return keyword;
  }

  /** A list and the reserved word behind it. */
  private listUntil(keyword: string): Item[] {
    const items = this.list();
    this.takeKeyword(keyword);
    return items;
  }

  private isWordNext(): boolean {
    const char = this.text[this.at];
    if (char === undefined) return false;
    return !isMeta(char) || /^[<>](?:\\\n)*\(/.test(this.text.slice(this.at, this.at + 20));
  }

  private requiredWord(): Word {
    this.blanks();
    const word = this.readWord();
    if (word.end === word.start) this.fail();
    return word;
  }

  private wordText({ start, end }: Span): string {
    return this.text.slice(start, end).replaceAll('\\\n', '');
  }

  private attempt(read: () => void): boolean {
    try {
      read();
      return true;
    } catch (error) {
      if (error instanceof NotShell) return false;
      throw error;
    }
  }
}

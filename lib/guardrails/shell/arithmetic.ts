/** Shell arithmetic (Bash, "Shell Arithmetic"): whole numbers, all operators, and variables that are known. */

export type ArithmeticScope = {
  /** The value of a variable as text; undefined when nobody knows it. */
  readonly get: (name: string, index: string | undefined) => string | undefined;
  readonly set: (name: string, index: string | undefined, value: number | undefined) => void;
};

const nothing: ArithmeticScope = { get: () => undefined, set: () => {} };

const maxTokens = 500;
const maxDepth = 8;
const token =
  /\s+|\d+#[0-9a-zA-Z@_]+|0[xX][0-9a-fA-F]+|\d+|[A-Za-z_]\w*|<<=|>>=|\*\*|&&|\|\||<<|>>|[-+*/%&|^<>=!]=|\+\+|--|[\s\S]/g;
/** By how tightly they bind, loosest first. */
const levels: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['|'],
  ['^'],
  ['&'],
  ['==', '!='],
  ['<=', '>=', '<', '>'],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '%'],
];
const assigns = new Set(['=', '+=', '-=', '*=', '/=', '%=', '&=', '|=', '^=', '<<=', '>>=']);

/** The value of the last expression; undefined when it isn't known or is none. */
export function arithmetic(expression: string, scope: ArithmeticScope = nothing, depth = 0): number | undefined {
  const tokens = (expression.match(token) ?? []).filter((one) => one.trim() !== '');
  if (tokens.length > maxTokens || depth > maxDepth) return undefined;
  return tokens.length === 0 ? 0 : new Evaluation(tokens, scope, depth).whole();
}

/** Invariant: `at` only grows, so the work is bounded by the number of tokens. */
class Evaluation {
  private at = 0;
  private readonly tokens: readonly string[];
  private readonly scope: ArithmeticScope;
  private readonly depth: number;

  constructor(tokens: readonly string[], scope: ArithmeticScope, depth: number) {
    this.tokens = tokens;
    this.scope = scope;
    this.depth = depth;
  }

  whole(): number | undefined {
    const value = this.comma();
    return this.at >= this.tokens.length && Number.isSafeInteger(value) ? value : undefined;
  }

  private take(...expected: readonly string[]): string | undefined {
    const next = this.tokens[this.at];
    if (next === undefined || !expected.includes(next)) return undefined;
    this.at += 1;
    return next;
  }

  private comma(): number | undefined {
    let value = this.assignment();
    while (this.take(',') !== undefined) value = this.assignment();
    return value;
  }

  private assignment(): number | undefined {
    const start = this.at;
    const name = this.tokens[this.at];
    if (name !== undefined && /^[A-Za-z_]\w*$/.test(name)) {
      this.at += 1;
      const index = this.subscript();
      const operator = this.tokens[this.at] ?? '';
      if (assigns.has(operator)) {
        this.at += 1;
        const right = this.assignment();
        const old = operator === '=' ? undefined : this.valueOf(name, index);
        const value = operator === '=' ? right : apply(operator.slice(0, -1), old, right);
        this.scope.set(name, index, value);
        return value;
      }
      this.at = start;
    }
    return this.ternary();
  }

  private subscript(): string | undefined {
    if (this.take('[') === undefined) return undefined;
    const from = this.at;
    for (let depth = 1; depth > 0 && this.at < this.tokens.length; this.at += 1) {
      if (this.tokens[this.at] === '[') depth += 1;
      else if (this.tokens[this.at] === ']') depth -= 1;
    }
    return this.tokens.slice(from, this.at - 1).join(' ');
  }

  private ternary(): number | undefined {
    const condition = this.binary(0);
    if (this.take('?') === undefined) return condition;
    const yes = this.assignment();
    this.take(':');
    const no = this.assignment();
    return condition === undefined ? undefined : condition === 0 ? no : yes;
  }

  private binary(level: number): number | undefined {
    const operators = levels[level];
    if (operators === undefined) return this.power();
    let left = this.binary(level + 1);
    for (let operator = this.take(...operators); operator !== undefined; operator = this.take(...operators)) {
      left = apply(operator, left, this.binary(level + 1));
    }
    return left;
  }

  private power(): number | undefined {
    const base = this.unary();
    return this.take('**') === undefined ? base : apply('**', base, this.power());
  }

  private unary(): number | undefined {
    const operator = this.take('-', '+', '!', '~', '++', '--');
    if (operator === '++' || operator === '--') return this.step(operator, true);
    if (operator === undefined) return this.atom();
    const value = this.unary();
    if (value === undefined) return undefined;
    return operator === '-' ? -value : operator === '!' ? Number(value === 0) : operator === '~' ? ~value : value;
  }

  /** `++x` and `x++`. */
  private step(operator: string, isBefore: boolean): number | undefined {
    const name = this.tokens[this.at] ?? '';
    this.at += 1;
    const index = this.subscript();
    if (!isBefore) this.at += 1;
    const old = this.valueOf(name, index);
    const value = old === undefined ? undefined : old + (operator === '++' ? 1 : -1);
    this.scope.set(name, index, value);
    return isBefore ? value : old;
  }

  private atom(): number | undefined {
    const next = this.tokens[this.at];
    if (next === undefined) return undefined;
    if (this.take('(') !== undefined) {
      const value = this.comma();
      return this.take(')') === undefined ? undefined : value;
    }
    if (/^[A-Za-z_]\w*$/.test(next)) return this.variable(next);
    this.at += 1;
    return numberOf(next);
  }

  private variable(name: string): number | undefined {
    const start = this.at;
    this.at += 1;
    const index = this.subscript();
    const operator = this.tokens[this.at] ?? '';
    if (operator === '++' || operator === '--') {
      this.at = start;
      return this.step(operator, false);
    }
    return this.valueOf(name, index);
  }

  private valueOf(name: string, index: string | undefined): number | undefined {
    const text = this.scope.get(name, index);
    return text === undefined ? undefined : arithmetic(text, this.scope, this.depth + 1);
  }
}

function numberOf(text: string): number | undefined {
  const [, base, digits] = /^(\d+)#(\w+)$/.exec(text) ?? [];
  if (base !== undefined && digits !== undefined)
    return Number.parseInt(digits, Math.min(36, Math.max(2, Number(base))));
  if (/^0[0-7]+$/.test(text)) return Number.parseInt(text, 8);
  return /^\d+$|^0[xX]/.test(text) ? Number(text) : undefined;
}

function apply(operator: string, left: number | undefined, right: number | undefined): number | undefined {
  if (left === undefined || right === undefined) return undefined;
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return right === 0 ? undefined : Math.trunc(left / right);
    case '%':
      return right === 0 ? undefined : left % right;
    case '**':
      return right < 0 || right > 64 ? undefined : left ** right;
    case '<<':
      return Number(BigInt.asIntN(64, BigInt(Math.trunc(left)) << BigInt(right & 63)));
    case '>>':
      return Number(BigInt.asIntN(64, BigInt(Math.trunc(left)) >> BigInt(right & 63)));
    case '&':
      return left & right;
    case '|':
      return left | right;
    case '^':
      return left ^ right;
    case '&&':
      return Number(left !== 0 && right !== 0);
    case '||':
      return Number(left !== 0 || right !== 0);
    case '==':
      return Number(left === right);
    case '!=':
      return Number(left !== right);
    case '<':
      return Number(left < right);
    case '>':
      return Number(left > right);
    case '<=':
      return Number(left <= right);
    case '>=':
      return Number(left >= right);
    default:
      return undefined;
  }
}

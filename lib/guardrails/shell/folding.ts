/**
 * Folding: string expressions in code of Python, Perl, Ruby, JavaScript, PHP, Lua and awk, written as the literals that
 * they come to. Nothing is parsed; rules rewrite what they know, innermost first, until none of them finds anything.
 * Attacker-controlled; bounded by rounds and length.
 */
import { decodeEscapes } from './escapes.ts';
import { maxFolded, rewrites } from './foldings.ts';
import { literalEnd, literalStart, withoutRuns } from './marks.ts';

const maxRounds = 40;
const maxVariables = 40;
const maxCode = 12 * 1024;

/** The code with every known string as a literal in double quotes. Code that is too long stays as it is. */
export function fold(code: string): string {
  if (code.length > maxCode) return code;
  let text = marked(code);
  for (let round = 0; round < maxRounds && text.length <= maxFolded; round += 1) {
    const before = text;
    for (const [pattern, by] of rewrites) text = text.replace(pattern, by);
    text = withVariables(text);
    if (text === before) break;
  }
  return text
    .replace(/\ue010([^\ue010\ue011]*)\ue011/g, (_, value: string) => JSON.stringify(value))
    .replace(/[\ue010\ue011]/g, '');
}

const literal =
  /"""([\s\S]*?)"""|'''([\s\S]*?)'''|"((?:[^"\\]|\\[\s\S])*)"|'((?:[^'\\]|\\[\s\S])*)'|\bqq?\s*(?:\{([^{}]*)\}|\(([^()]*)\)|\[([^[\]]*)\]|\/([^/]*)\/|\|([^|]*)\||!([^!]*)!)|%[qQ]\s*(?:\{([^{}]*)\}|\(([^()]*)\)|\[([^[\]]*)\])|\[\[([\s\S]*?)\]\]/g;

/** String literals between marks, escapes decoded; prefixes such as `rb` taken off. */
function marked(code: string): string {
  return code
    .replace(literal, (whole, ...groups: unknown[]) => {
      const value = groups.slice(0, 14).find((group) => typeof group === 'string');
      return typeof value === 'string' ? `${literalStart}${decodeEscapes(value)}${literalEnd}` : whole;
    })
    .replace(/(?<![\w$])[bBuUrR]{1,2}(?=\ue010)/g, '')
    .split(/(\ue010[^\ue010\ue011]*\ue011)/)
    .map((piece) => (piece.startsWith(literalStart) ? piece : withoutRuns(piece)))
    .join('');
}

const assignment =
  /(?<![\w.$@-])(?<!->)([$@]?[A-Za-z_]\w*)\s*(=|\+=|\.=|<<=?|\|\|=)(?![=~>])\s*(?:\ue010([^\ue010\ue011]*)\ue011(?=\s*(?:[;\n,)}&|]|$|(?:in|if|and)\b)))?/g;

/** Where a name is assigned one string, it stands for it. */
function withVariables(text: string): string {
  const values = new Map<string, string | undefined>();
  for (const [, name = '', operator, value] of text.matchAll(assignment)) {
    const old = values.get(name);
    const isFirst = !values.has(name);
    if (operator === '=') values.set(name, isFirst || old === value ? value : undefined);
    // What is added to it piece by piece is known while all the pieces are.
    else values.set(name, old !== undefined && value !== undefined && operator !== '||=' ? old + value : undefined);
  }
  let pieces = text.split(/(\ue010[^\ue010\ue011]*\ue011)/);
  for (const [name, value] of [...values].filter(([, one]) => one !== undefined).slice(0, maxVariables)) {
    if (value === undefined || pieces.length > 4000) continue;
    const bare = name.replace(/^[$@]/, '');
    const sigil = name.startsWith('$') ? '\\$' : '';
    const outside = new RegExp(
      `(?<![\\w.$@>:-])${sigil}${bare}(?![\\w${sigil === '' ? '(' : ''}]|\\s*(?:=(?!=)|\\+=|\\.=|<<=|=>|:(?!:)))`,
      'g',
    );
    const inside = new RegExp(
      `[$#]\\{\\s*${sigil}${bare}\\s*\\}|${sigil === '' ? `\\{${bare}\\}` : `\\$${bare}(?!\\w)`}`,
      'g',
    );
    pieces = pieces.map((piece) =>
      piece.startsWith(literalStart)
        ? piece.replace(inside, () => value)
        : piece.replace(outside, () => `${literalStart}${value}${literalEnd}`),
    );
  }
  return pieces.join('').slice(0, maxFolded);
}

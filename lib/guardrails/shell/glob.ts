/** Globs against strings, in a time that is bounded by the product of their lengths. */
import { anyOne, hole, plain, setEnd, setStart, star } from './marks.ts';

type Token = { readonly isAny: boolean; readonly fits: (char: string) => boolean };

const anything = () => true;

function tokensOf(pattern: string): Token[] {
  const text = plain(pattern);
  const tokens: Token[] = [];
  for (let i = 0; i < text.length; i += 1) {
    const char = text[i] ?? '';
    if (char === star || char === hole) {
      if (tokens.at(-1)?.isAny !== true) tokens.push({ isAny: true, fits: anything });
    } else if (char === anyOne) tokens.push({ isAny: false, fits: anything });
    else if (char === setStart) {
      const end = text.indexOf(setEnd, i + 1);
      tokens.push({ isAny: false, fits: setOf(text.slice(i + 1, end === -1 ? text.length : end)) });
      i = end === -1 ? text.length : end;
    } else tokens.push({ isAny: false, fits: (one) => one === char });
  }
  return tokens;
}

const classes: Readonly<Record<string, RegExp>> = {
  alpha: /[A-Za-z]/,
  digit: /[0-9]/,
  alnum: /[A-Za-z0-9]/,
  upper: /[A-Z]/,
  lower: /[a-z]/,
  space: /\s/,
  blank: /[ \t]/,
  punct: /[!-/:-@[-`{-~]/,
};

function setOf(written: string): (char: string) => boolean {
  const isNegated = /^[!^]/.test(written);
  const body = isNegated ? written.slice(1) : written;
  const named = [...body.matchAll(/\[:(\w+):\]?/g)].flatMap(([, name = '']) => classes[name] ?? []);
  const rest = body.replace(/\[:\w+:\]?/g, '');
  const ranges = [...rest.matchAll(/([\s\S])-([\s\S])|([\s\S])/g)];
  const isIn = (char: string) =>
    named.some((one) => one.test(char)) ||
    ranges.some(([, from, to, one]) => (one === undefined ? char >= (from ?? '') && char <= (to ?? '') : char === one));
  return (char) => isIn(char) !== isNegated;
}

/** The lengths of the beginnings of the text that the glob matches, shortest first. */
export function matchingLengths(pattern: string, text: string): number[] {
  const tokens = tokensOf(pattern);
  let states = new Set([0]);
  const closed = (from: Set<number>) => {
    for (const state of from) if (tokens[state]?.isAny === true) from.add(state + 1);
    return from;
  };
  states = closed(states);
  const lengths: number[] = [];
  for (let length = 0; ; length += 1) {
    if (states.has(tokens.length)) lengths.push(length);
    const char = text[length];
    if (char === undefined || states.size === 0) return lengths;
    const next = new Set<number>();
    for (const state of states) {
      const token = tokens[state];
      if (token === undefined) continue;
      if (token.isAny) next.add(state);
      else if (token.fits(char)) next.add(state + 1);
    }
    states = closed(next);
  }
}

/** The same from the end of the text. */
export function matchingEndings(pattern: string, text: string): number[] {
  return matchingLengths(reversed(pattern), [...text].reverse().join(''));
}

function reversed(pattern: string): string {
  return (plain(pattern).match(/\ue003[^\ue004]*\ue004|[\s\S]/g) ?? []).reverse().join('');
}

/**
 * Regular expressions that an attacker wrote. JavaScript's matcher goes back and forth without a bound, so only those are
 * compiled whose work is bounded by the length of the text: no repetition of what could itself be repeated or chosen.
 */

const maxLength = 200;
/** Steps that a match may take at most. */
const maxWork = 5_000_000;

export type SafeExpression = { readonly expression: RegExp; readonly fits: (text: string) => boolean };

/** Undefined: it is too long, could take for ever, or is none. */
export function safeExpression(source: string, flags = ''): SafeExpression | undefined {
  if (source.length > maxLength || /\\[1-9]/.test(source)) return undefined;
  const plain = source.replace(/\\[\s\S]/g, 'x').replace(/\[\^?\]?[^\]]*\]/g, 'x');
  const repeated = /\(((?:[^()]|\([^()]*\))*)\)(?:[*+]|\{\d*,)/g;
  for (const [, inner = ''] of plain.matchAll(repeated)) if (/[|*+?{(]/.test(inner)) return undefined;
  if (/\){2,}(?:[*+]|\{\d*,)|[*+?}][*+]/.test(plain)) return undefined;
  const repetitions = plain.match(/[*+]|\{\d*,/g)?.length ?? 0;
  try {
    const expression = new RegExp(source, flags);
    return {
      expression,
      fits: (text) => text.length ** Math.max(repetitions, 1) * Math.max(text.length, 1) <= maxWork,
    };
  } catch {
    return undefined;
  }
}

/** Whether it matches the text; undefined when nobody wants to wait for that. */
export function matchesSafely(source: string, text: string): boolean | undefined {
  const safe = safeExpression(source);
  return safe === undefined || !safe.fits(text) ? undefined : safe.expression.test(text);
}

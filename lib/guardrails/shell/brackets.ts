/** Where quoted and bracketed stretches of shell text end. */

/** One past the character or quoted stretch at `at`. */
export function skipQuoted(text: string, at: number, to: number): number {
  const char = text[at];
  if (char === '\\') return at + 2;
  if (char === "'" || char === '"' || char === '`') {
    let end = at + 1;
    while (end < to && text[end] !== char) end += text[end] === '\\' && char !== "'" ? 2 : 1;
    return end + 1;
  }
  if (char === '$' && (text[at + 1] === '{' || text[at + 1] === '(')) return balancedEnd(text, at + 1, to);
  return at + 1;
}

/** One past the bracket that closes the one at `at`, quotes respected. */
export function balancedEnd(text: string, at: number, to: number): number {
  const open = text[at] ?? '';
  const end = open === '(' ? ')' : '}';
  let depth = 0;
  for (let i = at; i < to; ) {
    if (text[i] === open) depth += 1;
    else if (text[i] === end) {
      depth -= 1;
      if (depth === 0) return i + 1;
    }
    i = text[i] === open || text[i] === end ? i + 1 : skipQuoted(text, i, to);
  }
  return to;
}

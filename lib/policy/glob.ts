/**
 * Globs over node names: `*` stands for any run of characters, `?` for exactly one; everything else is itself. Names
 * are compared as exact bytes. No regular expression is built, so no pattern can make matching slow.
 */

const globPattern = /^[a-z0-9.*?-]{1,253}$/;

/** Whether a text is a glob that a binding may carry. */
export function isGlob(text: string): boolean {
  return globPattern.test(text);
}

/** Whether the glob matches the whole name; at most `glob.length × name.length` steps. */
export function matchesGlob(glob: string, name: string): boolean {
  let g = 0;
  let n = 0;
  /** Where to go on when the text after the last `*` does not fit: let that star take one character more. */
  let afterStar = -1;
  let starTook = 0;
  while (n < name.length) {
    if (glob[g] === '*') {
      g += 1;
      afterStar = g;
      starTook = n;
    } else if (g < glob.length && (glob[g] === '?' || glob[g] === name[n])) {
      g += 1;
      n += 1;
    } else if (afterStar >= 0) {
      starTook += 1;
      g = afterStar;
      n = starTook;
    } else {
      return false;
    }
  }
  while (glob[g] === '*') g += 1;
  return g === glob.length;
}

/** Whether a glob can match one name only. */
export function isLiteral(glob: string): boolean {
  return !/[*?]/.test(glob);
}

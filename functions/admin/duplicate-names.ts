/** Names that a JSON object has twice: readers differ in which one counts (RFC 8259 §4), so what has any is refused. */

/** The first such name. `text` must be JSON: what `JSON.parse` took. */
export function duplicateName(text: string): string | undefined {
  /** Of each open object its names so far; of an open array nothing. */
  const open: (Set<string> | undefined)[] = [];
  /** Whether a string here would be a name. */
  let isName = false;
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '{':
        open.push(new Set());
        isName = true;
        break;
      case '[':
        open.push(undefined);
        isName = false;
        break;
      case '}':
      case ']':
        open.pop();
        isName = false;
        break;
      case ',':
        isName = open.at(-1) !== undefined;
        break;
      case '"': {
        const end = endOfString(text, at);
        if (isName) {
          // Parsed, because a name can be written with escapes and without.
          const name = JSON.parse(text.slice(at, end)) as string;
          const names = open.at(-1);
          if (names?.has(name)) return name;
          names?.add(name);
          isName = false;
        }
        at = end - 1;
        break;
      }
    }
  }
  return undefined;
}

/** Just behind the closing quote. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

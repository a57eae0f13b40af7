/**
 * Marks: how a value that is known only in part is written down. Values are strings in which some private-use
 * characters stand for what a static reading can't see, so that joining, splitting and comparing stay string work.
 * Attacker-controlled: a source that has these characters itself loses them in `withoutMarks` before it is read.
 */

/** Text that is known only at run time: none, some or a lot of it. */
export const hole = '\ue000';
/** Unquoted `*`, `?` and the brackets of a set: filled in by the file system. */
export const star = '\ue001';
export const anyOne = '\ue002';
export const setStart = '\ue003';
export const setEnd = '\ue004';
/** Nothing, because a variable was never assigned. */
export const unset = '\ue005';
/** Ends one field and starts the next. */
export const split = '\ue006';
/** Nothing, but quoted: keeps an empty field. */
export const quoted = '\ue007';
/** Nothing; the text around it came out of a decoder, or from the network. */
export const decoded = '\ue008';
export const downloaded = '\ue009';

/** Around a string literal of another language, whose content is known. */
export const literalStart = '\ue010';
export const literalEnd = '\ue011';

/** Runs of blanks as one: what is looked for in text takes a time that grows with the longest of them. */
export function withoutRuns(text: string): string {
  return text.replace(/\s{2,}/g, (run) => (run.includes('\n') ? '\n' : ' '));
}

/** Takes out of a source what would be read as marks. */
export function withoutMarks(source: string): string {
  return source.replace(/[\ue000-\ue01f]/g, '\ufffd');
}

/** The value without the marks that stand for nothing. */
export function plain(value: string): string {
  return value.replace(/[\ue005\ue007-\ue009]/g, '');
}

export function hasHole(value: string): boolean {
  return value.includes(hole);
}

export function hasGlob(value: string): boolean {
  return /[\ue001-\ue003]/.test(value);
}

/** Only the marks of where the text came from. */
export function taints(value: string): string {
  return (value.includes(decoded) ? decoded : '') + (value.includes(downloaded) ? downloaded : '');
}

/** Glob marks back to the characters they were written as. */
export function withoutGlobs(value: string): string {
  return value.replace(/[\ue001-\ue004]/g, (mark) => '*?[]'['\ue001\ue002\ue003\ue004'.indexOf(mark)] ?? mark);
}

/** Glob characters of a value that is expanded without quotes come to life. */
export function withGlobs(value: string): string {
  return value
    .replace(/\[([^[\]/]+)\]/g, `${setStart}$1${setEnd}`)
    .replaceAll('*', star)
    .replaceAll('?', anyOne);
}

/** For people: as it might have been written. */
export function display(value: string): string {
  return withoutGlobs(plain(value)).replaceAll(split, ' ').replaceAll(hole, '…');
}

/** The fields of an expanded word. Empty ones are dropped unless they were quoted. */
export function fieldsOf(value: string): string[] {
  return value.split(split).filter((field) => field.replaceAll(unset, '') !== '');
}

const maxWildcards = 4;
const maxPattern = 1000;

/** With few enough wildcards that matching takes no time: what is between the first and the last of too many could be anything. */
function bounded(value: string): string {
  const short = value
    .replace(/(?:\ue000[\ue000\ue001]*|\ue001+\ue000[\ue000\ue001]*)/g, hole)
    .replace(/\ue001+/g, star);
  const places = [...short.matchAll(/[\ue000\ue001]/g)].map(({ index }) => index);
  const [first] = places;
  // No name is that long.
  if (short.length > maxPattern) return `${short.slice(0, maxPattern / 2)}${hole}`;
  if (first === undefined || places.length <= maxWildcards) return short;
  return `${short.slice(0, first)}${hole}${short.slice((places.at(-1) ?? first) + 1)}`;
}

/** A pattern that matches what the globs and holes of the value may stand for. Never crosses a `/` by a glob. */
export function patternOf(value: string): RegExp {
  const known = patterns.get(value);
  if (known !== undefined) return known;
  const pattern = compiled(value);
  if (patterns.size >= maxPatterns) patterns.clear();
  patterns.set(value, pattern);
  return pattern;
}

/** The same few are asked for again and again. A pure function's memory: it changes no verdict. */
const patterns = new Map<string, RegExp>();
const maxPatterns = 500;

function compiled(value: string): RegExp {
  const text = bounded(plain(value));
  const source = text.replace(/[\s\S]/g, (char) => {
    switch (char) {
      case star:
        return '[^/]*';
      case anyOne:
        return '[^/]';
      case hole:
        return '.*';
      case setStart:
        return '[';
      case setEnd:
        return ']';
      default:
        return /[\w/]/.test(char) ? char : `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`;
    }
  });
  try {
    return new RegExp(`^${source.replace(/\[\\u\{(?:21|5e)\}/g, '[^')}$`, 'iu');
  } catch {
    return /^[^/]*$/;
  }
}

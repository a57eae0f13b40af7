/**
 * INI files, edited as text: sections in brackets, `key = value` or `key: value`, comments with `#` or `;`. Everything
 * that isn't the one value keeps every byte, the way the key and its separator are written included. A line that ends
 * in a backslash goes on in the next, as in units of systemd.
 */
import { bodyOf, linesOf, newlineOf } from './text-file.ts';

export type IniPlace = { readonly section: string | undefined; readonly key: string };

type Entry = { readonly from: number; readonly to: number; readonly head: string; readonly value: string };

/** The text with exactly this value at the place; without `value`, with none. */
export function editIni(text: string, place: IniPlace, value: string | undefined, separator: string): string {
  const lines = linesOf(text);
  const newline = newlineOf(text);
  const { entries, insertAt, hasSection } = find(lines, place);
  if (value === undefined) {
    return lines.filter((_line, index) => !entries.some(({ from, to }) => index >= from && index < to)).join('');
  }
  const [first] = entries;
  if (first === undefined) {
    const entry = `${place.key}${separator}${value}${newline}`;
    if (hasSection) {
      return [...ended(lines.slice(0, insertAt), newline), entry, ...lines.slice(insertAt)].join('');
    }
    const gap = lines.length === 0 || bodyOf(lines.at(-1) ?? '').trim() === '' ? '' : newline;
    return [...ended(lines, newline), gap, `[${place.section}]${newline}`, entry].join('');
  }
  return lines
    .flatMap((line, index) => {
      const entry = entries.find(({ from, to }) => index >= from && index < to);
      if (entry === undefined || (entry === first && entry.value === value)) {
        return [line];
      }
      if (entry !== first || index !== entry.from) {
        return [];
      }
      return [`${entry.head}${value}${isEnded(lines[entry.to - 1]) ? newline : ''}`];
    })
    .join('');
}

/** The text without the whole section, and all of its entries. */
export function removeSection(text: string, section: string): string {
  let isInside = false;
  return linesOf(text)
    .filter((line) => {
      const name = sectionOf(line);
      isInside = name === undefined ? isInside : name === section;
      return !isInside;
    })
    .join('');
}

function find(lines: readonly string[], place: IniPlace) {
  const entries: Entry[] = [];
  let section: string | undefined;
  let hasSection = place.section === undefined;
  // After the last entry of the section, before the empty lines that set it apart from the next.
  let insertAt = 0;
  for (let from = 0; from < lines.length; from += 1) {
    const line = lines[from] ?? '';
    section = sectionOf(line) ?? section;
    if (section !== place.section) {
      continue;
    }
    hasSection = true;
    const to = endOfEntry(lines, from);
    if (bodyOf(line).trim() !== '') {
      insertAt = to;
    }
    const entry = parseEntry(lines.slice(from, to), place.key);
    if (entry !== undefined) {
      entries.push({ from, to, ...entry });
    }
    from = to - 1;
  }
  return { entries, insertAt, hasSection };
}

function sectionOf(line: string): string | undefined {
  return /^\s*\[([^\]]*)\]\s*(?:[#;].*)?$/.exec(bodyOf(line))?.[1];
}

function endOfEntry(lines: readonly string[], from: number): number {
  let to = from + 1;
  while (!isComment(lines[from] ?? '') && to < lines.length && bodyOf(lines[to - 1] ?? '').endsWith('\\')) {
    to += 1;
  }
  return to;
}

function parseEntry(lines: readonly string[], key: string): { head: string; value: string } | undefined {
  const [first = ''] = lines;
  if (isComment(first) || sectionOf(first) !== undefined) {
    return undefined;
  }
  const [, head, name, value] = /^(\s*([^=:]*?)\s*[=:]\s*)(.*?)\s*$/s.exec(bodyOf(first)) ?? [];
  if (name !== key || head === undefined || value === undefined) {
    return undefined;
  }
  // What goes on in further lines is another value than any that can be asked for.
  return { head, value: lines.length > 1 ? `${value}\n` : value };
}

function isComment(line: string): boolean {
  return /^\s*[#;]/.test(line);
}

function isEnded(line: string | undefined): boolean {
  return line?.endsWith('\n') ?? false;
}

function ended(lines: readonly string[], newline: string): readonly string[] {
  const last = lines.at(-1);
  return last === undefined || isEnded(last) ? lines : [...lines.slice(0, -1), `${last}${newline}`];
}

/** A marked block in a text: found, put in, replaced, removed, also when somebody damaged its marks. */
import { bodyOf, linesOf, newlineOf } from './text-file.ts';

export type Marks = { readonly begin: string; readonly end: string };

/** The text with exactly one such block; without `content`, with none. The same text when it is so already. */
export function editBlock(text: string, marks: Marks, content: readonly string[] | undefined): string {
  const lines = linesOf(text);
  const blocks = findBlocks(lines, marks, content ?? []);
  const newline = newlineOf(text);
  const wanted =
    content === undefined ? '' : [marks.begin, ...content, marks.end].map((line) => `${line}${newline}`).join('');
  const [first] = blocks;
  if (first === undefined) {
    const ended = text === '' || text.endsWith('\n') || wanted === '' ? text : `${text}${newline}`;
    return `${ended}${wanted}`;
  }
  const parts: string[] = [];
  let next = 0;
  for (const block of blocks) {
    parts.push(lines.slice(next, block.from).join(''));
    if (block === first) {
      parts.push(wanted);
    }
    next = block.to;
  }
  const rest = lines.slice(next).join('');
  const made = `${parts.join('')}${rest}`;
  // Only the newline at the very end may differ: a file that ended in the block without one is left so.
  return made === `${text}${newline}` && rest === '' ? text : made;
}

type Block = { readonly from: number; readonly to: number };

/**
 * From each beginning to the next end. A beginning whose end is gone takes along the lines after it that are the
 * block's own; an end without a beginning stands alone.
 */
function findBlocks(lines: readonly string[], marks: Marks, content: readonly string[]): readonly Block[] {
  const blocks: Block[] = [];
  for (let from = 0; from < lines.length; from += 1) {
    const body = bodyOf(lines[from] ?? '');
    if (body === marks.end) {
      blocks.push({ from, to: from + 1 });
    } else if (body === marks.begin) {
      const to = endOf(lines, from, marks, content);
      blocks.push({ from, to });
      from = to - 1;
    }
  }
  return blocks;
}

function endOf(lines: readonly string[], from: number, marks: Marks, content: readonly string[]): number {
  for (let at = from + 1; at < lines.length; at += 1) {
    const body = bodyOf(lines[at] ?? '');
    if (body === marks.end) {
      return at + 1;
    }
    if (body === marks.begin) {
      break;
    }
  }
  let own = 0;
  while (own < content.length && bodyOf(lines[from + 1 + own] ?? '\0') === content[own]) {
    own += 1;
  }
  return from + 1 + own;
}

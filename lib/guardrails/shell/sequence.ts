/** Sequences: commands one after the other, what may or may not happen, and the argument lists that words may make. */
import { hole } from './marks.ts';
import { type Frame, limits } from './scan.ts';
import type { Item } from './syntax.ts';

/** What they print, joined. */
export function runItems(items: readonly Item[], frame: Frame): string {
  let output = '';
  for (const { command, isBackground } of items) {
    output += frame.scan.run(command, isBackground ? { ...frame, forks: frame.forks + 1 } : frame);
    if (output.length > limits.valueLength) output = output.slice(0, limits.valueLength) + hole;
  }
  return output;
}

/** What is assigned in a branch may or may not be: the old value stays possible. */
export function inBranch(frame: Frame, work: () => string): string {
  frame.scope.branches += 1;
  try {
    return work();
  } finally {
    frame.scope.branches -= 1;
  }
}

/** The argument lists that the alternatives of the words make: all of them while they are few. */
export function combinations(words: readonly string[][][]): string[][] {
  const product = words.reduce((count, { length }) => Math.min(count * Math.max(length, 1), 1000), 1);
  if (product > limits.alternatives) {
    const most = Math.max(...words.map(({ length }) => length));
    return Array.from({ length: most }, (_, i) =>
      words.flatMap((alternatives) => alternatives[i % Math.max(alternatives.length, 1)] ?? []),
    );
  }
  return words.reduce<string[][]>(
    (lists, alternatives) => lists.flatMap((list) => alternatives.map((fields) => [...list, ...fields])),
    [[]],
  );
}

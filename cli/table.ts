/** A table of text that fits the terminal: columns as wide as needed, the widest ones cut with "…" when space is short. */
import { printable } from './printable.ts';

type Column<Row> = {
  readonly title: string;
  /** The cell's text, from outside or not: it is escaped here. */
  cell(row: Row): string | number | undefined;
  /** Never cut: identifiers that a person copies. */
  readonly whole?: boolean;
};

const gap = 2;
const narrowest = 6;

/** Lines without a line feed at the end. `width` is the terminal's; absent (a pipe, a file): nothing is cut. */
export function formatTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number | undefined,
): string[] {
  const body = rows.map((row) => columns.map((column) => printable(String(column.cell(row) ?? '-'))));
  const lines = [columns.map((column) => column.title.toUpperCase()), ...body];
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => lengthOf(line[i] ?? ''))));
  if (width !== undefined) fit(widths, columns, width);
  return lines.map((line) =>
    line
      .map((text, i) => pad(text, widths[i] ?? 0))
      .join(' '.repeat(gap))
      .trimEnd(),
  );
}

/** `name: value` lines, aligned; absent values are left out. */
export function formatFields(fields: readonly (readonly [string, string | number | undefined])[]): string[] {
  const present = fields.filter(([, value]) => value !== undefined);
  const widest = Math.max(0, ...present.map(([name]) => name.length));
  return present.map(([name, value]) => `${`${name}:`.padEnd(widest + 2)}${printable(String(value))}`);
}

/** Takes from the widest column that may be cut until all fit, or until none can give. */
function fit(widths: number[], columns: readonly Column<never>[], width: number): void {
  let excess = widths.reduce((sum, each) => sum + each, 0) + gap * (widths.length - 1) - width;
  while (excess > 0) {
    let widest = -1;
    for (const [i, column] of columns.entries()) {
      const size = widths[i] ?? 0;
      if (column.whole !== true && size > narrowest && (widest < 0 || size > (widths[widest] ?? 0))) widest = i;
    }
    if (widest < 0) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess -= 1;
  }
}

function pad(text: string, width: number): string {
  const characters = [...text];
  if (characters.length <= width) return text + ' '.repeat(width - characters.length);
  return `${characters.slice(0, width - 1).join('')}…`;
}

function lengthOf(text: string): number {
  return [...text].length;
}

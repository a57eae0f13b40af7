/** A table of text that fits the terminal: columns as wide as needed, the widest ones cut with "…" when space is short. */
import { printable } from './printable.ts';

export type Column<Row> = {
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
  return tableWriter(columns, width)(rows);
}

/**
 * A table that is written in parts: each call gives the lines of some more rows, the first one the titles before them.
 * Columns are as wide as the rows until then needed.
 */
export function tableWriter<Row>(
  columns: readonly Column<Row>[],
  width: number | undefined,
): (rows: readonly Row[]) => string[] {
  let needed = columns.map(() => 0);
  let titles = [columns.map((column) => column.title.toUpperCase())];
  return (rows) => {
    const lines = [...titles, ...rows.map((row) => columns.map((one) => printable(String(one.cell(row) ?? '-'))))];
    titles = [];
    needed = lines.reduce((widths, line) => widths.map((each, i) => Math.max(each, lengthOf(line[i] ?? ''))), needed);
    const widths = [...needed];
    if (width !== undefined) fit(widths, columns, width);
    return lines.map((line) =>
      line
        .map((text, i) => pad(text, widths[i] ?? 0))
        .join(' '.repeat(gap))
        .trimEnd(),
    );
  };
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

/** Lists as long as they are: printed as their pages come, so that nothing is cut and nothing is kept. */
import type { Command } from 'commander';
import { allItems } from './client.ts';
import { globalsOf, parseCount, withClient } from './command.ts';
import { type Column, tableWriter } from './table.ts';
import type { Terminal } from './terminal.ts';

/** The most that the server gives at once. */
const maxPage = 500;

export const limitOption = ['--limit <count>', 'at most so many (default: all)', parseCount] as const;

/**
 * Prints a list of the API to its end, or to `limit` items: a table, or one JSON array.
 */
export function printList<Row>(
  terminal: Terminal,
  command: Command,
  list: {
    readonly path: string;
    readonly query?: { readonly [name: string]: string | number | undefined };
    readonly limit?: number | undefined;
    readonly columns: readonly Column<Row>[];
  },
): Promise<void> {
  const { path, query = {}, limit, columns } = list;
  return withClient(command, async (client) => {
    const rows = allItems<Row>(client, path, { ...query, limit: Math.min(limit ?? maxPage, maxPage) });
    await printRows(terminal, { json: globalsOf(command).json, limit, columns }, rows);
  });
}

/** Asks for no row beyond the last one. What stands before a failure is printed, and the failure goes on. */
export async function printRows<Row>(
  terminal: Pick<Terminal, 'out' | 'width'>,
  how: { readonly json: boolean; readonly limit: number | undefined; readonly columns: readonly Column<Row>[] },
  rows: AsyncIterable<Row>,
): Promise<void> {
  const some = atMost(rows, how.limit);
  if (how.json) await printJson(terminal, some);
  else await printTable(terminal, some, how.columns);
}

/** As `JSON.stringify` of the whole array prints it. */
async function printJson<Row>(terminal: Pick<Terminal, 'out'>, rows: AsyncIterable<Row>): Promise<void> {
  let before = '[';
  for await (const row of rows) {
    terminal.out(`${before}\n${JSON.stringify(row, undefined, 2).replaceAll(/^/gm, '  ')}`);
    before = ',';
  }
  terminal.out(before === '[' ? '[]\n' : '\n]\n');
}

async function printTable<Row>(
  terminal: Pick<Terminal, 'out' | 'width'>,
  rows: AsyncIterable<Row>,
  columns: readonly Column<Row>[],
): Promise<void> {
  const linesOf = tableWriter(columns, terminal.width);
  const print = (some: readonly Row[]) => {
    for (const line of linesOf(some)) terminal.out(`${line}\n`);
  };
  let held: Row[] = [];
  try {
    for await (const row of rows) {
      if (held.push(row) < maxPage) continue;
      print(held);
      held = [];
    }
  } finally {
    print(held);
  }
}

async function* atMost<Row>(rows: AsyncIterable<Row>, limit: number | undefined): AsyncGenerator<Row> {
  let count = 0;
  for await (const row of rows) {
    yield row;
    count += 1;
    if (count === limit) return;
  }
}

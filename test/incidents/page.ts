/** The page of the incident suite, docs/incidents.md, as data: one row for each incident, read and written in one form. */
import { readFile, writeFile } from 'node:fs/promises';

const pagePath = new URL('../../docs/incidents.md', import.meta.url);

/** `tests` names the files beside this one whose tests begin with `incident N:`, or says why there is none. */
export type IncidentRow = {
  readonly number: number;
  readonly broke: string;
  readonly shown: string;
  readonly tests: string;
  readonly result: string;
};

/** The table's rows, in the order of the page. */
export async function readRows(): Promise<readonly IncidentRow[]> {
  return (await readFile(pagePath, 'utf8')).split('\n').flatMap((line) => parseRow(line) ?? []);
}

/** Writes the results into their column, and nothing else. */
export async function writeResults(results: ReadonlyMap<number, string>): Promise<void> {
  const lines = (await readFile(pagePath, 'utf8')).split('\n').map((line) => {
    const row = parseRow(line);
    return row === undefined ? line : formatRow({ ...row, result: results.get(row.number) ?? '–' });
  });
  await writeFile(pagePath, lines.join('\n'));
}

/** The files of a row; none, when it says why there are none. */
export function filesOf({ tests }: IncidentRow): readonly string[] {
  const files = tests.split(', ').map((link) => linkPattern.exec(link)?.[1]);
  return files.every((file) => file !== undefined) ? files : [];
}

const linkPattern = /^\[[a-z-]+\]\(\.\.\/test\/incidents\/([a-z-]+\.test\.ts)\)$/;

function parseRow(line: string): IncidentRow | undefined {
  const [, number = '', broke = '', shown = '', tests = '', result = '', ...rest] = line
    .split('|')
    .map((cell) => cell.trim());
  if (!/^[1-9][0-9]?$/.test(number) || rest.length !== 1) return undefined;
  return { number: Number(number), broke, shown, tests, result };
}

function formatRow({ number, broke, shown, tests, result }: IncidentRow): string {
  return `| ${number} | ${broke} | ${shown} | ${tests} | ${result} |`;
}

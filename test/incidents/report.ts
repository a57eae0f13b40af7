/** Runs the incident suite and says how each incident went; `--write` puts it into docs/incidents.md. */

import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { filesOf, readRows, writeResults } from './page.ts';

const rows = await readRows();
const files = [...new Set(rows.flatMap(filesOf))].map((name) => new URL(name, import.meta.url).pathname);
const counts = new Map<number, { passed: number; failed: number; skipped: number }>();
const stream = run({ files, concurrency: 2 });
const note = (what: 'passed' | 'failed', data: { readonly name: string; readonly skip?: string | boolean }) => {
  const number = Number(/^incident ([1-9][0-9]?):/.exec(data.name)?.[1]);
  if (Number.isNaN(number)) return;
  const count = counts.get(number) ?? { passed: 0, failed: 0, skipped: 0 };
  count[data.skip === undefined ? what : 'skipped'] += 1;
  counts.set(number, count);
};
stream.on('test:pass', (data) => note('passed', data));
stream.on('test:fail', (data) => {
  note('failed', data);
  process.exitCode = 1;
});
stream.compose(spec).pipe(process.stdout);
await new Promise((resolve) => stream.once('end', resolve));

const results = new Map<number, string>();
for (const row of rows) {
  const count = counts.get(row.number);
  if (filesOf(row).length === 0) results.set(row.number, '–');
  else if (count === undefined) results.set(row.number, '**did not run**');
  else if (count.failed > 0) results.set(row.number, `**${count.failed} failed**`);
  else
    results.set(row.number, `${count.passed} passed${count.skipped > 0 ? `, ${count.skipped} not tested here` : ''}`);
}
if ([...results.values()].includes('**did not run**')) process.exitCode = 1;
if (process.argv.includes('--write')) await writeResults(results);

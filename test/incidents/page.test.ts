/** The page of incidents and the tests in this folder say the same. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { filesOf, readRows } from './page.ts';

const all = 48;

test('each incident has one row; each row its tests, or the reason why there are none; each test its row', async () => {
  const rows = await readRows();
  assert.deepEqual(
    rows.map(({ number }) => number),
    Array.from({ length: all }, (_, index) => index + 1),
  );
  const declared = new Set<string>();
  for (const name of await readdir(import.meta.dirname)) {
    if (!name.endsWith('.test.ts') || name === 'page.test.ts') continue;
    const text = await readFile(new URL(name, import.meta.url), 'utf8');
    const titles = [...text.matchAll(/\b(?:test|it)\(\s*['"`]incident ([1-9][0-9]?):/g)];
    assert.ok(titles.length > 0, `${name} names no incident`);
    for (const [, number] of titles) declared.add(`${number} ${name}`);
  }
  const promised = new Set<string>();
  for (const row of rows) {
    const files = filesOf(row);
    for (const file of files) promised.add(`${row.number} ${file}`);
    if (files.length === 0) assert.match(row.tests, /^(does not apply|open): ./, `incident ${row.number}`);
  }
  assert.deepEqual([...declared].sort(), [...promised].sort());
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printRows } from './list.ts';
import type { Column } from './table.ts';

type Row = { readonly id: number; readonly text: string };
const columns: readonly Column<Row>[] = [
  { title: 'id', cell: (row) => row.id, whole: true },
  { title: 'text', cell: (row) => row.text },
];

async function* count(rows: number, asked: { count: number } = { count: 0 }): AsyncGenerator<Row> {
  for (let id = 0; id < rows; id++) {
    asked.count += 1;
    yield { id, text: 'line\n'.repeat(id % 3) };
  }
}

async function printed(rows: AsyncIterable<Row>, json: boolean, limit?: number, width?: number) {
  const parts: string[] = [];
  const failure = await printRows({ out: (text) => parts.push(text), width }, { json, limit, columns }, rows).catch(
    (error: Error) => error.message,
  );
  return { text: parts.join(''), parts, failure };
}

test('--json is the text of the whole array, though it is printed item by item', async () => {
  for (const rows of [0, 1, 2, 1_203]) {
    const { text, parts } = await printed(count(rows), true);
    assert.equal(text, `${JSON.stringify(await Array.fromAsync(count(rows)), undefined, 2)}\n`);
    assert.ok(parts.length > rows);
  }
});

test('a table has its titles once, and a row for each item, however many there are', async () => {
  const { text } = await printed(count(1_203), false);
  const lines = text.trimEnd().split('\n');
  assert.match(lines[0] ?? '', /^ID +TEXT$/);
  assert.deepEqual(
    lines.slice(1).map((line) => Number.parseInt(line, 10)),
    Array.from({ length: 1_203 }, (_, i) => i),
  );
  assert.equal((await printed(count(0), false)).text, 'ID  TEXT\n');
  for (const line of (await printed(count(700), false, undefined, 14)).text.split('\n')) assert.ok(line.length <= 14);
});

test('--limit prints so many, and asks for no more', async () => {
  for (const json of [true, false]) {
    const asked = { count: 0 };
    const { text } = await printed(count(1_000, asked), json, 3);
    assert.equal(asked.count, 3);
    assert.equal(json ? JSON.parse(text).length : text.split('\n').length - 2, 3);
  }
});

test('what came before a failure is printed, no JSON is closed that is not whole, and the failure goes on', async () => {
  async function* failing() {
    yield* count(2);
    throw new Error('the second page is gone');
  }
  for (const json of [true, false]) {
    const { text, failure } = await printed(failing(), json);
    assert.equal(failure, 'the second page is gone');
    assert.match(text, /line/);
    if (json) assert.throws(() => JSON.parse(text));
  }
});

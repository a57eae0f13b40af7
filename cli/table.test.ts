import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliError } from './errors.ts';
import { printable } from './printable.ts';
import { formatError } from './report.ts';
import { formatFields, formatTable } from './table.ts';

const columns = [
  { title: 'id', cell: (row: { id: string; text?: string }) => row.id, whole: true },
  { title: 'text', cell: (row: { id: string; text?: string }) => row.text },
];

test('a table is aligned, and cut to the terminal where it may be', () => {
  const rows = [{ id: 'a-long-identifier', text: 'x'.repeat(40) }, { id: 'b' }];
  assert.deepEqual(formatTable(columns, rows, undefined), [
    'ID                 TEXT',
    `a-long-identifier  ${'x'.repeat(40)}`,
    'b                  -',
  ]);
  const narrow = formatTable(columns, rows, 30);
  assert.ok(narrow.every((line) => line.length <= 30));
  assert.ok(narrow[1]?.startsWith('a-long-identifier  ') && narrow[1].endsWith('…'));
});

test('R10 text from outside can not act on the terminal', () => {
  for (const text of ['\x1b[2J', '\r', '\n', '\x07', '\u009b31m', '\u202egnp', '\u200b', '\ud800', '\u2028'])
    assert.match(printable(`a${text}b`), /^a\\[xu].*b$/s, JSON.stringify(text));
  assert.equal(printable('Grüße, 世界 ✓'), 'Grüße, 世界 ✓');
  assert.equal(
    formatTable(columns, [{ id: '\x1b[31m' }], undefined)
      .join('')
      .includes('\x1b'),
    false,
  );
  assert.equal(
    formatFields([['a', '\x1b']])
      .join('')
      .includes('\x1b'),
    false,
  );
  const error = formatError(new CliError('failure', 'a\x1b[2J', { details: ['\x1b'], hint: 'b\x1b' }));
  assert.equal(error.includes('\x1b'), false);
});

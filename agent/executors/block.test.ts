import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { executorConformance } from '../../test/conformance/executor.ts';
import { editBlock } from '../edit/block-text.ts';
import { block } from './block.ts';

const begin = '# BEGIN holdfast b';
const end = '# END holdfast b';

executorConformance({
  type: 'block',
  hasPath: true,
  cases: [
    {
      title: 'in a file of others',
      declare: (directory) => ({
        type: 'block',
        desired: { path: join(directory, 'conf'), name: 'b', content: 'one\ntwo\n' },
      }),
      prepare: (directory) => writeFile(join(directory, 'conf'), 'mine\n', { mode: 0o640 }),
      first: 'updated',
      drift: (directory) => writeFile(join(directory, 'conf'), `mine\n${begin}\none\n2\n${end}\n`),
    },
    {
      title: 'absent',
      declare: (directory) => ({
        type: 'block',
        desired: { path: join(directory, 'conf'), name: 'b', state: 'absent' },
      }),
      prepare: (directory) => writeFile(join(directory, 'conf'), `a\n${begin}\nx\n${end}\nb`),
      first: 'removed',
      drift: (directory) => writeFile(join(directory, 'conf'), `a\n${begin}\n${end}\nb`),
    },
  ],
});

test('a block is put in, kept where it is, and repaired when its marks are damaged', () => {
  const marks = { begin, end };
  const wanted = `${begin}\none\ntwo\n${end}\n`;
  const edit = (text: string) => editBlock(text, marks, ['one', 'two']);
  assert.equal(edit(''), wanted);
  assert.equal(edit('a'), `a\n${wanted}`);
  assert.equal(edit(`a\n${begin}\nold\n${end}\nb\n`), `a\n${wanted}b\n`);
  assert.equal(edit(`${wanted}b\n${wanted}`), `${wanted}b\n`);
  assert.equal(edit(`a\n${begin}\none\ntwo\nb\n`), `a\n${wanted}b\n`);
  assert.equal(edit(`a\none\n${end}\nb\n`), `a\none\n${wanted}b\n`);
  assert.equal(edit(`a\r\n`), `a\r\n${wanted.replaceAll('\n', '\r\n')}`);
  assert.equal(edit(wanted.trimEnd()), wanted.trimEnd());
  assert.equal(editBlock(`a\n${wanted}b`, marks, undefined), 'a\nb');
});

test('editing twice is editing once, and other lines stay', () => {
  const text = fc
    .array(fc.constantFrom(begin, end, 'one', 'two', 'x', ''), { maxLength: 12 })
    .map((lines) => lines.join('\n'));
  const content = fc.option(fc.array(fc.constantFrom('one', 'two'), { maxLength: 3 }), { nil: undefined });
  fc.assert(
    fc.property(text, content, (before, lines) => {
      const once = editBlock(before, { begin, end }, lines);
      assert.equal(editBlock(once, { begin, end }, lines), once);
      const marks = once.split('\n').filter((line) => line === begin || line === end);
      assert.deepEqual(marks, lines === undefined ? [] : [begin, end]);
    }),
  );
});

test('content that holds the marks is refused', () => {
  const desired = { path: '/etc/x', name: 'b', content: `one\n${end}\n` };
  assert.equal(block.schema.safeParse(desired).success, false);
  assert.equal(block.schema.safeParse({ ...desired, name: 'other' }).success, true);
});

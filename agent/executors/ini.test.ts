import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { executorConformance } from '../../test/conformance/executor.ts';
import { editIni, removeSection } from '../edit/ini-text.ts';
import { ini } from './ini.ts';

executorConformance({
  type: 'ini',
  hasPath: true,
  cases: [
    {
      title: 'a value of a section',
      declare: (directory) => ({
        type: 'ini',
        desired: { path: join(directory, 'conf'), section: 'Journal', key: 'Storage', value: 'persistent' },
      }),
      prepare: (directory) => writeFile(join(directory, 'conf'), '[Journal]\n#Storage=auto\nCompress=yes\n'),
      first: 'updated',
      drift: (directory) =>
        writeFile(join(directory, 'conf'), '[Journal]\n#Storage=auto\nCompress=yes\nStorage = none\n'),
    },
    {
      title: 'no file yet',
      declare: (directory) => ({
        type: 'ini',
        desired: { path: join(directory, 'conf'), section: 'a', key: 'b', value: 1 },
      }),
      first: 'created',
      drift: (directory) => writeFile(join(directory, 'conf'), ''),
    },
    {
      title: 'a section absent',
      declare: (directory) => ({
        type: 'ini',
        desired: { path: join(directory, 'conf'), section: 'a', state: 'absent' },
      }),
      prepare: (directory) => writeFile(join(directory, 'conf'), 'x=1\n[a]\nb=1\n[c]\nd=1\n'),
      first: 'removed',
      drift: (directory) => writeFile(join(directory, 'conf'), 'x=1\n[c]\nd=1\n[a]\n'),
    },
  ],
});

test('values are set as documented, and nothing else moves', () => {
  const set = (text: string, section: string | undefined, key: string, value: string | undefined) =>
    editIni(text, { section, key }, value, ' = ');
  assert.equal(set('', 'a', 'b', '1'), '[a]\nb = 1\n');
  assert.equal(set('', undefined, 'b', '1'), 'b = 1\n');
  assert.equal(set('[a]\nb=2 ; why\n', 'a', 'b', '1'), '[a]\nb=1\n');
  assert.equal(set('[a]\n\tb : 2\n\n[c]\nb=3', 'a', 'b', '1'), '[a]\n\tb : 1\n\n[c]\nb=3');
  assert.equal(set('[a]\nx=1\n\n[c]\n', 'a', 'b', '1'), '[a]\nx=1\nb = 1\n\n[c]\n');
  assert.equal(set('[a]\nb=1\nb=2\n[a]\nb=3\n', 'a', 'b', '1'), '[a]\nb=1\n[a]\n');
  assert.equal(set('[a]\nb=1 \\\n 2\nc=3\n', 'a', 'b', '1'), '[a]\nb=1\nc=3\n');
  assert.equal(set('[a]\r\nb=2\r\n', 'a', 'b', '1'), '[a]\r\nb=1\r\n');
  assert.equal(set('b=1\n[a]\nb=2\n', undefined, 'b', '3'), 'b=3\n[a]\nb=2\n');
  assert.equal(set('x=1\n[a]\nb=2', 'c', 'd', '1'), 'x=1\n[a]\nb=2\n\n[c]\nd = 1\n');
  assert.equal(set('[a]\n#b=2\nb=1\n', 'a', 'b', undefined), '[a]\n#b=2\n');
  assert.equal(removeSection('x=1\n[a]\nb=1\n\n[c]\n', 'a'), 'x=1\n[c]\n');
});

test('editing twice is editing once', () => {
  const line = fc.constantFrom('[a]', '[b]', 'k=1', 'k = 2', ' k:1', '#k=1', '', 'x=1', 'k=1 \\', 'k');
  const text = fc
    .tuple(fc.array(line, { maxLength: 10 }), fc.constantFrom('', '\n'))
    .map(([lines, end]) => lines.join('\n') + end);
  const section = fc.constantFrom('a', 'b', undefined);
  fc.assert(
    fc.property(text, section, fc.constantFrom('1', '', undefined), (before, name, value) => {
      const once = editIni(before, { section: name, key: 'k' }, value, '=');
      assert.equal(editIni(once, { section: name, key: 'k' }, value, '='), once);
    }),
  );
});

test('what would not be read back is refused', () => {
  const good = { path: '/etc/x', section: 'a', key: 'b', value: 'c' };
  assert.equal(ini.schema.safeParse(good).success, true);
  for (const bad of [
    { key: '#b' },
    { key: 'b=' },
    { key: ' b' },
    { section: 'a]' },
    { value: 'x\ny' },
    { value: ' x' },
    { value: 'x\\' },
    { separator: 'x' },
  ]) {
    assert.equal(ini.schema.safeParse({ ...good, ...bad }).success, false, JSON.stringify(bad));
  }
});

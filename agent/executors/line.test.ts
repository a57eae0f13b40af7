import assert from 'node:assert/strict';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { executorConformance } from '../../test/conformance/executor.ts';
import { run, withDirectory } from '../../test/conformance/executor-fixture.ts';
import { edit, line } from './line.ts';

executorConformance({
  type: 'line',
  hasPath: true,
  cases: [
    {
      title: 'another value after the prefix',
      declare: (directory) => ({
        type: 'line',
        desired: { path: join(directory, 'conf'), prefix: 'Port ', line: 'Port 2222' },
      }),
      prepare: (directory) => writeFile(join(directory, 'conf'), '# mine\nPort 22\nUser x\n', { mode: 0o640 }),
      first: 'updated',
      drift: (directory) => writeFile(join(directory, 'conf'), '# mine\nPort 23\nUser x\n'),
    },
    {
      title: 'no file yet',
      declare: (directory) => ({ type: 'line', desired: { path: join(directory, 'conf'), line: 'Port 2222' } }),
      first: 'created',
      drift: (directory) => writeFile(join(directory, 'conf'), ''),
    },
    {
      title: 'absent',
      declare: (directory) => ({
        type: 'line',
        desired: { path: join(directory, 'conf'), line: 'Port 22', state: 'absent' },
      }),
      prepare: (directory) => writeFile(join(directory, 'conf'), 'a\nPort 22\nb'),
      first: 'removed',
      drift: (directory) => writeFile(join(directory, 'conf'), 'a\nPort 22\nPort 22\nb'),
    },
  ],
});

test('lines are edited as documented', () => {
  const present = (text: string, wanted: string, prefix?: string) =>
    edit(text, { line: wanted, state: 'present', ...(prefix === undefined ? {} : { prefix }) });
  const absent = (text: string, wanted: string) => edit(text, { line: wanted, state: 'absent' });
  assert.equal(present('', 'x'), 'x\n');
  assert.equal(present('a\n', 'x'), 'a\nx\n');
  assert.equal(present('a', 'x'), 'a\nx\n');
  assert.equal(present('a\nx', 'x'), 'a\nx');
  assert.equal(present('a\n\n', 'x'), 'a\n\nx\n');
  assert.equal(present('x=1\nb\nx=2\n', 'x=3', 'x='), 'x=3\nb\n');
  assert.equal(present('b\nx=1', 'x=3', 'x='), 'b\nx=3');
  assert.equal(present('a\r\n', 'a'), 'a\r\na\n');
  assert.equal(absent('x\na\nx', 'x'), 'a\n');
  assert.equal(absent('xx\n', 'x'), 'xx\n');
});

test('editing twice is editing once, and other lines keep every byte', () => {
  const fields = fc.record({
    prefix: fc.option(fc.constantFrom('x', 'x=', 'ü'), { nil: undefined }),
    rest: fc.string({ maxLength: 5 }).filter((text) => !/[\n\r\0]/.test(text)),
    state: fc.constantFrom('present' as const, 'absent' as const),
  });
  const bytes = fc
    .array(fc.constantFrom('\n', 'x', '=', 'é', '\r', 'ÿ'), { maxLength: 20 })
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(bytes, fields, (text, { prefix, rest, state }) => {
      const desired = { line: `${prefix ?? 'x'}${rest}`, state, ...(prefix === undefined ? {} : { prefix }) };
      const once = edit(text, desired);
      assert.equal(edit(once, desired), once);
      const others = (whole: string) =>
        whole.split('\n').filter((one) => !one.startsWith('x') && one !== '' && !one.startsWith('Ã¼'));
      assert.deepEqual(others(once), others(text));
    }),
  );
});

test('bytes that are no UTF-8 survive, and so do mode and owner', async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, 'conf');
    await writeFile(path, Buffer.from([0xff, 0xfe, 0x0a, 0xc3, 0x28]));
    await chmod(path, 0o604);
    const [outcome] = await run([{ type: 'line', desired: { path, line: 'größe' } }]);
    assert.equal(outcome?.result, 'updated');
    const wanted = Buffer.concat([Buffer.from([0xff, 0xfe, 0x0a, 0xc3, 0x28, 0x0a]), Buffer.from('größe\n')]);
    assert.deepEqual(await readFile(path), wanted);
    assert.equal((await stat(path)).mode & 0o7777, 0o604);
  });
});

test('a line that its own prefix would not find again is refused', () => {
  assert.equal(line.schema.safeParse({ path: '/etc/x', line: 'Port 22', prefix: 'Prot' }).success, false);
  assert.equal(line.schema.safeParse({ path: '/etc/x', line: 'a\nb' }).success, false);
});

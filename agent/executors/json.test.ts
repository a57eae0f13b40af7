import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { executorConformance } from '../../test/conformance/executor.ts';
import { run, withDirectory } from '../../test/conformance/executor-fixture.ts';
import { parsePointer, removeJson, setJson } from '../edit/json-text.ts';

executorConformance({
  type: 'json',
  hasPath: true,
  cases: [
    {
      title: 'a value in a file of others',
      declare: (directory) => ({
        type: 'json',
        desired: { path: join(directory, 'conf.json'), pointer: '/log/level', value: 'info' },
      }),
      prepare: (directory) => writeFile(join(directory, 'conf.json'), '{\n    "a": 1\n}\n', { mode: 0o600 }),
      first: 'updated',
      drift: (directory) =>
        writeFile(join(directory, 'conf.json'), '{\n    "a": 1,\n    "log": {\n        "level": 2\n    }\n}\n'),
    },
    {
      title: 'absent',
      declare: (directory) => ({
        type: 'json',
        desired: { path: join(directory, 'conf.json'), pointer: '/a/0', state: 'absent' },
      }),
      prepare: (directory) => writeFile(join(directory, 'conf.json'), '{"a":[1],"b":2}'),
      first: 'removed',
      drift: (directory) => writeFile(join(directory, 'conf.json'), '{"a":[3],"b":2}'),
    },
  ],
});

test('values are set and removed, and every other byte stays', () => {
  const set = (text: string, pointer: string, value: unknown) =>
    setJson(text, parsePointer(pointer) ?? [], value as string);
  const remove = (text: string, pointer: string) => removeJson(text, parsePointer(pointer) ?? []);
  assert.equal(set('', '/a/b', 1), '{\n  "a": {\n    "b": 1\n  }\n}\n');
  assert.equal(set('{"a":1}', '/b', 2), '{"a":1,"b":2}');
  assert.equal(set('{"a": 1, "c": 3}', '/b', 2), '{"a": 1, "c": 3, "b":2}');
  assert.equal(set('{\n\t"a" : 1\n}', '/b', [1]), '{\n\t"a" : 1,\n\t"b": [\n\t\t1\n\t]\n}');
  assert.equal(set('{"a":[1, 2]}', '/a/2', 3), '{"a":[1, 2, 3]}');
  assert.equal(set('{"a/b":{"~":1}}', '/a~1b/~0', 2), '{"a/b":{"~":2}}');
  assert.equal(set('{"a":{"x":1,"y":2}}', '/a', { y: 2, x: 1 }), '{"a":{"x":1,"y":2}}');
  assert.equal(set('{"a":1e0}', '/a', 1), '{"a":1e0}');
  assert.equal(remove('{"a":1,"b":2}', '/a'), '{"b":2}');
  assert.equal(remove('{"a":1, "b":2}', '/b'), '{"a":1}');
  assert.equal(remove('{ "a":1 }', '/a'), '{}');
  assert.equal(remove('{"a":1}', '/b/c'), '{"a":1}');
  for (const [text, pointer] of [
    ['{"a":1}', '/a/b'],
    ['{"a":[1]}', '/a/5'],
    ['{"a":[1]}', '/a/-'],
    ['{"a":1,"a":2}', '/a'],
    ['{"a":1,}', '/a'],
    ['// c\n{}', '/a'],
  ] as const) {
    assert.throws(() => set(text, pointer, 2), SyntaxError, text);
  }
});

test('as JSON.parse sees it, exactly the one value changes', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 }),
      fc.string(),
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom(undefined, 2, '\t'),
      (object, key, value, indent) => {
        fc.pre(!Object.hasOwn(object, '__proto__') && key !== '__proto__');
        const text = JSON.stringify(object, undefined, indent);
        const once = setJson(text, [key], value as string);
        assert.deepEqual(JSON.parse(once), JSON.parse(JSON.stringify({ ...object, [key]: value })));
        assert.equal(setJson(once, [key], value as string), once);
        const gone = removeJson(once, [key]);
        const { [key]: _gone, ...rest } = JSON.parse(text);
        assert.deepEqual(JSON.parse(gone), rest);
      },
    ),
  );
});

test('what is no JSON fails without showing any of it, and stays', async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, 'conf.json');
    await writeFile(path, '{"password": "hunter2"');
    const [outcome] = await run([{ type: 'json', desired: { path, pointer: '/a', value: 1 } }]);
    assert.equal(outcome?.result, 'failed');
    assert.match(outcome?.reason ?? '', /can't be edited as JSON: it is no JSON/);
    assert.ok(!JSON.stringify(outcome).includes('hunter2'));
    assert.equal(await readFile(path, 'utf8'), '{"password": "hunter2"');
  });
});

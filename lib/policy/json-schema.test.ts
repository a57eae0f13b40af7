import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { executors } from '../../agent/executors/registry.ts';
import { crateJsonSchema, holdfastJsonSchema } from './json-schema.ts';

const ajv = new Ajv({ strict: false, allErrors: false, unicodeRegExp: true });
const isCrate = ajv.compile(crateJsonSchema(executors));
const isHoldfast = ajv.compile(holdfastJsonSchema());
const examples = new URL('../../examples/', import.meta.url);

test('every example is valid by the schema that editors get', async () => {
  let count = 0;
  for (const name of await readdir(examples, { recursive: true })) {
    if (!name.endsWith('.yaml')) continue;
    const value = parse(await readFile(new URL(name, examples), 'utf8'));
    const validate = name.endsWith('holdfast.yaml') ? isHoldfast : isCrate;
    assert.ok(validate(value), `${name}: ${ajv.errorsText(validate.errors)}`);
    count += 1;
  }
  assert.ok(count >= 3);
});

test('every resource type is in it, and every key has the type’s own rules', () => {
  for (const name of executors.keys()) {
    assert.ok(!isCrate({ resources: [{ [name]: { nonsense: 1 } }] }), name);
  }
});

for (const [what, crate, isValid] of [
  ['content', { resources: [{ file: { path: '/a', content: 'x' } }] }, true],
  [
    'a template',
    { vars: { a: 1 }, resources: [{ file: { path: '/a', template: 'files/a.liquid' }, when: 'true' }] },
    true,
  ],
  [
    'foreach',
    { resources: [{ user: { name: '{{ item.name }}', uid: '{{ item.uid }}' }, foreach: 'vars.users' }] },
    true,
  ],
  ['includes alone', { includes: ['base'] }, true],
  ['nothing', {}, false],
  ['an unknown key', { resources: [], var: {} }, false],
  ['two types in one', { resources: [{ file: { path: '/a', content: 'x' }, directory: { path: '/b' } }] }, false],
  ['an unknown type', { resources: [{ fiel: { path: '/a' } }] }, false],
  ['an unknown key of a type', { resources: [{ file: { path: '/a', content: 'x', mod: '0644' } }] }, false],
  ['a mode that is a number', { resources: [{ file: { path: '/a', content: 'x', mode: 644 } }] }, false],
  ['an input of no type', { inputs: { a: 'txt' }, resources: [] }, false],
  ['an empty condition', { resources: [{ file: { path: '/a', content: 'x' }, when: '' }] }, false],
] as const) {
  test(`a crate with ${what} is ${isValid ? 'valid' : 'not valid'}`, () => {
    assert.equal(isCrate(crate), isValid, ajv.errorsText(isCrate.errors));
  });
}

for (const [what, holdfast, isValid] of [
  ['bindings', { bindings: [{ match: { name: '*' }, crates: ['a'] }] }, true],
  ['vars only', { vars: { a: [1] }, bindings: [{ match: { labels: { r: 'x' } }, vars: { a: [2] } }] }, true],
  ['a binding of nothing', { bindings: [{ match: { name: '*' } }] }, false],
  ['a match of nothing', { bindings: [{ match: {}, crates: ['a'] }] }, false],
  ['no bindings', {}, false],
] as const) {
  test(`holdfast.yaml with ${what} is ${isValid ? 'valid' : 'not valid'}`, () => {
    assert.equal(isHoldfast(holdfast), isValid, ajv.errorsText(isHoldfast.errors));
  });
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { policyError } from '../../test/fakes/policy.ts';
import { PolicyError } from './errors.ts';
import { maxYamlBytes, parseYaml, yamlNodeAt, yamlValue } from './yaml.ts';

const parse = (text: string) => parseYaml(Buffer.from(text), 'x.yaml');
const plain = (text: string) => JSON.parse(JSON.stringify(yamlValue(parse(text))));

function refusal(text: string | Uint8Array): PolicyError {
  try {
    parseYaml(typeof text === 'string' ? Buffer.from(text) : text, 'x.yaml');
  } catch (error) {
    if (error instanceof PolicyError && error.code === 'malformed') return error;
    throw error;
  }
  throw new Error('was not refused');
}

test('values of YAML 1.2 are read, with aliases put in place', () => {
  const text = 'a: 1\nb: [x, true, "2", null]\nc: &c {d: no}\ne: *c\nf: |\n  !tag is text\n  %so is this\ng: 0644\n';
  assert.deepEqual(plain(text), {
    a: 1,
    b: ['x', true, '2', null],
    c: { d: 'no' },
    e: { d: 'no' },
    f: '!tag is text\n%so is this\n',
    g: 644,
  });
});

test('each node knows its place', () => {
  const node = yamlNodeAt(parse('a:\n  - b: 1\n  - b: 2\n'), ['a', 1, 'b']);
  assert.deepEqual(node.place, { file: 'x.yaml', line: 3, column: 8 });
  assert.deepEqual(yamlNodeAt(parse('a: {b: 1}'), ['a', 'missing', 'far']).place.column, 4);
});

test('broken YAML is refused with file, line and column', () => {
  const error = refusal('crate: motd\nresources:\n  - file: {path: /etc/motd\nb: 1\n');
  assert.deepEqual([error.file, error.line], ['x.yaml', 4]);
  assert.ok(error.column !== undefined && error.column >= 1);
});

for (const [what, text, line, pattern] of [
  ['an empty file', '', 1, /empty/],
  ['only a comment', '# nothing\n', 1, /empty/],
  ['a duplicate key', 'a: 1\nb: 2\na: 3\n', 3, /duplicate key "a"/],
  ['a duplicate key in a flow map', 'x: {a: 1, a: 2}', 1, /duplicate key/],
  ['a tag', 'a: 1\nb: !!js/function "x"\n', 2, /tag/],
  ['a local tag', '- !secret x', 1, /tag/],
  ['a tag after text that looks like a token of the lexer', '\u001f: !x y', 1, /tag/],
  ['a directive', '%YAML 1.1\n---\na: 1\n', 1, /directives/],
  ['two documents', 'a: 1\n---\nb: 2\n', 2, /document/i],
  ['a key that is a number', '1: x', 1, /not text/],
  ['a key that is a map', '? {a: 1}\n: x', 1, /not text/],
  ['an alias without an anchor', 'a: *b', 1, /alias/i],
  ['an alias inside its own anchor', 'a: &a [1, *a]', 1, /deeper/],
  ['brackets nested too deep', `a:\n  ${'['.repeat(33)}`, 2, /deeper/],
  ['lists nested too deep', `a:\n  ${'- '.repeat(40)}x`, 2, /deeper/],
] as const) {
  test(`${what} is refused`, () => {
    const error = refusal(text);
    assert.match(error.message, pattern);
    assert.equal(error.line, line);
  });
}

test('what is not UTF-8, or too large, is refused', () => {
  assert.match(refusal(Uint8Array.of(0x61, 0x3a, 0x20, 0xff)).message, /UTF-8/);
  assert.match(refusal(new Uint8Array(maxYamlBytes + 1).fill(0x23)).message, /limit/);
});

test('an alias bomb is refused before it fills the memory', () => {
  let text = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n';
  for (let i = 1; i < 12; i += 1)
    text += `a${i}: &a${i} [${Array(10)
      .fill(`*a${i - 1}`)
      .join(', ')}]\n`;
  assert.match(refusal(text).message, /aliases counted/);
});

test('a megabyte of brackets or of keys is refused or read without quadratic work', () => {
  assert.match(refusal('['.repeat(maxYamlBytes)).message, /deeper/);
  assert.match(refusal('- '.repeat(maxYamlBytes / 2)).message, /deeper/);
  assert.equal(Object.keys(plain(Array.from({ length: 20_000 }, (_, i) => `k${i}: 1`).join('\n'))).length, 20_000);
});

test('a long line of a flow map is not taken for nesting', () => {
  const members = Array.from({ length: 100 }, (_, i) => `k${i}: v`).join(', ');
  assert.equal(Object.keys(plain(`{${members}}\n`)).length, 100);
});

test('the key __proto__ changes no prototype', () => {
  const value = yamlValue(parse('__proto__: {polluted: true}')) as Record<string, unknown>;
  assert.equal(Object.getPrototypeOf(value), null);
  assert.ok(Object.hasOwn(value, '__proto__'));
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
});

test('any bytes give a value or a PolicyError', () => {
  const yamlish = fc.array(
    fc.constantFrom(
      'a',
      ': ',
      '- ',
      '\n',
      '  ',
      '[',
      ']',
      '{',
      '}',
      '&a ',
      '*a',
      '"',
      "'",
      '|',
      '>',
      '!',
      '? ',
      '#',
      ',',
      '%',
      '\t',
      '---\n',
      '\u001f',
      '\u0002',
    ),
    { maxLength: 60 },
  );
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    yamlish.map((parts) => Buffer.from(parts.join(''))),
    fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(anything, (bytes) => {
      try {
        yamlValue(parseYaml(bytes, 'x.yaml'));
      } catch (error) {
        policyError('malformed')(error);
      }
    }),
    { numRuns: 2000 },
  );
});

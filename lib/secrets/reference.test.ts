/** The grammar of secret references, its escapes, and markers that nothing authored can forge. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Json } from '../crypto/jcs.ts';
import { SecretsError } from './errors.ts';
import { asMarker, isSecretPath, parseSecretText, referencesIn, replaceMarkers, toMarker } from './reference.ts';

const isBad = (error: unknown) => error instanceof SecretsError && error.code === 'bad_reference';
const inside = (path: string) => `$\{secret:${path}}`;

test('paths have one spelling', () => {
  for (const path of ['a', 'db/password', 'a/b/c/d', 'x-1.y_2', '0']) assert.equal(isSecretPath(path), true, path);
  for (const path of [
    '',
    '/',
    '/a',
    'a/',
    'a//b',
    '.',
    '..',
    'a/../b',
    '.a',
    'A',
    'a b',
    'a\n',
    'é',
    'a\0',
    `${'a'.repeat(64)}`,
  ]) {
    assert.equal(isSecretPath(path), false, JSON.stringify(path));
  }
  assert.equal(isSecretPath(Array.from({ length: 17 }, () => 'a').join('/')), false);
});

test('text is a reference, text around references, or literal', () => {
  assert.deepEqual(parseSecretText('secret:db/password'), { kind: 'reference', path: 'db/password' });
  assert.deepEqual(parseSecretText(`u=${inside('a')};p=${inside('b/c')}`), {
    kind: 'composition',
    parts: ['u=', { path: 'a' }, ';p=', { path: 'b/c' }],
  });
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of policy, not of TypeScript
  for (const text of ['', 'no secret', 'my secret: x', 'a secret:b', '$HOME', '${HOME}', 'Secret:a']) {
    assert.deepEqual(parseSecretText(text), { kind: 'text', text });
  }
});

test('escapes give literal text, and one layer of them at a time', () => {
  assert.deepEqual(parseSecretText('\\secret:a'), { kind: 'text', text: 'secret:a' });
  assert.deepEqual(parseSecretText('\\\\secret:a'), { kind: 'text', text: '\\secret:a' });
  assert.deepEqual(parseSecretText(`x $${inside('a')} y`), { kind: 'text', text: `x ${inside('a')} y` });
  assert.deepEqual(parseSecretText(`$${inside('a')}${inside('b')}`), {
    kind: 'composition',
    parts: [inside('a'), { path: 'b' }],
  });
});

test('a slip is an error, never literal text', () => {
  for (const text of [
    'secret:',
    'secret: a',
    'secret:A',
    'secret:a\n',
    'secret:a b',
    'secret:/a',
    inside(''),
    inside('A'),
    '${secret:a',
  ]) {
    assert.throws(() => parseSecretText(text), isBad, JSON.stringify(text));
  }
});

test('any text can be written by its escapes', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('secret:', inside('').slice(0, -1), '\\', '$', '{', '}', 'a', '/', ' ') }),
      (text) => {
        // A function, because "$$" in a replacement is one dollar sign.
        const doubled = text.replaceAll(inside('').slice(0, -1), (found) => `$${found}`);
        const parsed = parseSecretText(/^\\*secret:/.test(doubled) ? `\\${doubled}` : doubled);
        assert.deepEqual(parsed, { kind: 'text', text });
      },
    ),
    { numRuns: 2000 },
  );
});

test('half a marker, or one with more in it, is refused', () => {
  const good: Json = { $secret: { path: 'a' } };
  assert.deepEqual(asMarker(good), good);
  assert.equal(asMarker({ secret: { path: 'a' } }), undefined);
  for (const bad of [
    { $secret: 'a' },
    { $secret: { path: 'A' } },
    { $secret: { path: 'a', more: 1 } },
    { $secret: { path: 'a' }, more: 1 },
    { $join: [] },
    { $join: ['only text'] },
    { $join: [{ $join: [good] }] },
    { $other: 1 },
    { a: 1, $secret: { path: 'a' } },
  ] as Json[]) {
    assert.throws(() => asMarker(bad), isBad, JSON.stringify(bad));
  }
});

test('markers are found and replaced at any depth, and all else is as it was', () => {
  const join = toMarker(parseSecretText(`x${inside('b')}`)) as Json;
  const value: Json = { a: [{ $secret: { path: 'a' } }, 'secret:not-a-marker'], b: { c: join }, d: 1 };
  assert.deepEqual([...referencesIn(value)], ['a', 'b']);
  assert.deepEqual(
    replaceMarkers(value, () => 'X'),
    { a: ['X', 'secret:not-a-marker'], b: { c: 'X' }, d: 1 },
  );
});

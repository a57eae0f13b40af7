import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isGlob, isLiteral, matchesGlob } from './glob.ts';

for (const [glob, name, matches] of [
  ['web-1', 'web-1', true],
  ['web-1', 'web-10', false],
  ['web-*', 'web-1.example.org', true],
  ['web-*', 'db-1', false],
  ['*', 'anything.at-all', true],
  ['*.example.org', 'a.b.example.org', true],
  ['*.example.org', 'example.org', false],
  ['web-?', 'web-1', true],
  ['web-?', 'web-', false],
  ['web-?', 'web-12', false],
  ['a*b*c', 'aXbYbZc', true],
  ['a*b*c', 'aXc', false],
  ['web-1', 'WEB-1', false],
  ['web-1', 'web-1 ', false],
  ['a.c', 'abc', false],
  ['', 'a', false],
] as const) {
  test(`"${glob}" ${matches ? 'matches' : 'does not match'} "${name}"`, () => {
    assert.equal(matchesGlob(glob, name), matches);
  });
}

test('only plain globs are taken', () => {
  for (const glob of ['web-*', 'a?c', '*', 'db.example.org']) assert.ok(isGlob(glob), glob);
  for (const glob of ['', 'A', '[ab]', '{a,b}', 'a/b', 'a\u0000', '!a', '**/x', 'é', 'a'.repeat(254)])
    assert.ok(!isGlob(glob), glob);
  assert.ok(isLiteral('web-1') && !isLiteral('web-*') && !isLiteral('web-?'));
});

test('agrees with a regular expression on small inputs', () => {
  const part = (letters: string) => fc.string({ unit: fc.constantFrom(...letters), maxLength: 8 });
  fc.assert(
    fc.property(part('ab*?'), part('ab'), (glob, name) => {
      const expected = new RegExp(`^${glob.replaceAll('?', '.').replaceAll('*', '.*')}$`).test(name);
      assert.equal(matchesGlob(glob, name), expected);
    }),
    { numRuns: 2000 },
  );
});

test('a pattern of many stars stays cheap', () => {
  assert.equal(matchesGlob(`${'*a'.repeat(126)}b`, 'a'.repeat(253)), false);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchingEndings, matchingLengths } from './glob.ts';
import { withGlobs } from './marks.ts';
import { matchesSafely, safeExpression } from './safe-expression.ts';

test('an expression that could take for ever is not compiled', () => {
  for (const source of ['(a*)*', '(a|a)*$', '(a|aa)+$', '((a))*', '(a+){2,}', '(.)\\1', 'a**', 'x'.repeat(300), '('])
    assert.equal(safeExpression(source), undefined, source);
  for (const source of ['^h[o]ldf', '(ab)*c', 'a{2}', 'a|b', '/(etc|usr)/.*', '\\(a\\)*'])
    assert.ok(safeExpression(source) !== undefined, source);
  assert.equal(matchesSafely('h[o]ldf', 'holdfast'), true);
  assert.equal(matchesSafely('a.*a.*a.*a.*b', 'a'.repeat(1000)), undefined);
});

test('globs: the beginnings and endings of a string that they match', () => {
  const lengths = (glob: string, text: string) => matchingLengths(withGlobs(glob), text);
  assert.deepEqual(lengths('a*', 'abc'), [1, 2, 3]);
  assert.deepEqual(lengths('*', 'ab'), [0, 1, 2]);
  assert.deepEqual(lengths('?[b-d]', 'abc'), [2]);
  assert.deepEqual(lengths('[^a]*', 'abc'), []);
  assert.deepEqual(lengths('[!a-c]', 'd'), [1]);
  assert.deepEqual(lengths('x', 'abc'), []);
  assert.deepEqual(matchingEndings(withGlobs('.*'), 'a.b.c'), [2, 4]);
  assert.deepEqual(matchingEndings(withGlobs('[b-c]'), 'abc'), [1]);
  assert.deepEqual(matchingLengths(withGlobs(`${'*a'.repeat(400)}b`), 'a'.repeat(2000)), []);
});

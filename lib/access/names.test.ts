import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AccessError } from './errors.ts';
import { normalizeName, parseUserName } from './names.ts';

test('incident 22: spellings of one name are one name', () => {
  for (const spelling of ['alice', 'Alice', ' alice', 'alice ', '\talice\n', 'ＡＬＩＣＥ', 'ａlice', 'ALICE\u00a0']) {
    assert.equal(parseUserName(spelling), 'alice', JSON.stringify(spelling));
  }
});

test('incident 21: look-alikes, control characters and paths are no names', () => {
  for (const text of [
    '',
    ' ',
    'аlice',
    'ali\u0000ce',
    'ali\u200bce',
    'a/b',
    '../a',
    '.alice',
    'alice.',
    'ali ce',
    'a'.repeat(65),
    '\u202ealice',
    'ал',
  ]) {
    assert.throws(
      () => parseUserName(text),
      (error) => error instanceof AccessError && error.code === 'malformed',
      JSON.stringify(text),
    );
  }
});

test('R27 names of other actors are reserved, however they are spelled', () => {
  for (const text of [
    'local-admin',
    'LOCAL-ADMIN',
    ' Local-Admin ',
    'ｌocal-admin',
    'system',
    'unauthenticated',
    '6b1f0a52-8f0e-4c57-9d3c-2f5f1f0c9a11',
  ]) {
    assert.throws(() => parseUserName(text), /reserved/, JSON.stringify(text));
  }
});

test('the normal form is a fixed point', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
      const once = normalizeName(text);
      assert.equal(normalizeName(once), once);
    }),
    { numRuns: 500 },
  );
});

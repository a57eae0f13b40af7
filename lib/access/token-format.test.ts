import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatApiToken, isApiTokenFormat } from './token-format.ts';

test('R21 a token has its prefix, 43 characters of secret and 6 of checksum, told offline', () => {
  const token = formatApiToken(new Uint8Array(32));
  assert.match(token, /^vgot_A{43}[0-9A-Za-z]{6}$/);
  assert.equal(isApiTokenFormat(token), true);
});

test('R21 a known token, so that scanners written elsewhere can be checked', () => {
  const token = formatApiToken(Uint8Array.from({ length: 32 }, (_, i) => i));
  assert.equal(token, 'vgot_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh84O7WPJ');
});

test('R21 any changed, cut or added character is told', () => {
  const anyToken = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(formatApiToken);
  fc.assert(
    fc.property(anyToken, fc.nat(53), fc.constantFrom(...'09AZaz-_'), (token, at, character) => {
      assert.equal(isApiTokenFormat(token), true);
      const changed = token.slice(0, at) + character + token.slice(at + 1);
      if (changed !== token) assert.equal(isApiTokenFormat(changed), false);
      assert.equal(isApiTokenFormat(token.slice(0, at)), false);
      assert.equal(isApiTokenFormat(`${token}${character}`), false);
    }),
    { numRuns: 300 },
  );
});

test('R21 what is no token at all is none', () => {
  for (const text of ['', 'vgot_', 'hfla_x', `VGOT_${'A'.repeat(49)}`, 'x'.repeat(1_000_000)])
    assert.equal(isApiTokenFormat(text), false);
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { IdentityError } from './errors.ts';
import { matchesHostname, parseHostname, parseHostnamePattern, parseLabels, parseUuid } from './names.ts';

const uuid = '0d5c1c0e-7c5e-4b53-9b57-0f1d3a5b7c9d';
const malformed = { name: 'IdentityError', code: 'malformed' };

describe('names', () => {
  test('incidents 11 and 21: one spelling of a UUID, and no other', () => {
    assert.equal(parseUuid(uuid), uuid);
    for (const text of [
      uuid.toUpperCase(),
      `${uuid}\n`,
      ` ${uuid}`,
      `${uuid}.`,
      uuid.slice(1),
      `${uuid}0`,
      uuid.replace('0', 'О'),
      `{${uuid}}`,
      `urn:uuid:${uuid}`,
      '../../../../../../../../etc/passwd/x',
      7,
      null,
      undefined,
      [uuid],
    ]) {
      assert.throws(() => parseUuid(text), malformed);
    }
  });

  test('a UUID that firmware gives to many machines is refused', () => {
    for (const digit of ['0', 'f']) assert.throws(() => parseUuid(uuid.replace(/[0-9a-f]/g, digit)), malformed);
  });

  test('hostnames are folded in ASCII alone', () => {
    assert.equal(parseHostname('WEB-1.Example.COM'), 'web-1.example.com');
    assert.equal(parseHostname('1'), '1');
    for (const text of ['\u212aelvin', 'web\u0307', 'İstanbul', 'straße', 'web\u200d'])
      assert.throws(() => parseHostname(text), malformed);
  });

  test('any text gives a name of the pattern or the one error, quoted harmlessly', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.string({ unit: fc.constantFrom('a', 'Z', '-', '.', '0', '\0', '/', '\u001b') }),
        ),
        (text) => {
          try {
            assert.match(parseHostname(text), /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/);
          } catch (error) {
            assert.ok(error instanceof IdentityError);
            assert.match(error.message, /^[\x20-\x7e]*$/);
          }
        },
      ),
    );
  });

  test('a pattern matches whole names, label by label', () => {
    const cases: [string, string, boolean][] = [
      ['web-*', 'web-1', true],
      ['web-*', 'web-1.evil.example', false],
      ['*.example.com', 'a.example.com', true],
      ['*.example.com', 'example.com', false],
      ['*.example.com', 'a.b.example.com', false],
      ['*.example.com', 'a.example.com.evil', false],
      ['w*b*1', 'web1', true],
      ['w*b*1', 'wb1', true],
      ['w*1*1', 'w1', false],
      ['aa*aa', 'aaa', false],
      ['web', 'web', true],
      ['web', 'webs', false],
    ];
    for (const [pattern, name, expected] of cases) {
      assert.equal(matchesHostname(parseHostnamePattern(pattern), parseHostname(name)), expected, `${pattern} ${name}`);
    }
    for (const text of ['', '**', 'a/*', 'a?', '[a]', '*.', '.*'])
      assert.throws(() => parseHostnamePattern(text), malformed);
  });

  test('matching agrees with a regular expression on all small names', () => {
    const pattern = fc
      .string({ unit: fc.constantFrom('a', 'b', '*'), minLength: 1, maxLength: 6 })
      .filter((p) => !p.includes('**'));
    const name = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(
        pattern,
        name,
        (p, n) => matchesHostname(p, n) === new RegExp(`^${p.replaceAll('*', '.*')}$`).test(n),
      ),
    );
  });

  test('labels: strict names and values, a bounded number, one order', () => {
    assert.deepEqual(Object.keys(parseLabels({ b: '1', a: '2' })), ['a', 'b']);
    const many = Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`l${i}`, 'x']));
    for (const bad of [
      { a: '' },
      { '': 'a' },
      { a: 1 },
      { 'a b': 'c' },
      { a: 'ü' },
      { a: 'x'.repeat(64) },
      JSON.parse('{"__proto__":"x"}'),
      many,
      [],
      null,
      'a',
    ]) {
      assert.throws(() => parseLabels(bad), malformed);
    }
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import canonicalizeModule from 'canonicalize';
import fc from 'fast-check';
import { fromHex, fromUtf8, toHex, utf8 } from './encoding.ts';
import { CryptoError } from './errors.ts';
import { canonicalize, type Json, parseCanonicalJson } from './jcs.ts';

/** The package is CommonJS, but its types describe an ES module. */
const reference = canonicalizeModule as unknown as (value: unknown) => string | undefined;
const malformed = (error: unknown) => error instanceof CryptoError && error.code === 'malformed';
const refuses = (text: string, limits?: { maxBytes?: number; maxDepth?: number }) =>
  assert.throws(() => parseCanonicalJson(Buffer.from(text), limits), malformed);

/** RFC 8785 Appendix B: IEEE 754 bits and their text. */
const NUMBERS = [
  ['0000000000000000', '0'],
  ['8000000000000000', '0'],
  ['0000000000000001', '5e-324'],
  ['8000000000000001', '-5e-324'],
  ['7fefffffffffffff', '1.7976931348623157e+308'],
  ['ffefffffffffffff', '-1.7976931348623157e+308'],
  ['4340000000000000', '9007199254740992'],
  ['c340000000000000', '-9007199254740992'],
  ['4430000000000000', '295147905179352830000'],
  ['44b52d02c7e14af5', '9.999999999999997e+22'],
  ['44b52d02c7e14af6', '1e+23'],
  ['44b52d02c7e14af7', '1.0000000000000001e+23'],
  ['444b1ae4d6e2ef4e', '999999999999999700000'],
  ['444b1ae4d6e2ef4f', '999999999999999900000'],
  ['444b1ae4d6e2ef50', '1e+21'],
  ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
  ['3eb0c6f7a0b5ed8d', '0.000001'],
  ['41b3de4355555553', '333333333.3333332'],
  ['41b3de4355555554', '333333333.33333325'],
  ['41b3de4355555555', '333333333.3333333'],
  ['41b3de4355555556', '333333333.3333334'],
  ['41b3de4355555557', '333333333.33333343'],
  ['becbf647612f3696', '-0.0000033333333333333333'],
  ['43143ff3c1cb0959', '1424953923781206.2'],
] as const;

describe('canonicalize (RFC 8785)', () => {
  it('§3.2.2: the example', () => {
    const source = String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`;
    assert.equal(
      canonicalize(JSON.parse(source)),
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });

  it('§3.2.3: names are sorted by UTF-16 code units', () => {
    const value = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    };
    assert.deepEqual(Object.values(JSON.parse(canonicalize(value)) as object).slice(1), [
      'Carriage Return',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ]);
    assert.ok(canonicalize(value).startsWith(String.raw`{"\r":"Carriage Return","1":"One"`));
  });

  it('Appendix B: numbers', () => {
    for (const [bits, text] of NUMBERS) {
      assert.equal(canonicalize(Buffer.from(fromHex(bits)).readDoubleBE()), text, bits);
    }
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      assert.throws(() => canonicalize(value), malformed);
    }
  });

  it('agrees with the canonicalize package on arbitrary JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: 'grapheme' }), (value) => {
        assert.equal(canonicalize(value as Json), reference(value));
      }),
      { numRuns: 400 },
    );
  });

  it('does not depend on the order in which members were added', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.integer()), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).reverse());
        assert.equal(canonicalize(reversed), canonicalize(value));
      }),
    );
  });

  it('treats __proto__ as a name like any other', () => {
    assert.equal(canonicalize(JSON.parse('{"b":1,"__proto__":{"x":1}}')), '{"__proto__":{"x":1},"b":1}');
  });

  it('refuses what JSON cannot carry', () => {
    const cyclic: Record<string, unknown> = {};
    cyclic['self'] = cyclic;
    const bad: unknown[] = [undefined, () => 1, 1n, Symbol('x'), new Date(0), new Map(), '\ud800', { '\udc00': 1 }];
    for (const value of [...bad, { a: undefined }, [undefined], cyclic]) {
      assert.throws(() => canonicalize(value as Json), malformed);
    }
  });
});

describe('parseCanonicalJson', () => {
  const profile = fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.string({ unit: 'grapheme' }),
      fc.maxSafeInteger(),
      fc.boolean(),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.string({ unit: 'grapheme', maxLength: 8 }), tie('value'), { maxKeys: 4 }),
    ),
  })).value;

  it('reads back every value of the profile', () => {
    fc.assert(
      fc.property(profile, (value) => {
        const text = canonicalize(value);
        const bytes = utf8(text);
        assert.equal(canonicalize(parseCanonicalJson(bytes, { maxBytes: 1 << 20, maxDepth: 10 })), text);
      }),
    );
  });

  it('any changed byte gives another value or is refused, never the same value from other bytes', () => {
    const original = utf8('{"a":[1,"x",true],"b":{"c":-20,"d":"\u20ac\\n"}}');
    fc.assert(
      fc.property(fc.nat(original.length - 1), fc.integer({ min: 1, max: 255 }), (index, mask) => {
        const changed = Uint8Array.from(original);
        changed[index] = (changed[index] as number) ^ mask;
        try {
          assert.equal(canonicalize(parseCanonicalJson(changed)), fromUtf8(changed));
        } catch (error) {
          assert.ok(malformed(error), toHex(changed));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('arbitrary bytes and near-JSON let only CryptoError out', () => {
    const near = fc.string({ unit: fc.constantFrom(...'{}[]",:\\u0123truefalsn.-+eE \n') });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), near.map(utf8)), (bytes) => {
        try {
          parseCanonicalJson(bytes);
        } catch (error) {
          assert.ok(malformed(error));
        }
      }),
      { numRuns: 500 },
    );
  });

  for (const [why, text] of [
    ['null', '{"a":null}'],
    ['a float', '[1.5]'],
    ['a float that is an integer', '[1.0]'],
    ['an exponent', '[1e3]'],
    ['minus zero', '[-0]'],
    ['an unsafe integer', '[9007199254740992]'],
    ['a duplicate name', '{"a":1,"a":1}'],
    ['a duplicate name in another spelling', String.raw`{"a":1,"\u0061":1}`],
    ['unsorted names', '{"b":1,"a":1}'],
    ['white space', '{"a": 1}'],
    ['a line end', '{"a":1}\n'],
    ['a needless escape', String.raw`["\u0061"]`],
    ['an escaped slash', String.raw`["\/"]`],
    ['an upper-case escape', String.raw`["\u000F"]`],
    ['a raw control character', '["\u0001"]'],
    ['an escaped lone surrogate', String.raw`["\ud800"]`],
    ['a byte order mark', '\ufeff[]'],
    ['nothing', ''],
    ['two values', '[][]'],
    ['a cut-off value', '{"a":'],
  ] as const) {
    it(`refuses ${why}`, () => refuses(text));
  }

  it('refuses bytes that are not UTF-8', () => {
    assert.throws(() => parseCanonicalJson(Uint8Array.of(0x22, 0xff, 0x22)), malformed);
  });

  it('limits depth before parsing, and brackets in strings do not count', () => {
    assert.deepEqual(parseCanonicalJson(utf8('[[[[[[[[]]]]]]]]')), [[[[[[[[]]]]]]]]);
    refuses('[[[[[[[[[]]]]]]]]]');
    refuses('[[]]', { maxDepth: 1 });
    refuses('['.repeat(100_000), { maxBytes: 200_000 });
    assert.deepEqual(parseCanonicalJson(utf8(String.raw`["[[[\"[[[[[[[["]`), { maxDepth: 1 }), ['[[["[[[[[[[[']);
  });

  it('limits size', () => {
    parseCanonicalJson(utf8(JSON.stringify('x'.repeat(8190))));
    refuses(JSON.stringify('x'.repeat(8191)));
    refuses('[10]', { maxBytes: 3 });
  });
});

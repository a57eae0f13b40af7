import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { sha256, sha256Hex } from './digest.ts';
import {
  concatBytes,
  equalBytes,
  fromBase64,
  fromBase64url,
  fromHex,
  fromUtf8,
  toBase64,
  toBase64url,
  toHex,
  u16be,
  u32be,
  u64be,
  utf8,
} from './encoding.ts';
import { CryptoError } from './errors.ts';
import { Secret } from './secret.ts';

/** Any UTF-16 code unit, lone surrogates included. */
const codeUnit = fc.nat(0xffff).map((unit) => String.fromCharCode(unit));

const malformed = (error: unknown) => error instanceof CryptoError && error.code === 'malformed';
const codecs = [
  { name: 'base64url', to: toBase64url, from: fromBase64url },
  { name: 'base64', to: toBase64, from: fromBase64 },
  { name: 'hex', to: toHex, from: fromHex },
];

describe('encodings of bytes', () => {
  for (const { name, to, from } of codecs) {
    it(`${name}: what was encoded comes back`, () => {
      fc.assert(fc.property(fc.uint8Array(), (bytes) => equalBytes(from(to(bytes)), bytes)));
    });

    it(`${name}: any text is either the one encoding of its bytes or malformed`, () => {
      fc.assert(
        fc.property(fc.string({ unit: codeUnit }), (text) => {
          try {
            assert.equal(to(from(text)), text);
          } catch (error) {
            assert.ok(malformed(error));
          }
        }),
      );
    });
  }

  it('RFC 4648 §10 vectors', () => {
    assert.equal(toBase64(utf8('fooba')), 'Zm9vYmE=');
    assert.equal(toBase64url(utf8('fooba')), 'Zm9vYmE');
    assert.equal(toHex(utf8('fooba')), '666f6f6261');
  });

  for (const [name, from, texts] of [
    ['base64url', fromBase64url, ['Zm9vYmE=', 'Zm9v YmE', '+/+/', 'Zm9vYmF', 'A', 'Zm9vYmE\n', 'Zm9vYmEé']],
    ['base64', fromBase64, ['Zm9vYmE', 'Zm9vYmE==', '-_-_', 'Zm9vYmF=', 'Zm9v\nYmE=', ' Zm9vYmE=']],
    ['hex', fromHex, ['0', 'AB', '0g', '0x00', 'ab ', ' ab']],
  ] as const) {
    for (const text of texts)
      it(`${name} refuses ${JSON.stringify(text)}`, () => assert.throws(() => from(text), malformed));
  }
});

describe('text', () => {
  it('round-trips well-formed text and refuses lone surrogates', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => fromUtf8(utf8(text)) === text));
    assert.equal(fromUtf8(utf8('\ufeffa')), '\ufeffa');
    assert.throws(() => utf8('a\ud800'), malformed);
  });

  it('refuses overlong, truncated and surrogate sequences', () => {
    for (const hex of ['c080', 'e282', 'eda080', 'ff', 'f4908080'])
      assert.throws(() => fromUtf8(fromHex(hex)), malformed);
  });
});

describe('integers', () => {
  it('are big-endian', () => {
    assert.equal(toHex(u16be(0x0102)), '0102');
    assert.equal(toHex(u32be(0xfffefdfc)), 'fffefdfc');
    assert.equal(toHex(u64be(Number.MAX_SAFE_INTEGER)), '001fffffffffffff');
    fc.assert(fc.property(fc.maxSafeNat(), (value) => Buffer.from(u64be(value)).readBigUInt64BE() === BigInt(value)));
  });

  it('out of range is a bug of the caller', () => {
    for (const bad of [-1, 0.5, Number.NaN, 2 ** 53]) assert.throws(() => u64be(bad), TypeError);
    assert.throws(() => u16be(0x10000), TypeError);
    assert.throws(() => u32be(2 ** 32), TypeError);
  });
});

describe('bytes and digests', () => {
  it('compares contents and lengths', () => {
    assert.ok(equalBytes(Uint8Array.of(1, 2), Buffer.from([1, 2])));
    assert.ok(!equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3)));
    assert.ok(!equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0)));
    assert.deepEqual([...concatBytes(Uint8Array.of(1), Uint8Array.of(), Uint8Array.of(2, 3))], [1, 2, 3]);
  });

  it('FIPS 180-4: SHA-256 of "abc", of bytes and of text', () => {
    const expected = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    assert.equal(sha256Hex('abc'), expected);
    assert.equal(sha256Hex(utf8('abc')), expected);
    assert.equal(toHex(sha256('abc')), expected);
  });
});

describe('Secret', () => {
  it('shows itself nowhere but through reveal()', () => {
    const secret = new Secret('hunter2');
    const shown = [`${secret}`, JSON.stringify({ secret }), inspect({ secret }, { showHidden: true }), String(secret)];
    for (const text of shown) assert.ok(text.includes('[redacted]') && !text.includes('hunter2'), text);
    assert.deepEqual(Object.keys(secret), []);
    assert.equal(secret.reveal(), 'hunter2');
  });
});

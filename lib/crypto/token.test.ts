import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { sha256Hex } from './digest.ts';
import { utf8 } from './encoding.ts';
import { CryptoError } from './errors.ts';
import {
  formatEnrollmentToken,
  hashOpaqueToken,
  hashTokenSecret,
  newOpaqueToken,
  parseEnrollmentToken,
} from './token.ts';

/** Any UTF-16 code unit, lone surrogates included. */
const codeUnit = fc.nat(0xffff).map((unit) => String.fromCharCode(unit));

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const token = formatEnrollmentToken({ secret: new Uint8Array(32).fill(1), pin: new Uint8Array(32).fill(2) });

function refusal(text: string): CryptoError {
  try {
    parseEnrollmentToken(text);
  } catch (error) {
    assert.ok(error instanceof CryptoError && error.code === 'malformed');
    return error;
  }
  throw new assert.AssertionError({ message: 'was accepted' });
}

describe('enrollment tokens', () => {
  it('have one form', () => {
    assert.equal(token, `hfe_${'AQEB'.repeat(10)}AQE.${'AgIC'.repeat(10)}AgI`);
    assert.equal(token.length, 91);
  });

  it('come back as they were made', () => {
    fc.assert(
      fc.property(bytes32, bytes32, (secret, pin) => {
        const parsed = parseEnrollmentToken(formatEnrollmentToken({ secret, pin }));
        assert.deepEqual([...parsed.secret], [...secret]);
        assert.deepEqual([...parsed.pin], [...pin]);
      }),
    );
  });

  it('cut off at any place: says so, and never quotes the token', () => {
    for (let length = 4; length < token.length; length += 1) {
      const { message } = refusal(token.slice(0, length));
      assert.match(message, new RegExp(`91 characters, this one has ${length}; it was cut off: copy the whole of it`));
      assert.ok(!message.includes(token.slice(4, 12)));
    }
  });

  it('with something pasted along, or the wrong prefix: says so', () => {
    assert.match(refusal(`${token}\n`).message, /something was pasted with it/);
    assert.match(refusal(` ${token}`).message, /begins with "hfe_"/);
    assert.match(refusal(token.toUpperCase()).message, /begins with "hfe_"/);
    assert.match(refusal('').message, /begins with "hfe_"/);
  });

  it('altered: refused where the text is not the one encoding of 32 bytes', () => {
    assert.match(refusal(token.replace('.', '-')).message, /its dot is not in its place/);
    assert.match(refusal(`${token.slice(0, -1)}J`).message, /a character in it cannot be right/);
    assert.match(refusal(token.replace('AQEB', 'AQ+B')).message, /a character in it cannot be right/);
  });

  it('arbitrary text lets only CryptoError out', () => {
    fc.assert(
      fc.property(fc.string({ unit: codeUnit, maxLength: 100 }), (text) => {
        refusal(text);
        refusal(`hfe_${text}`);
      }),
    );
  });

  it('are kept as the SHA-256 of their secret', () => {
    const { secret } = parseEnrollmentToken(token);
    assert.equal(hashTokenSecret(secret), sha256Hex(secret));
  });

  it('making one of the wrong length is a bug of the caller', () => {
    assert.throws(() => formatEnrollmentToken({ secret: new Uint8Array(31), pin: new Uint8Array(32) }), TypeError);
    assert.throws(() => formatEnrollmentToken({ secret: new Uint8Array(32), pin: new Uint8Array(33) }), TypeError);
  });
});

describe('opaque tokens', () => {
  it('are a prefix and 32 random bytes', () => {
    assert.match(newOpaqueToken('hfa_'), /^hfa_[A-Za-z0-9_-]{43}$/);
    assert.notEqual(newOpaqueToken('hfa_'), newOpaqueToken('hfa_'));
    assert.equal(
      newOpaqueToken('hfa_', (n) => new Uint8Array(n)),
      `hfa_${'A'.repeat(43)}`,
    );
    assert.equal(hashOpaqueToken('hfa_x'), sha256Hex(utf8('hfa_x')));
    for (const prefix of ['', 'hfa', '_', 'HFA_', 'a.b_']) assert.throws(() => newOpaqueToken(prefix), TypeError);
  });
});

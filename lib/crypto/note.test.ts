import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { generateEd25519, parseEd25519PublicKey, signEd25519 } from './ed25519.ts';
import { fromBase64, toBase64, utf8 } from './encoding.ts';
import { CryptoError } from './errors.ts';
import {
  addNoteSignature,
  formatNote,
  formatVerifierKey,
  type NoteSigner,
  noteKeyId,
  noteVerifier,
  openNote,
  parseNote,
  parseVerifierKey,
  signNote,
} from './note.ts';

/** Any UTF-16 code unit, lone surrogates included. */
const codeUnit = fc.nat(0xffff).map((unit) => String.fromCharCode(unit));

/** The published example of Go's golang.org/x/mod/sumdb/note: key, note, and the note signed by a second key. */
const GO_KEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const GO_LINE =
  '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';
const GO_SECOND_LINE =
  '— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n';
const GO_NOTE = `${GO_TEXT}\n${GO_LINE}`;

function makeSigner(): NoteSigner {
  const { publicKey, privateKey } = generateEd25519();
  return { publicKey, sign: async (message) => signEd25519(privateKey, message) };
}

function assertCode(action: () => unknown, code: string): void {
  assert.throws(action, (error) => error instanceof CryptoError && error.code === code);
}

describe('signed notes made by Go', () => {
  const verifier = parseVerifierKey(GO_KEY);

  it('open under their key', () => {
    assert.deepEqual(openNote(GO_NOTE, [verifier]), {
      text: GO_TEXT,
      signatures: [{ name: 'PeterNeumann', keyId: 0xc74f20a3 }],
    });
    assert.equal(openNote(utf8(GO_NOTE), [verifier]).text, GO_TEXT);
  });

  it('open when a stranger has signed as well, before or after', () => {
    for (const lines of [GO_LINE + GO_SECOND_LINE, GO_SECOND_LINE + GO_LINE]) {
      assert.equal(openNote(`${GO_TEXT}\n${lines}`, [verifier]).signatures.length, 1);
    }
  });

  it('come back byte for byte from parse and format, with the signatures of unknown keys and types', () => {
    const cosignature = `— witness.example/w1 ${toBase64(new Uint8Array(76).fill(4))}\n`;
    const postQuantum = `— log.example ${toBase64(new Uint8Array(2424).fill(6))}\n`;
    const note = `${GO_TEXT}\n${GO_LINE}${GO_SECOND_LINE}${cosignature}${postQuantum}`;
    assert.equal(formatNote(parseNote(note)), note);
    assert.equal(parseNote(note).signatures.length, 4);
    assert.equal(openNote(note, [verifier]).signatures.length, 1);
  });

  it('the verifier key comes back as it was', () => {
    assert.equal(verifier.keyId, 0xc74f20a3);
    const key = fromBase64(GO_KEY.slice('PeterNeumann+c74f20a3+'.length)).subarray(1);
    assert.equal(noteKeyId('PeterNeumann', 1, key), 0xc74f20a3);
    assert.equal(formatVerifierKey('PeterNeumann', parseEd25519PublicKey(key)), GO_KEY);
  });
});

describe('verifier keys', () => {
  it('round-trip', () => {
    const { publicKey } = makeSigner();
    const text = formatVerifierKey('log.example/fleet', publicKey);
    const verifier = parseVerifierKey(text);
    assert.equal(verifier.name, 'log.example/fleet');
    assert.equal(verifier.keyId, noteVerifier('log.example/fleet', publicKey).keyId);
  });

  for (const [why, text, code] of [
    ['another hash', GO_KEY.replace('c74f20a3', 'c74f20a4'), 'malformed'],
    ['another name', GO_KEY.replace('Peter', 'Pete'), 'malformed'],
    ['an upper-case hash', GO_KEY.replace('c74f20a3', 'C74F20A3'), 'malformed'],
    ['no name', GO_KEY.replace('PeterNeumann', ''), 'malformed'],
    ['a space in the name', GO_KEY.replace('PeterNeumann', 'Peter Neumann'), 'malformed'],
    ['another signature type', 'PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW', 'unsupported'],
    ['a key of another length', 'PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADK', 'malformed'],
    ['a weak key', `x+00000000+${toBase64(Uint8Array.of(1, 1, ...new Uint8Array(31)))}`, 'weak_key'],
    ['nothing', '', 'malformed'],
    ['no key', 'a+00000000+', 'unsupported'],
  ] as const) {
    it(`refuses ${why}`, () => assertCode(() => parseVerifierKey(text), code));
  }

  it('arbitrary text lets only CryptoError out', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: codeUnit }),
          fc.string().map((s) => `${GO_KEY.slice(0, 30)}${s}`),
        ),
        (text) => {
          assert.throws(() => parseVerifierKey(text), CryptoError);
        },
      ),
    );
  });
});

describe('signing notes', () => {
  it('what we sign opens; the text keeps its own empty lines', async () => {
    const signer = makeSigner();
    const text = 'log.example\n\n\n12\n\n';
    const note = await signNote(text, 'log.example', signer);
    assert.equal(openNote(note, [noteVerifier('log.example', signer.publicKey)]).text, text);
  });

  it('a second signature is added, and one by the same key replaced', async () => {
    const [first, second] = [makeSigner(), makeSigner()];
    const note = await signNote('a\n', 'one', first);
    const both = await addNoteSignature(note, 'two', second);
    const verifiers = [noteVerifier('one', first.publicKey), noteVerifier('two', second.publicKey)];
    assert.deepEqual(
      openNote(both, verifiers).signatures.map(({ name }) => name),
      ['one', 'two'],
    );
    assert.equal(await addNoteSignature(both, 'two', second), both);
    assert.ok(both.startsWith(note));
  });

  it('refuses texts and names that could not be read back', async () => {
    const signer = makeSigner();
    const bad = [
      ['a', 'n'],
      ['', 'n'],
      ['a\r\n', 'n'],
      ['a\u0000\n', 'n'],
      ['\ud800\n', 'n'],
      ['a\n', ''],
      ['a\n', 'a b'],
      ['a\n', 'a+b'],
      ['a\n', 'a\u00a0b'],
    ];
    for (const [text = '', name = ''] of bad) await assert.rejects(signNote(text, name, signer), CryptoError);
  });
});

describe('opening notes', () => {
  const verifier = parseVerifierKey(GO_KEY);

  it('without a signature by a known key: not authentic, and says by whom it is signed', () => {
    assertCode(() => openNote(GO_NOTE, []), 'not_authentic');
    assertCode(() => openNote(`${GO_TEXT}\n${GO_SECOND_LINE}`, [verifier]), 'not_authentic');
    assert.throws(() => openNote(GO_NOTE, []), /only by "PeterNeumann" \(c74f20a3\)/);
  });

  it('a bad signature by a known key fails the note, even beside a good one', async () => {
    const signer = makeSigner();
    const note = await addNoteSignature(GO_NOTE, 'other', signer);
    const known = [verifier, noteVerifier('other', signer.publicKey)];
    assert.equal(openNote(note, known).signatures.length, 2);
    const parsed = parseNote(note);
    const broken = parsed.signatures.map((s) =>
      s.name === 'other' ? { ...s, signature: s.signature.map((b) => b ^ 1) } : s,
    );
    assertCode(() => openNote(formatNote({ ...parsed, signatures: broken }), known), 'not_authentic');
    const repeated = [...parsed.signatures, ...broken.slice(1)];
    assertCode(() => openNote(formatNote({ ...parsed, signatures: repeated }), known), 'not_authentic');
  });

  it('a repeated good signature counts once', () => {
    assert.equal(openNote(`${GO_TEXT}\n${GO_LINE}${GO_LINE}`, [verifier]).signatures.length, 1);
  });

  it('the same name with another key, and the same id under another name, are strangers', () => {
    const other = noteVerifier('PeterNeumann', makeSigner().publicKey);
    assertCode(() => openNote(GO_NOTE, [other]), 'not_authentic');
    assertCode(() => openNote(GO_NOTE, [{ ...verifier, name: 'Peter' }]), 'not_authentic');
  });

  it('the text moved by a line is not what was signed', () => {
    assertCode(() => openNote(`\n${GO_NOTE}`, [verifier]), 'not_authentic');
    assertCode(() => openNote(`${GO_TEXT}\n\n${GO_LINE}`, [verifier]), 'not_authentic');
    assertCode(() => openNote(`${GO_TEXT}\n${GO_LINE}\n${GO_LINE}`, [verifier]), 'not_authentic');
  });

  for (const [why, note] of [
    ['no signatures', `${GO_TEXT}\n`],
    ['no empty line', `${GO_TEXT}${GO_LINE}`],
    ['no line end', GO_NOTE.slice(0, -1)],
    ['carriage returns', GO_NOTE.replaceAll('\n', '\r\n')],
    ['a tab', GO_NOTE.replace('answer', 'ans\twer')],
    ['a hyphen for the em dash', GO_NOTE.replace('—', '-')],
    ['two spaces', GO_NOTE.replace('PeterNeumann ', 'PeterNeumann  ')],
    ['a signature without padding', GO_NOTE.replace('nAM=', 'nAM')],
    ['spare bits', GO_NOTE.replace('nAM=', 'nAN=')],
    ['a signature of four bytes', `a\n\n— a ${toBase64(new Uint8Array(4))}\n`],
    ['a plus sign in the name', GO_NOTE.replace('PeterNeumann', 'Peter+Neumann')],
    ['a wide space in the name', GO_NOTE.replace('PeterNeumann', 'Peter\u3000Neumann')],
    ['a lone surrogate', GO_NOTE.replace('answer', '\ud800')],
    ['too many signatures', `${GO_TEXT}\n${GO_LINE.repeat(65)}`],
    ['too many bytes', `${'x'.repeat(600_000)}\n\n${GO_LINE}`],
  ] as const) {
    it(`refuses ${why}`, () => assertCode(() => openNote(note, [verifier]), 'malformed'));
  }

  it('refuses bytes that are not UTF-8', () => {
    const bytes = Uint8Array.from(utf8(GO_NOTE));
    bytes[3] = 0xff;
    assertCode(() => openNote(bytes, [verifier]), 'malformed');
  });

  it('any changed byte fails, with a CryptoError', () => {
    const original = utf8(GO_NOTE);
    fc.assert(
      fc.property(fc.nat(original.length - 1), fc.integer({ min: 1, max: 255 }), (index, mask) => {
        const changed = Uint8Array.from(original);
        changed[index] = (changed[index] as number) ^ mask;
        assert.throws(() => openNote(changed, [verifier]), CryptoError);
      }),
      { numRuns: 500 },
    );
  });

  it('arbitrary bytes let only CryptoError out', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => void assert.throws(() => openNote(bytes, [verifier]), CryptoError)),
    );
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestSigner, testOrigin } from '../../test/fakes/audit-log.ts';
import { noteVerifier, signNote } from '../crypto/note.ts';
import { formatCheckpoint, openCheckpoint, parseCheckpoint } from './checkpoint.ts';
import { emptyRoot } from './tree.ts';

const checkpoint = { origin: testOrigin, size: 12, root: emptyRoot };
const root = Buffer.from(emptyRoot).toString('base64');

test('a checkpoint, byte for byte, there and back', () => {
  assert.equal(formatCheckpoint(checkpoint), `holdfast.local/test\n12\n${root}\n`);
  assert.deepEqual(parseCheckpoint(formatCheckpoint(checkpoint)), { ...checkpoint, root: Buffer.from(emptyRoot) });
});

test('extension lines are allowed', () => {
  assert.equal(parseCheckpoint(`o\n0\n${root}\nmore\n`).size, 0);
});

const refused: readonly [string, string][] = [
  ['no lines', ''],
  ['no root', 'o\n1\n'],
  ['no final line feed', `o\n1\n${root}`],
  ['an empty origin', `\n1\n${root}\n`],
  ['an empty extension', `o\n1\n${root}\n\nx\n`],
  ['a leading zero', `o\n01\n${root}\n`],
  ['a sign', `o\n+1\n${root}\n`],
  ['a size beyond 2^53', `o\n9007199254740993\n${root}\n`],
  ['hexadecimal', `o\n0x10\n${root}\n`],
  ['a short root', `o\n1\n${root.slice(4)}\n`],
  ['a root in base64url', `o\n1\n${root.replaceAll('+', '-').replaceAll('/', '_')}\n`],
  ['a root without padding', `o\n1\n${root.replace('=', '')}\n`],
  ['a carriage return', `o\r\n1\r\n${root}\r\n`],
];
for (const [name, text] of refused) {
  test(`a checkpoint is refused: ${name}`, () => {
    assert.throws(() => parseCheckpoint(text), { name: 'AuditError', code: 'malformed' });
  });
}

test('R54 a note counts only by the key and the name of its origin', async () => {
  const signer = createTestSigner();
  const sign = (name: string, text = formatCheckpoint(checkpoint), by = signer) =>
    signNote(text, name, { publicKey: by.raw, sign: by.sign });
  const options = { origin: testOrigin, verifiers: [noteVerifier(testOrigin, signer.raw)] };
  assert.equal(openCheckpoint(await sign(testOrigin), options).size, 12);
  const refuse = async (made: Promise<string>) => {
    const note = await made;
    assert.throws(() => openCheckpoint(note, options), { name: 'AuditError', code: 'not_authentic' });
  };
  await refuse(sign(testOrigin, undefined, createTestSigner()));
  await refuse(sign('holdfast.local/other'));
  await refuse(sign(testOrigin, formatCheckpoint({ ...checkpoint, origin: 'holdfast.local/other' })));
  const others = { origin: testOrigin, verifiers: [noteVerifier('holdfast.local/other', signer.raw)] };
  const note = await sign('holdfast.local/other');
  assert.throws(() => openCheckpoint(note, others), { code: 'not_authentic' });
  assert.throws(() => openCheckpoint('x'.repeat(70_000), options), { code: 'malformed' });
});

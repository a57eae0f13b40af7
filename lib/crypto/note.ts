/** Signed notes (c2sp.org/signed-note): text that people can read, with signature lines beneath. Carries audit checkpoints and artifact manifests. */

import { sha256 } from './digest.ts';
import { type Ed25519PublicKey, parseEd25519PublicKey, verifyEd25519 } from './ed25519.ts';
import { concatBytes, fromBase64, fromHex, fromUtf8, toBase64, toHex, u32be, utf8 } from './encoding.ts';
import { CryptoError } from './errors.ts';

/** Signature type bytes assigned by the specification; only the first is verified in this file. */
export const NOTE_ED25519 = 0x01;

export interface NoteKey {
  readonly name: string;
  /** The first four bytes of a hash over name, type and key, as an unsigned number. */
  readonly keyId: number;
}

/** Decides about the signatures of one key. Other signature types (cosignatures, ML-DSA) bring their own. */
export interface NoteVerifier extends NoteKey {
  verify(text: Uint8Array, signature: Uint8Array): boolean;
}

export interface NoteSigner {
  readonly publicKey: Ed25519PublicKey;
  sign(message: Uint8Array): Promise<Uint8Array>;
}

export interface NoteSignature extends NoteKey {
  /** What follows the key id: 64 bytes for Ed25519, anything for unknown types. */
  readonly signature: Uint8Array;
}

/** A note whose form is right and whose signatures nobody has looked at yet. */
export interface UnverifiedNote {
  /** Ends in a line feed. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

export interface VerifiedNote {
  readonly text: string;
  /** The known keys whose signatures were verified, each once. */
  readonly signatures: readonly NoteKey[];
}

/** Room for a log's own signatures and a few dozen witnesses; the specification asks for 16 at least. */
const MAX_SIGNATURES = 64;
/** Room for `MAX_SIGNATURES` post-quantum ones of nearly 5 kB each. */
const MAX_BYTES = 512 * 1024;
const SIGNATURE_PREFIX = '\u2014 ';

/** The key id that the specification recommends for every type but 0x02. */
export function noteKeyId(name: string, type: number, key: Uint8Array): number {
  const digest = sha256(concatBytes(utf8(`${name}\n`), Uint8Array.of(type), key));
  return Buffer.from(digest.buffer, digest.byteOffset, 4).readUInt32BE();
}

/** `name+hash+base64`, as Go's `sumdb/note` writes verifier keys. */
export function formatVerifierKey(name: string, key: Ed25519PublicKey): string {
  assertKeyName(name);
  const id = toHex(u32be(noteKeyId(name, NOTE_ED25519, key)));
  return `${name}+${id}+${toBase64(concatBytes(Uint8Array.of(NOTE_ED25519), key))}`;
}

/** Reads an Ed25519 verifier key. Throws `CryptoError` `unsupported` for another signature type. */
export function parseVerifierKey(text: string): NoteVerifier {
  const [name = '', id = '', ...rest] = text.split('+');
  const encoded = fromBase64(rest.join('+'));
  assertKeyName(name);
  if (encoded[0] !== NOTE_ED25519) throw new CryptoError('unsupported', 'the verifier key is not for Ed25519');
  const key = parseEd25519PublicKey(encoded.subarray(1));
  const verifier = noteVerifier(name, key);
  if (id.length !== 8 || Buffer.compare(fromHex(id), u32be(verifier.keyId)) !== 0) {
    throw new CryptoError('malformed', 'the verifier key was altered: its hash does not belong to it');
  }
  return verifier;
}

export function noteVerifier(name: string, key: Ed25519PublicKey): NoteVerifier {
  assertKeyName(name);
  return {
    name,
    keyId: noteKeyId(name, NOTE_ED25519, key),
    verify: (text, signature) => verifyEd25519(key, text, signature),
  };
}

/** A whole note: `text`, which must end in a line feed, and one Ed25519 signature under `name`. */
export async function signNote(text: string, name: string, signer: NoteSigner): Promise<string> {
  return formatNote({ text, signatures: [await signText(text, name, signer)] });
}

/** Adds a signature after those that are there. An earlier one by the same key is replaced; unknown ones are kept as they are. */
export async function addNoteSignature(note: string, name: string, signer: NoteSigner): Promise<string> {
  const { text, signatures } = parseNote(note);
  const added = await signText(text, name, signer);
  return formatNote({ text, signatures: [...signatures.filter((other) => !isSameKey(other, added)), added] });
}

/**
 * Opens an attacker-controlled note. Throws `CryptoError` `not_authentic` when no signature is by a known key, and also
 * when any signature that claims a known key does not verify. Signatures by unknown keys are ignored, as the
 * specification demands. Only the returned text may be used.
 */
export function openNote(note: string | Uint8Array, verifiers: readonly NoteVerifier[]): VerifiedNote {
  const { text, signatures } = parseNote(note);
  const signed = utf8(text);
  const verified: NoteKey[] = [];
  for (const signature of signatures) {
    const verifier = verifiers.find((known) => isSameKey(known, signature));
    if (verifier === undefined) continue;
    if (!verifier.verify(signed, signature.signature)) {
      throw new CryptoError('not_authentic', `the note's signature by ${quoteKey(signature)} does not verify`);
    }
    if (!verified.some((known) => isSameKey(known, signature))) {
      verified.push({ name: verifier.name, keyId: verifier.keyId });
    }
  }
  if (verified.length === 0) {
    const keys = signatures.slice(0, 4).map(quoteKey).join(', ');
    throw new CryptoError('not_authentic', `the note has no signature by a known key, only by ${keys}`);
  }
  return { text, signatures: verified };
}

/** Takes an attacker-controlled note apart. The text MUST NOT be used before `openNote` accepted it. */
export function parseNote(note: string | Uint8Array): UnverifiedNote {
  const length = typeof note === 'string' ? Buffer.byteLength(note) : note.length;
  if (length > MAX_BYTES) throw new CryptoError('malformed', `the note is ${length} bytes, limit ${MAX_BYTES}`);
  const whole = typeof note === 'string' ? note : fromUtf8(note);
  assertNoteText(whole);
  // The text may hold empty lines: the last one in the note separates.
  const split = whole.lastIndexOf('\n\n');
  if (split < 0) throw new CryptoError('malformed', 'the note has no empty line before its signatures');
  const lines = whole.slice(split + 2).split('\n');
  lines.pop(); // what follows the last line feed: nothing
  if (lines.length === 0) throw new CryptoError('malformed', 'the note has no signatures');
  if (lines.length > MAX_SIGNATURES)
    throw new CryptoError('malformed', `the note has over ${MAX_SIGNATURES} signatures`);
  return { text: whole.slice(0, split + 1), signatures: lines.map(parseSignatureLine) };
}

/** The inverse of `parseNote`. */
export function formatNote(note: UnverifiedNote): string {
  assertNoteText(note.text);
  const lines = note.signatures.map(({ name, keyId, signature }) => {
    assertKeyName(name);
    return `${SIGNATURE_PREFIX}${name} ${toBase64(concatBytes(u32be(keyId), signature))}\n`;
  });
  return `${note.text}\n${lines.join('')}`;
}

async function signText(text: string, name: string, signer: NoteSigner): Promise<NoteSignature> {
  assertNoteText(text);
  assertKeyName(name);
  return {
    name,
    keyId: noteKeyId(name, NOTE_ED25519, signer.publicKey),
    signature: await signer.sign(utf8(text)),
  };
}

function parseSignatureLine(line: string): NoteSignature {
  const [name = '', encoded = '', ...more] = line.slice(SIGNATURE_PREFIX.length).split(' ');
  if (!line.startsWith(SIGNATURE_PREFIX) || more.length > 0) {
    throw new CryptoError('malformed', 'a signature line of the note is not "\u2014 name base64"');
  }
  assertKeyName(name);
  const bytes = fromBase64(encoded);
  if (bytes.length < 5) throw new CryptoError('malformed', 'a signature of the note is too short');
  const keyId = Buffer.from(bytes.buffer, bytes.byteOffset, 4).readUInt32BE();
  return { name, keyId, signature: bytes.subarray(4) };
}

function assertNoteText(text: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the specification forbids exactly these
  if (!text.isWellFormed() || /[\u0000-\u0009\u000b-\u001f]/.test(text)) {
    throw new CryptoError('malformed', 'the note has control characters or is not well-formed text');
  }
  if (!text.endsWith('\n')) throw new CryptoError('malformed', 'the note does not end in a line feed');
}

function assertKeyName(name: string): void {
  if (name === '' || /[+\p{White_Space}]/u.test(name) || !name.isWellFormed()) {
    throw new CryptoError('malformed', `${JSON.stringify(name.slice(0, 64))} is not a key name`);
  }
}

function isSameKey(a: NoteKey, b: NoteKey): boolean {
  return a.name === b.name && a.keyId === b.keyId;
}

function quoteKey(key: NoteKey): string {
  return `${JSON.stringify(key.name.slice(0, 128))} (${toHex(u32be(key.keyId))})`;
}

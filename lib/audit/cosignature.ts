/** A witness's statement that a checkpoint is the newest it saw and follows from all before (C2SP tlog-cosignature, v1). */
import { type Ed25519PublicKey, parseEd25519PublicKey, verifyEd25519 } from '../crypto/ed25519.ts';
import { concatBytes, fromBase64, fromHex, toBase64, toHex, u32be, u64be, utf8 } from '../crypto/encoding.ts';
import { CryptoError } from '../crypto/errors.ts';
import { type NoteSignature, type NoteSigner, type NoteVerifier, noteKeyId } from '../crypto/note.ts';

/** C2SP tlog-cosignature, "Format": the type of Ed25519 cosignatures. */
export const cosignatureType = 0x04;

const signatureBytes = 64;
const timestampBytes = 8;

export type CosignatureVerifier = NoteVerifier & { readonly publicKey: Ed25519PublicKey };

/** Verifies cosignatures of one witness; a note that one of them stands under can be opened with it like any other. */
export function cosignatureVerifier(name: string, publicKey: Ed25519PublicKey): CosignatureVerifier {
  return {
    name,
    publicKey,
    keyId: noteKeyId(name, cosignatureType, publicKey),
    verify(text, signature) {
      if (signature.length !== timestampBytes + signatureBytes) return false;
      const seconds = timestampOf(signature);
      if (!Number.isSafeInteger(seconds)) return false;
      return verifyEd25519(publicKey, signedMessage(text, seconds), signature.subarray(timestampBytes));
    },
  };
}

/** Unix seconds that a cosignature states; meaningful once it verified. */
export function timestampOf(signature: Uint8Array): number {
  return Number(Buffer.from(signature.buffer, signature.byteOffset, timestampBytes).readBigUInt64BE());
}

/** `text` is the note's text, which the witness has verified; `seconds` is Unix time. */
export async function cosign(
  text: string,
  { name, seconds, signer }: { readonly name: string; readonly seconds: number; readonly signer: NoteSigner },
): Promise<NoteSignature> {
  const signature = await signer.sign(signedMessage(utf8(text), seconds));
  const keyId = noteKeyId(name, cosignatureType, signer.publicKey);
  return { name, keyId, signature: concatBytes(u64be(seconds), signature) };
}

/** `name+hash+base64` of type 0x04. */
export function formatWitnessKey(name: string, key: Ed25519PublicKey): string {
  const id = toHex(u32be(noteKeyId(name, cosignatureType, key)));
  return `${name}+${id}+${toBase64(concatBytes(Uint8Array.of(cosignatureType), key))}`;
}

/** Throws `CryptoError` `malformed`, `weak_key`, or `unsupported` for another type. */
export function parseWitnessKey(text: string): CosignatureVerifier {
  const [name = '', id = '', ...rest] = text.split('+');
  const encoded = fromBase64(rest.join('+'));
  if (encoded[0] !== cosignatureType) throw new CryptoError('unsupported', 'the key is not for Ed25519 cosignatures');
  if (name === '' || /\s/u.test(name)) throw new CryptoError('malformed', 'the witness key has no name');
  const verifier = cosignatureVerifier(name, parseEd25519PublicKey(encoded.subarray(1)));
  if (!/^[0-9a-f]{8}$/.test(id) || Buffer.compare(fromHex(id), u32be(verifier.keyId)) !== 0) {
    throw new CryptoError('malformed', 'the witness key was altered: its hash does not belong to it');
  }
  return verifier;
}

/** C2SP tlog-cosignature, "Ed25519 signed message". */
function signedMessage(text: Uint8Array, seconds: number): Uint8Array {
  return concatBytes(utf8(`cosignature/v1\ntime ${seconds}\n`), text);
}

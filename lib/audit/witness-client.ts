/** Asks witnesses to cosign a published checkpoint (C2SP tlog-witness), and keeps what they said beneath it. */
import { fromUtf8 } from '../crypto/encoding.ts';
import { CryptoError } from '../crypto/errors.ts';
import { formatNote, type NoteSignature, type NoteVerifier, openNote, parseNote } from '../crypto/note.ts';
import { formatAddCheckpoint } from './add-checkpoint.ts';
import { openCheckpoint } from './checkpoint.ts';
import { AuditError } from './port.ts';
import type { LogSource } from './publication.ts';
import { createTileReader } from './tile-reader.ts';
import { consistencyProof } from './tree.ts';
import type { PolicyWitness } from './witness-policy.ts';

/** Sends one request; the answer is attacker-controlled and at most 64 KiB. */
export type PostText = (
  url: string,
  body: string,
) => Promise<{ readonly status: number; readonly type: string; readonly body: string }>;

export type WitnessClientDeps = {
  readonly source: LogSource;
  readonly origin: string;
  readonly verifiers: readonly NoteVerifier[];
  readonly post: PostText;
};

export type WitnessClient = {
  /**
   * The cosignature of `note` by one witness. Throws `AuditError`: `not_authentic` when the witness knows another
   * history or answers with what it did not sign, `unavailable` when it can't be asked.
   */
  cosign(witness: PolicyWitness, note: string): Promise<NoteSignature>;
};

export function createWitnessClient({ source, origin, verifiers, post }: WitnessClientDeps): WitnessClient {
  /** By witness: the size that it cosigned last, as far as known here. */
  const sizes = new Map<string, number>();

  async function ask(witness: PolicyWitness, note: string, old: number) {
    const { size } = openCheckpoint(note, { origin, verifiers });
    const proof = old > 0 && old < size ? await consistencyProof(createTileReader(source, size), old, size) : [];
    try {
      return await post(`${witness.url}/add-checkpoint`, formatAddCheckpoint({ old, proof, checkpoint: note }));
    } catch (cause) {
      throw new AuditError('unavailable', `witness ${witness.name} can’t be reached`, { cause });
    }
  }

  async function cosign(witness: PolicyWitness, note: string): Promise<NoteSignature> {
    if (witness.url === undefined) throw new AuditError('invalid', `witness ${witness.name} has no URL`);
    const { size } = openCheckpoint(note, { origin, verifiers });
    let old = Math.min(sizes.get(witness.name) ?? 0, size);
    let answer = await ask(witness, note, old);
    if (answer.status === 409) {
      const said = parseSize(answer.body);
      if (said === undefined || said === old || said > size) {
        throw new AuditError('not_authentic', `witness ${witness.name} cosigned another history of this log`);
      }
      old = said;
      answer = await ask(witness, note, old);
    }
    if (answer.status === 422 || answer.status === 409) {
      throw new AuditError('not_authentic', `witness ${witness.name} does not accept that size ${size} follows ${old}`);
    }
    if (answer.status !== 200) {
      throw new AuditError('unavailable', `witness ${witness.name} answered with status ${answer.status}`);
    }
    const signature = pickSignature(note, answer.body, witness);
    sizes.set(witness.name, size);
    return signature;
  }

  return { cosign };
}

/** `note` with these cosignatures after its own; earlier ones of the same keys are replaced. */
export function withCosignatures(note: string, added: readonly NoteSignature[]): string {
  const { text, signatures } = parseNote(note);
  const isReplaced = (each: NoteSignature) => added.some((a) => a.name === each.name && a.keyId === each.keyId);
  return formatNote({ text, signatures: [...signatures.filter((each) => !isReplaced(each)), ...added] });
}

/** C2SP tlog-witness: concatenated to the checkpoint, the answer is a note that the witness's key opens. */
function pickSignature(note: string, lines: string, { name, verifier }: PolicyWitness): NoteSignature {
  try {
    const whole = `${note.slice(0, note.lastIndexOf('\n\n') + 2)}${lines}`;
    openNote(whole, [verifier]);
    const { signatures } = parseNote(whole);
    const own = signatures.find((each) => each.name === verifier.name && each.keyId === verifier.keyId);
    if (own !== undefined) return own;
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw new AuditError('not_authentic', `what witness ${name} answered is not its cosignature`, { cause });
  }
  throw new AuditError('not_authentic', `witness ${name} did not cosign`);
}

function parseSize(body: string): number | undefined {
  return /^(0|[1-9][0-9]{0,15})\n$/.test(body) ? Number(body) : undefined;
}

const maxAnswerBytes = 64 * 1024;

/** Over HTTP(S): follows no redirect, waits 10 s, and reads no more than an answer can be. */
export const postOverHttp: PostText = async (url, body) => {
  const response = await fetch(url, {
    method: 'POST',
    body,
    redirect: 'error',
    signal: AbortSignal.timeout(10_000),
    headers: { 'content-type': 'text/plain; charset=utf-8' },
  });
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > maxAnswerBytes) throw new AuditError('malformed', `the answer is over ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  const type = response.headers.get('content-type') ?? '';
  return { status: response.status, type, body: fromUtf8(Buffer.concat(chunks)) };
};

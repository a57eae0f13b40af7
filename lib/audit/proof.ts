/** The proof of one entry: a text that anybody can check offline with the log's public key (C2SP tlog-proof). */
import { fromBase64, toBase64 } from '../crypto/encoding.ts';
import { CryptoError } from '../crypto/errors.ts';
import type { NoteVerifier } from '../crypto/note.ts';
import { type Checkpoint, maxCheckpointBytes, openCheckpoint } from './checkpoint.ts';
import { AuditError } from './port.ts';
import type { LogSource } from './publication.ts';
import { createTileReader } from './tile-reader.ts';
import { bundlePath, decodeBundle, tileWidth } from './tiles.ts';
import { hashBytes, inclusionProof, leafHash, verifyInclusion } from './tree.ts';

const header = 'c2sp.org/tlog-proof@v1';
/** A tree of 2^63 leaves is 63 deep. */
const maxHashes = 63;
/** Of everything but the checkpoint: header, extra data and hashes. */
const maxProofBytes = 96 * 1024;

export type EntryProof = {
  readonly index: number;
  readonly hashes: readonly Uint8Array[];
  /** The signed note, verbatim. */
  readonly checkpoint: string;
  /** Not covered by anything. We put the entry there, so that one file holds all. */
  readonly extra?: Uint8Array;
};

/** C2SP tlog-proof, "Format". */
export function formatProof({ index, hashes, checkpoint, extra }: EntryProof): string {
  const lines = [header, ...(extra === undefined ? [] : [`extra ${toBase64(extra)}`]), `index ${index}`];
  return `${[...lines, ...hashes.map(toBase64)].join('\n')}\n\n${checkpoint}`;
}

/** Parses an attacker-controlled proof. Throws `AuditError` `malformed`. */
export function parseProof(text: string): EntryProof {
  if (text.length > maxProofBytes + maxCheckpointBytes) throw malformed('it is too long');
  const end = text.indexOf('\n\n');
  if (end < 0) throw malformed('there is no empty line before its checkpoint');
  const [first, ...rest] = text.slice(0, end).split('\n');
  if (first !== header) throw malformed(`its first line is not ${header}`);
  const extra = rest[0]?.startsWith('extra ') ? base64(rest.shift()?.slice(6) ?? '') : undefined;
  const [, index = ''] = /^index (0|[1-9][0-9]{0,15})$/.exec(rest.shift() ?? '') ?? [];
  if (index === '' || !Number.isSafeInteger(Number(index))) throw malformed('its index is not a decimal number');
  if (rest.length > maxHashes) throw malformed(`it has over ${maxHashes} hashes`);
  const hashes = rest.map(base64);
  if (hashes.some((hash) => hash.length !== hashBytes)) throw malformed('a hash in it is not 32 bytes');
  return { index: Number(index), hashes, checkpoint: text.slice(end + 2), ...(extra && { extra }) };
}

/**
 * Verifies that `entry` is entry `proof.index` of the log that `verifiers` are the keys of. Returns the checkpoint that
 * says so. Throws `AuditError` `not_authentic` or `malformed`.
 */
export function verifyProof(
  proof: EntryProof,
  entry: Uint8Array,
  { origin, verifiers }: { readonly origin: string; readonly verifiers: readonly NoteVerifier[] },
): Checkpoint {
  const checkpoint = openCheckpoint(proof.checkpoint, { origin, verifiers });
  verifyInclusion(leafHash(entry), proof.index, checkpoint.size, proof.hashes, checkpoint.root);
  return checkpoint;
}

export type ProveDeps = {
  readonly source: LogSource;
  readonly origin: string;
  readonly verifiers: readonly NoteVerifier[];
};

/** The proof of entry `index` under the published checkpoint, verified before it is given out. */
export async function proveEntry({ source, origin, verifiers }: ProveDeps, index: number): Promise<EntryProof> {
  const note = await source.read('checkpoint');
  if (note === undefined) throw new AuditError('missing', 'nothing is published yet');
  const { size } = openCheckpoint(note, { origin, verifiers });
  if (index >= size) throw new AuditError('missing', `there is no entry ${index}: ${size} are signed`);
  const hashes = await inclusionProof(createTileReader(source, size), index, size);
  const extra = await readEntry(source, index, size);
  const proof = { index, hashes, checkpoint: Buffer.from(note).toString('utf8'), extra };
  verifyProof(proof, extra, { origin, verifiers });
  return proof;
}

/** The bytes of one entry. Not verified. */
export async function readEntry(source: LogSource, index: number, size: number): Promise<Uint8Array> {
  const bundle = Math.floor(index / tileWidth);
  const width = Math.min(tileWidth, size - bundle * tileWidth);
  const read = (w: number) => source.read(bundlePath({ index: bundle, width: w }));
  const bytes = (await read(width)) ?? (await read(tileWidth));
  if (bytes === undefined) throw new AuditError('missing', `${bundlePath({ index: bundle, width })} is not published`);
  return decodeBundle(bytes, width, false)[index % tileWidth] as Uint8Array;
}

function base64(text: string): Uint8Array {
  try {
    return fromBase64(text);
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw malformed('a line of it is not base64', cause);
  }
}

function malformed(what: string, cause?: unknown): AuditError {
  return new AuditError('malformed', `not a proof: ${what}`, { cause });
}

/**
 * How nodes follow the audit log: the newest published checkpoint, and the proof that it goes on from the one that a
 * node holds. Read from the publication, never from the store, and kept for a second, so that a whole fleet costs as much
 * as one node. Nothing is decided here: nodes verify signature and proof themselves.
 */
import { parseCheckpoint } from '../../lib/audit/checkpoint.ts';
import { AuditError } from '../../lib/audit/port.ts';
import type { LogSource } from '../../lib/audit/publication.ts';
import { createTileReader } from '../../lib/audit/tile-reader.ts';
import { consistencyProof } from '../../lib/audit/tree.ts';
import { CryptoError } from '../../lib/crypto/errors.ts';
import { parseNote } from '../../lib/crypto/note.ts';
import { RequestRefused } from './refusals.ts';

export type Followed = { readonly checkpoint: Uint8Array; readonly proof: readonly Uint8Array[] };

export type LogFollowing = {
  /** Throws `RequestRefused` when the log can't be read, or is not published where this gateway knows. */
  since(size: number): Promise<Followed>;
};

const freshMs = 1_000;
/** Nodes hold as many different sizes as there were checkpoints since the one that was away longest came by. */
const maxProofs = 256;

type Published = { readonly note: Uint8Array; readonly size: number };

export function createLogFollowing(deps: {
  readonly publication: LogSource | undefined;
  readonly now: () => number;
}): LogFollowing {
  const { publication, now } = deps;
  let reading: { readonly at: number; readonly published: Promise<Published> } | undefined;
  /** Those that lead to `provenTo`. */
  const proofs = new Map<number, Promise<readonly Uint8Array[]>>();
  let provenTo = 0;

  /** A node that has seen more than what is kept here is not told of less: then it is read anew. */
  async function newest(source: LogSource, atLeast: number): Promise<Published> {
    if (reading !== undefined && Math.abs(now() - reading.at) < freshMs) {
      const kept = await reading.published;
      if (kept.size >= atLeast) return kept;
    }
    const begun = { at: now(), published: read(source) };
    reading = begun;
    begun.published.catch(() => {
      if (reading === begun) reading = undefined;
    });
    return begun.published;
  }

  function prove(source: LogSource, from: number, to: number): Promise<readonly Uint8Array[]> {
    if (to !== provenTo) proofs.clear();
    provenTo = to;
    const held = proofs.get(from);
    if (held !== undefined) return held;
    if (proofs.size >= maxProofs) proofs.clear();
    const proof = consistencyProof(createTileReader(source, to), from, to);
    proofs.set(from, proof);
    proof.catch(() => proofs.delete(from));
    return proof;
  }

  return {
    async since(size) {
      if (publication === undefined) throw new RequestRefused('UNIMPLEMENTED', 'This gateway does not know the log.');
      try {
        const published = await newest(publication, size);
        const isAfter = size > 0 && size < published.size;
        const proof = isAfter ? await prove(publication, size, published.size) : [];
        return { checkpoint: published.note, proof };
      } catch (error) {
        if (!(error instanceof AuditError || error instanceof CryptoError)) throw error;
        throw new RequestRefused('UNAVAILABLE', 'The published audit log can not be read.');
      }
    },
  };
}

async function read(source: LogSource): Promise<Published> {
  const note = await source.read('checkpoint');
  if (note === undefined) return { note: new Uint8Array(), size: 0 };
  return { note, size: parseCheckpoint(parseNote(note).text).size };
}

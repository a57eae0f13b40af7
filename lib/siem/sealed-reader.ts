/**
 * Reads the sealed log for delivery, block by block, and verifies each block before anything of it goes out: its entries
 * are the ones that its place in the chain was sealed with. Blocks are shared by all destinations of a process, since
 * those that keep up want the same ones.
 */
import { bodyHash, chainHash } from '../audit/chain.ts';
import { type Entry, parseEntry } from '../audit/entry.ts';
import { readHead } from '../audit/head.ts';
import { AuditError } from '../audit/port.ts';
import { findBlock, readSequence } from '../audit/sequence.ts';
import type { Store } from '../store/port.ts';

export type SealedEntry = {
  readonly seq: number;
  readonly raw: Uint8Array;
  readonly entry: Entry;
  /** Hex B, hex C(seq), hex C(seq − 1). */
  readonly body: string;
  readonly chain: string;
  readonly previous: string;
};

/** How many entries are sealed, and hex C(size − 1). */
export type SealedHead = { readonly size: number; readonly chain: string };

/** What stands at `seq` is not what was sealed there. Nothing at or after it is delivered. */
export class IntegrityError extends Error {
  override readonly name = 'IntegrityError';
  readonly seq: number;
  constructor(seq: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.seq = seq;
  }
}

export interface SealedReader {
  head(): Promise<SealedHead>;
  /**
   * Entries from `from` to the end of its block, or fewer: at least one, `from` being below the head's size. Throws
   * `IntegrityError`, and `StoreError` when the store can't be read.
   */
  read(from: number, head: SealedHead): Promise<readonly SealedEntry[]>;
}

/** A few at the tip and one for each that lags; 8192 entries each at most. */
const maxBlocks = 6;

type SealedBlock = { readonly first: number; readonly end: number; readonly entries: readonly SealedEntry[] };

export function createSealedReader({
  store,
  origin,
}: {
  readonly store: Store;
  readonly origin: string;
}): SealedReader {
  /** By first entry, in the order of last use. */
  const blocks = new Map<number, SealedBlock>();
  /** What is being read is read once, however many want it. */
  const reading = new Map<string, Promise<SealedBlock>>();

  async function read(from: number, head: SealedHead): Promise<readonly SealedEntry[]> {
    for (const block of blocks.values()) {
      if (from < block.first || from >= block.end) continue;
      blocks.delete(block.first);
      blocks.set(block.first, block);
      return sliceFrom(block, from);
    }
    const key = `${from}|${head.size}|${head.chain}`;
    const underWay = reading.get(key) ?? readBlock(from, head).finally(() => reading.delete(key));
    reading.set(key, underWay);
    const block = await underWay;
    blocks.set(block.first, block);
    for (const first of blocks.keys()) if (blocks.size > maxBlocks) blocks.delete(first);
    return sliceFrom(block, from);
  }

  async function readBlock(from: number, head: SealedHead): Promise<SealedBlock> {
    try {
      const { first, order } = await findBlock(store, from);
      const end = first + order.length;
      const entries: SealedEntry[] = [];
      for await (const stretch of readSequence(store, first, end)) {
        let { chain } = stretch.block;
        for (const [i, raw] of stretch.entries.entries()) {
          const previous = chain;
          const body = bodyHash(raw);
          const seq = first + i;
          chain = chainHash(origin, seq, body, previous);
          entries.push({ seq, raw, entry: parseAt(seq, raw), body, chain, previous });
        }
      }
      const sealed = end === head.size ? head.chain : (await findBlock(store, end)).chain;
      if (entries.at(-1)?.chain !== sealed) {
        throw new IntegrityError(first, `entries ${first} to ${end - 1} are not those that were sealed`);
      }
      return { first, end, entries };
    } catch (cause) {
      if (!(cause instanceof AuditError)) throw cause;
      throw new IntegrityError(from, cause.message, { cause });
    }
  }

  return {
    async head() {
      const { size, chain } = await readHead(store, origin);
      return { size, chain };
    },
    read,
  };
}

function sliceFrom({ first, entries }: SealedBlock, from: number): readonly SealedEntry[] {
  return from === first ? entries : entries.slice(from - first);
}

function parseAt(seq: number, raw: Uint8Array): Entry {
  try {
    return parseEntry(raw);
  } catch (cause) {
    if (!(cause instanceof AuditError)) throw cause;
    throw new IntegrityError(seq, `entry ${seq} is not an entry: ${cause.message}`, { cause });
  }
}

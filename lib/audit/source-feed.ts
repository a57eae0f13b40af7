/**
 * A log as a log store gives it back: newline-delimited JSON, a line for each delivered entry with its bytes and hashes,
 * and lines that carry a checkpoint. What was delivered there is a copy that the log's keeper can't rewrite.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { fromBase64 } from '../crypto/encoding.ts';
import { CryptoError } from '../crypto/errors.ts';
import { parseNote } from '../crypto/note.ts';
import { bodyHash, chainHash, chainStart } from './chain.ts';
import { parseCheckpoint } from './checkpoint.ts';
import { maxEntryBytes } from './entry.ts';
import { AuditError } from './port.ts';
import { CorruptSequence } from './sequence.ts';
import type { EntrySource } from './verify-files.ts';

/** A delivered entry: its index, its bytes in base64, hex B and hex C(seq). */
export type FeedRecord = {
  readonly seq: number;
  readonly entry: string;
  readonly body: string;
  readonly chain: string;
};
/** What every batch carries: the newest checkpoint. */
export type FeedCheckpoint = { readonly checkpoint: string };

export type FeedSource = {
  readonly source: EntrySource;
  /** Every different checkpoint in it: each binds the history as much as one that was kept on purpose. */
  readonly checkpoints: readonly string[];
};

export function formatFeedRecord({ index, bytes, chain }: { index: number; bytes: Uint8Array; chain: string }): string {
  const entry = Buffer.from(bytes).toString('base64');
  return `${JSON.stringify({ seq: index, entry, body: bodyHash(bytes), chain } satisfies FeedRecord)}\n`;
}

/** An entry in base64, its hashes and names, generously. */
const maxLineLength = 4 * maxEntryBytes;

/** Reads the file once for its checkpoints, and again, in order, while it is verified. Attacker-controlled. */
export async function openFeedSource(path: string, origin: string): Promise<FeedSource> {
  const checkpoints = new Set<string>();
  for await (const record of records(path)) if ('checkpoint' in record) checkpoints.add(record.checkpoint);
  const sizes = [...checkpoints].map((note) => ({ note, size: sizeOf(note) }));
  const newest = sizes.reduce((best, each) => (each.size > best.size ? each : best), { note: '', size: -1 });
  const entries = inOrder(records(path), origin);
  return {
    checkpoints: [...checkpoints],
    source: {
      read: async (name) => (name === 'checkpoint' && newest.size >= 0 ? Buffer.from(newest.note) : undefined),
      async entries(first, width) {
        const taken: Uint8Array[] = [];
        while (taken.length < width) {
          const { value, done } = await nextEntry(entries, taken);
          if (done) throw new CorruptSequence(first + taken.length, 'the delivered entries end here', taken);
          taken.push(value);
        }
        return taken;
      },
    },
  };
}

/** What was read before a broken record comes with the error, so that it is looked into. */
async function nextEntry(entries: AsyncGenerator<Uint8Array, undefined>, taken: readonly Uint8Array[]) {
  try {
    return await entries.next();
  } catch (cause) {
    if (!(cause instanceof CorruptSequence)) throw cause;
    throw new CorruptSequence(cause.index, cause.message, taken);
  }
}

/** Delivery is at least once: a record may come again, but only as it was. Throws `CorruptSequence`. */
async function* inOrder(
  from: AsyncIterable<FeedRecord | FeedCheckpoint>,
  origin: string,
): AsyncGenerator<Uint8Array, undefined> {
  const chains: string[] = [];
  for await (const record of from) {
    if ('checkpoint' in record) continue;
    const next = chains.length;
    const { seq, body, chain } = record;
    if (seq > next) throw new CorruptSequence(next, `entry ${next} was not delivered, and ${seq} was`);
    const bytes = decode(record);
    const previous = seq === 0 ? chainStart(origin) : (chains[seq - 1] as string);
    if (bodyHash(bytes) !== body) throw new CorruptSequence(seq, 'a delivered entry does not have its hash');
    if (chainHash(origin, seq, body, previous) !== chain) {
      throw new CorruptSequence(seq, 'a delivered entry does not go on the chain of those before it');
    }
    if (seq < next) {
      if (chains[seq] !== chain) throw new CorruptSequence(seq, `entry ${seq} was delivered twice, differently`);
      continue;
    }
    chains.push(chain);
    yield bytes;
  }
  return undefined;
}

async function* records(path: string): AsyncGenerator<FeedRecord | FeedCheckpoint> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  let number = 0;
  for await (const line of lines) {
    number += 1;
    if (line !== '') yield parseRecord(line, number);
  }
}

function parseRecord(line: string, number: number): FeedRecord | FeedCheckpoint {
  try {
    if (line.length > maxLineLength) throw new SyntaxError('it is too long');
    const { seq, entry, body, chain, checkpoint } = JSON.parse(line);
    if (typeof checkpoint === 'string') return { checkpoint };
    const isRecord = Number.isSafeInteger(seq) && seq >= 0 && typeof entry === 'string' && isHex(body) && isHex(chain);
    if (isRecord) return { seq, entry, body, chain };
    throw new SyntaxError('it has not seq, entry, body and chain, nor a checkpoint');
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof TypeError)) throw cause;
    throw new AuditError('malformed', `line ${number} is not a delivered entry: ${cause.message}`, { cause });
  }
}

function isHex(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

function decode({ seq, entry }: FeedRecord): Uint8Array {
  try {
    return fromBase64(entry);
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw new CorruptSequence(seq, 'a delivered entry is not base64');
  }
}

/** Unverified: it only chooses which checkpoint the entries are held against; all of them count as anchors. */
function sizeOf(note: string): number {
  try {
    return parseCheckpoint(parseNote(note).text).size;
  } catch (cause) {
    if (cause instanceof AuditError || cause instanceof CryptoError) return -1;
    throw cause;
  }
}

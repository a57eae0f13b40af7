/**
 * The global order: blocks that tile the sequence without a gap. A block holds no entries, only whose turn it was:
 * two bytes an entry point to the lane, and the entries are read from the lanes' own slots.
 */
import type { Item, Key, Store, Write } from '../store/port.ts';
import { formatNumber, readSlots } from './items.ts';
import { AuditError } from './port.ts';

/** Bounds the memory of a seal, and the block item to 16 KiB and its lanes. */
export const maxBlockEntries = 8192;
/** A partition of blocks holds those that begin within this many entries, so that none grows for ever. */
const entriesPerPartition = 65_536;

export type Block = {
  readonly first: number;
  /** hex C(first−1) */
  readonly chain: string;
  /** The lanes in it, each with the number of its first entry in it. */
  readonly lanes: readonly { readonly lane: string; readonly from: number }[];
  /** For each entry, the index of its lane in `lanes`. */
  readonly order: readonly number[];
};

/** Consecutive entries of the log; `first` is the index of the first, `chain` is hex C(first of its block − 1). */
export type Stretch = { readonly block: Block; readonly first: number; readonly entries: readonly Uint8Array[] };

export function putBlock({ first, chain, lanes, order }: Block): Write {
  const turns = Buffer.allocUnsafe(order.length * 2);
  for (const [i, lane] of order.entries()) turns.writeUInt16BE(lane, i * 2);
  const item = { ...blockKey(first), chain, lanes: lanes.map((each) => ({ ...each })), order: turns };
  return { kind: 'put', item, when: { kind: 'absent' } };
}

/** The block that holds entry `index`, which must be sealed. Throws `AuditError` `corrupt` when there is none. */
export async function findBlock(store: Store, index: number): Promise<Block> {
  const { pk } = blockKey(index);
  const here = await store.query({ pk, to: formatNumber(index + 1), descending: true, limit: 1 });
  let [item] = here.items;
  if (item === undefined && index >= entriesPerPartition) {
    const before = blockKey(index - entriesPerPartition);
    [item] = (await store.query({ pk: before.pk, descending: true, limit: 1 })).items;
  }
  const block = item && parseBlock(item);
  if (block === undefined || index >= block.first + block.order.length) throw missing(index);
  return block;
}

/** Entries [from, to), block by block; each entry of a block is read once. Throws `AuditError` `corrupt` at what is missing. */
export async function* readSequence(store: Store, from: number, to: number): AsyncGenerator<Stretch> {
  for (let next = from; next < to; ) {
    const block = next === from ? await findBlock(store, next) : await getBlock(store, next);
    const entries = await readBlock(store, block);
    const end = Math.min(to, block.first + entries.length);
    yield { block, first: next, entries: entries.slice(next - block.first, end - block.first) };
    next = end;
  }
}

async function readBlock(store: Store, { first, lanes, order }: Block): Promise<Uint8Array[]> {
  const counts = lanes.map(() => 0);
  for (const lane of order) counts[lane] = (counts[lane] ?? 0) + 1;
  const slots = await Promise.all(
    lanes.map(({ lane, from }, i) => readSlots(store, lane, from, from + (counts[i] as number))),
  );
  const crowded = slots.findIndex((found, i) => found.length > (counts[i] as number));
  if (crowded >= 0) throw new CorruptSequence(first, `lane ${lanes[crowded]?.lane} holds an entry twice`);
  const used = lanes.map(() => 0);
  const entries: Uint8Array[] = [];
  for (const [position, turn] of order.entries()) {
    const at = used[turn] as number;
    used[turn] = at + 1;
    const slot = slots[turn]?.[at];
    const lane = lanes[turn] as Block['lanes'][number];
    if (slot === undefined || slot.n !== lane.from + at) {
      throw new CorruptSequence(first + position, `entry ${lane.from + at} of lane ${lane.lane} is missing`, entries);
    }
    entries.push(slot.entry);
  }
  return entries;
}

/** The sequence can't be read at `index`. `read` are those entries of its block that stand before it. */
export class CorruptSequence extends AuditError {
  readonly index: number;
  readonly read: readonly Uint8Array[];
  constructor(index: number, message: string, read: readonly Uint8Array[] = []) {
    super('corrupt', message);
    this.index = index;
    this.read = read;
  }
}

async function getBlock(store: Store, first: number): Promise<Block> {
  const item = await store.get(blockKey(first));
  if (item === undefined) throw missing(first);
  return parseBlock(item);
}

function parseBlock(item: Item): Block {
  const first = Number(item.sk);
  const { chain, lanes, order } = item;
  if (typeof chain !== 'string' || !Array.isArray(lanes) || !(order instanceof Uint8Array)) throw missing(first);
  const parsed = lanes.map((each) => {
    if (typeof each?.lane !== 'string' || !Number.isSafeInteger(each.from)) throw missing(first);
    return { lane: each.lane as string, from: each.from as number };
  });
  const turns = Buffer.from(order.buffer, order.byteOffset, order.length);
  const turnOf = Array.from({ length: Math.floor(order.length / 2) }, (_, i) => turns.readUInt16BE(i * 2));
  if (turnOf.length === 0 || turnOf.some((turn) => turn >= parsed.length)) throw missing(first);
  return { first, chain, lanes: parsed, order: turnOf };
}

function blockKey(first: number): Key {
  return { pk: `block#${Math.floor(first / entriesPerPartition)}`, sk: formatNumber(first) };
}

function missing(index: number): CorruptSequence {
  return new CorruptSequence(index, `the block of entry ${index} is missing or not readable`);
}

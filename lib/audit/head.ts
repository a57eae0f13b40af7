/** The head: the one item whose compare-and-swap puts all lanes into one order, whoever seals. */
import { toHex } from '../crypto/encoding.ts';
import type { Attribute, Condition, Item, Store, Write } from '../store/port.ts';
import { chainStart } from './chain.ts';
import type { Seen } from './entry.ts';
import { checkpointKey, headKey } from './items.ts';
import { AuditError } from './port.ts';
import { type CompactRange, emptyRoot, hashBytes, rangeLength } from './tree.ts';

/** What is sealed of a lane: its entries below `next`; `hash` is hex A(next−1), `time` that of the newest of them. */
export type LaneMark = { readonly next: number; readonly hash: string; readonly time: number };

export type Head = {
  readonly size: number;
  readonly tree: CompactRange;
  /** hex C(size−1) */
  readonly chain: string;
  /** Unix milliseconds of the newest block. */
  readonly time: number;
  readonly lanes: ReadonlyMap<string, LaneMark>;
};

/** The newest checkpoint that was signed and published, as the store remembers it. */
export type StoredCheckpoint = {
  readonly size: number;
  readonly root: string;
  /** The signed note. */
  readonly note: string;
  /** Per lane, the first number that it does not cover. */
  readonly lanes: ReadonlyMap<string, number>;
};

export const nothingSeen: Seen = { size: 0, root: toHex(emptyRoot) };

export function emptyHead(origin: string): Head {
  return { size: 0, tree: { size: 0, hashes: [] }, chain: chainStart(origin), time: 0, lanes: new Map() };
}

export async function readHead(store: Store, origin: string): Promise<Head> {
  const item = await store.get(headKey);
  return item === undefined ? emptyHead(origin) : parseHead(item, origin);
}

/** Moves the head; holds only if it still stands where `from` says. The size rises with every block, so it is the version. */
export function moveHead(origin: string, from: Head, to: Head): Write {
  const when: Condition = from.size === 0 ? { kind: 'absent' } : { kind: 'equals', name: 'size', value: from.size };
  const lanes: Attribute = Object.fromEntries([...to.lanes].map(([lane, mark]) => [lane, { ...mark }]));
  const item = { ...headKey, v: 1, origin, size: to.size, chain: to.chain, time: to.time, lanes };
  return { kind: 'put', item: { ...item, tree: Buffer.concat(to.tree.hashes) }, when };
}

export async function readCheckpoint(store: Store): Promise<StoredCheckpoint | undefined> {
  const item = await store.get(checkpointKey);
  if (item === undefined) return undefined;
  const { size, root, note, lanes } = item;
  if (!isIndex(size) || typeof root !== 'string' || typeof note !== 'string') throw corrupt('checkpoint');
  const marks = entriesOf(lanes, 'checkpoint').map(([lane, next]) => {
    if (!isIndex(next)) throw corrupt('checkpoint');
    return [lane, next] as const;
  });
  return { size, root, note, lanes: new Map(marks) };
}

/** Remembers a checkpoint unless a larger one is remembered already. */
export function putCheckpoint({ size, root, note, lanes }: StoredCheckpoint): Write {
  const when: Condition = { kind: 'any', of: [{ kind: 'absent' }, { kind: 'less', name: 'size', value: size }] };
  return { kind: 'put', item: { ...checkpointKey, size, root, note, lanes: Object.fromEntries(lanes) }, when };
}

function parseHead(item: Item, origin: string): Head {
  const { size, chain, time, tree } = item;
  if (item['v'] !== 1 || !isIndex(size) || !isIndex(time) || !isHash(chain)) throw corrupt('head');
  if (item['origin'] !== origin) {
    throw new AuditError('corrupt', `the head in the store is of another log: ${JSON.stringify(item['origin'])}`);
  }
  if (!(tree instanceof Uint8Array) || tree.length !== rangeLength(size) * hashBytes) throw corrupt('head');
  const hashes = Array.from({ length: tree.length / hashBytes }, (_, i) =>
    tree.slice(i * hashBytes, (i + 1) * hashBytes),
  );
  const lanes = entriesOf(item['lanes'], 'head').map(([lane, value]): [string, LaneMark] => {
    const { next, hash, time: newest } = Object.fromEntries(entriesOf(value, 'head'));
    if (!isIndex(next) || !isHash(hash) || !isIndex(newest)) throw corrupt('head');
    return [lane, { next, hash, time: newest }];
  });
  return { size, tree: { size, hashes }, chain, time, lanes: new Map(lanes) };
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isHash(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

function entriesOf(value: Attribute | undefined, what: string): [string, Attribute][] {
  if (typeof value !== 'object' || value instanceof Uint8Array || Array.isArray(value)) throw corrupt(what);
  return Object.entries(value as { readonly [name: string]: Attribute });
}

function corrupt(what: string): AuditError {
  return new AuditError('corrupt', `the ${what} item of the audit log is not readable`);
}

/** What verification needs of entries, computed from their bytes alone: so it can be done in any order, and elsewhere. */
import { bodyHash } from './chain.ts';
import { type Entry, maxEntryBytes, parseEntry } from './entry.ts';
import { systemLane } from './items.ts';
import { AuditError } from './port.ts';
import { hashBytes, leafHash } from './tree.ts';

/** What an entry says about its place; `detail` only where the log speaks of itself. */
export type Fact = Pick<Entry, 'log' | 'lane' | 'n' | 'prev' | 'seen' | 'ts' | 'op' | 'detail'>;

/** Of consecutive entries. */
export type Digested = {
  readonly count: number;
  /** Leaf hashes, one after the other: the bytes of their tile. */
  readonly leaves: Uint8Array;
  /** hex B of each, one after the other. */
  readonly bodies: string;
  /** For each entry what it says, or why it is none. Absent when the content was not to be looked at. */
  readonly facts?: readonly (Fact | string)[];
};

export function digestEntries(entries: readonly Uint8Array[], parse: boolean): Digested {
  const leaves = Buffer.allocUnsafe(entries.length * hashBytes);
  let bodies = '';
  for (const [i, entry] of entries.entries()) {
    leaves.set(leafHash(entry), i * hashBytes);
    bodies += bodyHash(entry);
  }
  const digested = { count: entries.length, leaves, bodies };
  return parse ? { ...digested, facts: entries.map(readFact) } : digested;
}

function readFact(bytes: Uint8Array): Fact | string {
  try {
    return parseEntry(bytes);
  } catch (cause) {
    if (!(cause instanceof AuditError)) throw cause;
    return bytes.length > maxEntryBytes ? `entry of ${bytes.length} bytes` : cause.message;
  }
}

/** Facts as one text, which crosses between threads far cheaper than objects do. */
export function encodeFacts(facts: readonly (Fact | string)[]): string {
  return JSON.stringify(
    facts.map((fact) => {
      if (typeof fact === 'string') return fact;
      const { log, lane, n, prev, seen, ts, op, detail } = fact;
      const row = [log, lane, n, prev, seen.size, seen.root, ts, op.id, op.code, op.type, op.phase];
      return lane === systemLane ? [...row, detail] : row;
    }),
  );
}

type Row = [
  string,
  string,
  number,
  string,
  number,
  string,
  string,
  string,
  string,
  string,
  Entry['op']['phase'],
  Entry['detail']?,
];

/** The inverse of `encodeFacts`; its input is our own. */
export function decodeFacts(text: string): (Fact | string)[] {
  return (JSON.parse(text) as (Row | string)[]).map((row) => {
    if (typeof row === 'string') return row;
    const [log, lane, n, prev, size, root, ts, id, code, type, phase, detail = {}] = row;
    return { log, lane, n, prev, seen: { size, root }, ts, op: { id, code, type, phase }, detail };
  });
}

/** Reads a log's files for verification and says what is wrong with them; see verify.ts. */
import { equalBytes } from '../crypto/encoding.ts';
import { AuditError } from './port.ts';
import type { LogSource } from './publication.ts';
import { CorruptSequence } from './sequence.ts';
import { BundleError, bundlePath, decodeBundle, type TileRef, tilePath, tileWidth } from './tiles.ts';
import { hashBytes } from './tree.ts';
import type { Findings } from './verdicts.ts';

/** A source that may hold its entries elsewhere than in bundles; it is asked for them in order. */
export type EntrySource = LogSource & {
  readonly entries?: (first: number, width: number) => Promise<readonly Uint8Array[]>;
};

/** Entries [first, first + width), or the whole ones before what is wrong. */
export type ReadBundle = {
  readonly entries: readonly Uint8Array[];
  readonly isWhole: boolean;
  /** The bundle that they were read from, if it was one and is whole. */
  readonly bytes?: Uint8Array;
  readonly problem?: { readonly reason: string; readonly index: number };
};

export async function readBundle(source: EntrySource, first: number, width: number): Promise<ReadBundle> {
  const index = first / tileWidth;
  try {
    if (source.entries) return { entries: await source.entries(first, width), isWhole: true };
    const exact = await source.read(bundlePath({ index, width }));
    const bytes = exact ?? (await source.read(bundlePath({ index, width: tileWidth })));
    if (bytes === undefined) return broken(`${bundlePath({ index, width })} is missing`, first);
    return { entries: decodeBundle(bytes, width, exact !== undefined), isWhole: true, bytes };
  } catch (cause) {
    if (!(cause instanceof AuditError)) throw cause;
    if (cause instanceof CorruptSequence) return broken(cause.message, cause.index, cause.read);
    if (cause instanceof BundleError) return broken(cause.message, first + cause.position, cause.read);
    return broken(cause.message, first);
  }
}

function broken(reason: string, index: number, entries: readonly Uint8Array[] = []): ReadBundle {
  return { entries, isWhole: false, problem: { reason, index } };
}

/** Compares tiles that were made from the entries with the published ones. */
export async function compareTiles(
  source: LogSource,
  expected: readonly { readonly ref: TileRef; readonly bytes: Uint8Array }[],
  findings: Findings,
): Promise<void> {
  const read = async ({ ref, bytes }: (typeof expected)[number]) => {
    const exact = await source.read(tilePath(ref));
    // C2SP tlog-tiles: a partial tile may be gone once the full one is there.
    return exact ?? (await source.read(tilePath({ ...ref, width: tileWidth })))?.subarray(0, bytes.length);
  };
  const published = await Promise.all(expected.map(read));
  for (const [i, { ref, bytes }] of expected.entries()) {
    const span = tileWidth ** ref.level;
    const first = ref.index * tileWidth * span;
    const path = tilePath(ref);
    const found = published[i];
    if (found === undefined) {
      findings.add('integrity', `${path} is missing`, first, ref.width * span);
    } else if (!equalBytes(found, bytes)) {
      const position = firstDifference(found, bytes);
      const at = first + position * span;
      const of = span === 1 ? `entry ${at}` : `one of entries ${at} to ${at + span - 1}`;
      findings.add('integrity', `${path} does not have the hash of ${of}`, at, span);
    }
  }
}

/** The position of the first hash that differs; one past the last when the tile only has the wrong length. */
function firstDifference(found: Uint8Array, expected: Uint8Array): number {
  const length = Math.min(found.length, expected.length);
  let at = 0;
  while (at < length && found[at] === expected[at]) at += 1;
  return Math.min(Math.floor(at / hashBytes), expected.length / hashBytes - 1);
}

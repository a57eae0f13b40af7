/** The hashes of a published tree, read from its tiles: what proofs are made of. */
import { AuditError } from './port.ts';
import type { LogSource } from './publication.ts';
import { decodeTile, levelSize, type TileRef, tileHeight, tilePath, tileWidth } from './tiles.ts';
import { type NodeReader, nodeHash } from './tree.ts';

/**
 * Reads nodes of the tree of `size` leaves; each tile is fetched once. What the source returns is attacker-controlled:
 * a proof made of it counts only once it verified. Throws `AuditError` `missing` or `malformed`.
 */
export function createTileReader(source: LogSource, size: number): NodeReader {
  const tiles = new Map<string, Promise<Uint8Array[]>>();

  function tile(level: number, index: number): Promise<Uint8Array[]> {
    const width = Math.min(tileWidth, levelSize(size, level) - index * tileWidth);
    const ref: TileRef = { level, index, width };
    const path = tilePath(ref);
    const held = tiles.get(path) ?? fetchTile(source, ref);
    tiles.set(path, held);
    return held;
  }

  return async (level, index) => {
    const tileLevel = Math.floor(level / tileHeight);
    const count = 2 ** (level % tileHeight);
    const first = index * count;
    const hashes = await tile(tileLevel, Math.floor(first / tileWidth));
    const begin = first % tileWidth;
    return subtree(hashes.slice(begin, begin + count));
  };
}

async function fetchTile(source: LogSource, ref: TileRef): Promise<Uint8Array[]> {
  // C2SP tlog-tiles: a partial tile may be gone once the full one is there.
  const bytes = (await source.read(tilePath(ref))) ?? (await source.read(tilePath({ ...ref, width: tileWidth })));
  if (bytes === undefined) throw new AuditError('missing', `${tilePath(ref)} is not published`);
  return decodeTile(bytes, ref.width);
}

/** The root over a power of two of hashes. */
function subtree(hashes: readonly Uint8Array[]): Uint8Array {
  let row = hashes;
  while (row.length > 1) {
    const pairs = row;
    row = Array.from({ length: pairs.length / 2 }, (_, i) =>
      nodeHash(pairs[2 * i] as Uint8Array, pairs[2 * i + 1] as Uint8Array),
    );
  }
  return row[0] as Uint8Array;
}

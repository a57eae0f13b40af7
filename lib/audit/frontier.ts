/**
 * The right edge of the published tree: the hashes of the rightmost, still partial tile of each level. It is all that
 * is needed to make the next tiles, and the sealer and the verifier make them with this same code.
 */
import { type BundleRef, encodeBundle, type TileRef, tileWidth } from './tiles.ts';
import { appendLeafHash, type CompactRange, emptyRange, leafHash, nodeHash } from './tree.ts';

/** Invariant: `levels[L]` has floor(size / 256^L) mod 256 hashes; `entries` are those of the partial bundle. */
export type Frontier = {
  readonly range: CompactRange;
  readonly levels: Uint8Array[][];
  entries: Uint8Array[];
};

export type TileSink = {
  readonly tile: (ref: TileRef, bytes: Uint8Array) => void;
  readonly bundle: (ref: BundleRef, bytes: Uint8Array) => void;
};

export function emptyFrontier(): Frontier {
  return { range: emptyRange(), levels: [], entries: [] };
}

export function cloneFrontier(frontier: Frontier): Frontier {
  return {
    range: { size: frontier.range.size, hashes: [...frontier.range.hashes] },
    levels: frontier.levels.map((hashes) => [...hashes]),
    entries: [...frontier.entries],
  };
}

/** Appends one entry; every tile and bundle that becomes full goes to the sink. Returns the leaf's hash. */
export function appendEntry(frontier: Frontier, entry: Uint8Array, sink: TileSink): Uint8Array {
  const leaf = leafHash(entry);
  appendLeafHash(frontier.range, leaf);
  frontier.entries.push(entry);
  if (frontier.entries.length === tileWidth) {
    const index = frontier.range.size / tileWidth - 1;
    sink.bundle({ index, width: tileWidth }, encodeBundle(frontier.entries));
    frontier.entries = [];
  }
  pushHash(frontier, 0, leaf, sink);
  return leaf;
}

/** The partial tiles and the partial bundle that a checkpoint of the present size needs besides the full ones. */
export function emitPartial(frontier: Frontier, sink: TileSink): void {
  const { size } = frontier.range;
  if (frontier.entries.length > 0) {
    const index = Math.floor(size / tileWidth);
    sink.bundle({ index, width: frontier.entries.length }, encodeBundle(frontier.entries));
  }
  frontier.levels.forEach((hashes, level) => {
    if (hashes.length === 0) return;
    const index = Math.floor(size / tileWidth ** (level + 1));
    sink.tile({ level, index, width: hashes.length }, Buffer.concat(hashes));
  });
}

/** The frontier that published partial tiles hold. The caller compares the root of its range with a signed one. */
export function frontierOf(size: number, levels: Uint8Array[][], entries: Uint8Array[]): Frontier {
  const stack: { height: number; hash: Uint8Array }[] = [];
  for (let level = levels.length - 1; level >= 0; level--) {
    for (const hash of levels[level] as Uint8Array[]) {
      let node = { height: level * 8, hash };
      for (let top = stack.at(-1); top?.height === node.height; top = stack.at(-1)) {
        stack.pop();
        node = { height: node.height + 1, hash: nodeHash(top.hash, node.hash) };
      }
      stack.push(node);
    }
  }
  return { range: { size, hashes: stack.map(({ hash }) => hash) }, levels, entries };
}

function pushHash(frontier: Frontier, level: number, hash: Uint8Array, sink: TileSink): void {
  const hashes = frontier.levels[level] ?? [];
  frontier.levels[level] = hashes;
  hashes.push(hash);
  if (hashes.length < tileWidth) return;
  const index = frontier.range.size / tileWidth ** (level + 1) - 1;
  sink.tile({ level, index, width: tileWidth }, Buffer.concat(hashes));
  frontier.levels[level] = [];
  pushHash(frontier, level + 1, perfectRoot(hashes), sink);
}

/** The root over a power of two of hashes. */
function perfectRoot(hashes: readonly Uint8Array[]): Uint8Array {
  let row = hashes;
  while (row.length > 1) {
    const above: Uint8Array[] = [];
    for (let i = 0; i < row.length; i += 2) above.push(nodeHash(row[i] as Uint8Array, row[i + 1] as Uint8Array));
    row = above;
  }
  return row[0] as Uint8Array;
}
